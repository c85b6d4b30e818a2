//! Tokens: where they come from, how long they live, and the cache that holds them.

mod cache;
mod endpoint;
mod exchange;
#[cfg(feature = "test-util")]
mod fixed;
mod issued;
mod refresh_guard;
mod response;
mod sharded_header;
mod skew;
mod source;
pub(crate) mod subject;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;

pub(crate) use self::cache::{ScopesView, TokenCache};
pub(crate) use self::endpoint::TokenEndpoint;
#[cfg(feature = "aliyun")]
pub(crate) use self::issued::issued;
pub use self::refresh_guard::RefreshGuard;
pub use self::response::TokenResponse;
pub(crate) use self::sharded_header::{HeaderShard, ShardedHeader};
pub(crate) use self::skew::Skew;
pub use self::source::{SourceContext, TokenSource, token_source_fn};
pub use self::subject::SubjectToken;
use crate::cache::entry::Recheck;
use crate::cache::loader::Loaded;
use crate::cache::window::Renewal;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::token::response::TokenText;

/// A live bearer token, as the cache hands it out. Cheap to clone; `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    text: TokenText,
    scope: Scope,
    granted_scope: Option<String>,
    issued_token_type: Option<String>,
    expires_at: SystemTime,
    /// None for a token that is not an access token.
    copies: Option<ShardedHeader>,
    recheck: Arc<Recheck>,
}

impl Token {
    pub(crate) fn new(
        response: TokenResponse,
        scope: Scope,
        expires_at: SystemTime,
        recheck: Arc<Recheck>,
    ) -> Self {
        let TokenResponse { text, granted_scope, issued_token_type, .. } = response;
        let copies = match &text {
            TokenText::Bearer(authorization) => Some(ShardedHeader::new(authorization, &recheck)),
            TokenText::NotApplicable(_) => None,
        };
        Self(Arc::new(Inner { text, scope, granted_scope, issued_token_type, expires_at, copies, recheck }))
    }

    /// The token's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_token(&self) -> &str {
        self.0.text.expose()
    }

    /// The value of an `Authorization` header with this token, marked sensitive.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for an exchanged token that is not an access token (RFC 8693 section 2.2.1,
    /// `token_type` is `N_A`): it belongs into no header.
    pub fn expose_authorization(&self) -> Result<HeaderValue, Error> {
        match &self.0.text {
            TokenText::Bearer(authorization) => Ok(authorization.clone()),
            TokenText::NotApplicable(_) => Err(self.not_for_headers()),
        }
    }

    /// Why no request can carry this token.
    pub(crate) fn not_for_headers(&self) -> Error {
        let what = self.issued_token_type().unwrap_or("not named");
        let message = format!(
            "the token exchanged for {} is not an access token and goes into no request: its type is {what}; \
             exchange for an access token, or take its text with `expose_token`",
            self.scope()
        );
        Error::new(ErrorKind::Unsupported, message)
    }

    /// The scope that the token was asked for.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The scope that the issuer says it granted, when it says so (RFC 6749 section 3.3).
    pub fn granted_scope(&self) -> Option<&str> {
        self.0.granted_scope.as_deref()
    }

    /// The type of the issued token (RFC 8693 section 2.2.1), when the issuer names it.
    pub fn issued_token_type(&self) -> Option<&str> {
        self.0.issued_token_type.as_deref()
    }

    /// When the token expires by this machine's wall clock, counted from the moment it was asked for.
    pub fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    /// This thread's shard of the header; `None` for a token that is not an access token.
    #[inline]
    pub(crate) fn header_shard(&self) -> Option<&Arc<HeaderShard>> {
        self.0.copies.as_ref().map(ShardedHeader::mine)
    }

    /// The token is not to be served any more.
    pub(crate) fn invalidate(&self) {
        self.0.recheck.invalidate();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { text: _, scope, granted_scope, issued_token_type, expires_at, copies: _, recheck: _ } =
            &*self.0;
        f.debug_struct("Token")
            .field("scope", scope)
            .field("granted_scope", granted_scope)
            .field("issued_token_type", issued_token_type)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

/// What a response is worth to a slot. A life counts from before the request left: whatever the way takes is
/// the token's loss.
pub(crate) fn fetched(mut response: TokenResponse, scope: &Scope, sent: Timestamp) -> Loaded<Token> {
    let life = response.life();
    let from_issuer = response.age.is_none();
    // A shared token is renewed by its true age, unless this machine's clock has not run for so long.
    let (sent, life) = match response.age {
        Some(age) => sent.before(age).map_or((sent, life.saturating_sub(age)), |sent| (sent, life)),
        None => (sent, life),
    };
    let recheck = Arc::new(Recheck::new());
    let expires_at = sent.after(life).system_time();
    let request_id = response.request_id.take();
    let value = Token::new(response, scope.clone(), expires_at, Arc::clone(&recheck));
    Loaded { value, recheck, sent, life, renewal: Renewal::TwoThirds, from_issuer, request_id }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_with_an_age_loses_that_of_its_life_where_the_clock_did_not_run_when_it_was_issued() {
        const LIFE: Duration = Duration::from_secs(1200);
        let response = TokenResponse::bearer("t").unwrap().with_expires_in(LIFE).with_age(LIFE / 4);
        let young = Timestamp { monotonic: 1, wall: 1_700_000_000_000_000_000 };
        let loaded = fetched(response, &Scope::parse("a|b").unwrap(), young);
        assert_eq!((loaded.sent, loaded.life), (young, LIFE * 3 / 4));
    }
}
