//! Tokens: where they come from, how long they live, and the cache that holds them.

pub(crate) mod answer;
mod backoff;
mod cache;
mod control;
mod copies;
mod echo;
mod endpoint;
mod exchange;
mod fetch;
#[cfg(feature = "testing")]
mod fixed;
mod flight;
mod gate;
mod landing;
mod live;
mod mask;
#[cfg(all(test, shuttle))]
mod model;
mod pilot;
mod recent;
mod response;
mod skew;
mod slot;
mod source;
mod subject;
mod sync;
mod wait;
mod warmth;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;

pub(crate) use self::backoff::{LONGEST_FLIGHT_BEYOND_TIMEOUTS, pause_after};
pub(crate) use self::cache::{ScopesView, TokenCache};
pub(crate) use self::copies::Copies;
pub(crate) use self::copies::HeaderCopy;
#[cfg(feature = "aliyun")]
pub(crate) use self::echo::without_echo;
pub(crate) use self::endpoint::TokenEndpoint;
pub(crate) use self::exchange::ExchangeCache;
#[cfg_attr(
    not(feature = "aliyun"),
    allow(unused_imports, reason = "the Alibaba Cloud side caches credentials")
)]
pub(crate) use self::fetch::{Fetch, Fetched};
pub(crate) use self::live::{Attention, Live};
#[cfg(feature = "aliyun")]
pub(crate) use self::mask::{kept, shown};
pub(crate) use self::recent::Recent;
pub use self::response::TokenResponse;
pub(crate) use self::skew::Skew;
pub(crate) use self::slot::{Resolution, Settings, Slot};
pub use self::source::TokenSource;
pub use self::subject::SubjectToken;
pub use self::warmth::KeepWarm;
#[cfg(feature = "aliyun")]
pub(crate) use self::window::DEFAULT_LIFE;
pub(crate) use self::window::{LONGEST_LIFE, Renewal};
#[cfg(feature = "aliyun")]
pub(crate) use self::window::{State, Window};
use crate::clock::Moment;
use crate::scope::Scope;

/// A live bearer token, as the cache hands it out. Cheap to clone; `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    /// `Bearer …`, marked sensitive.
    authorization: HeaderValue,
    scope: Scope,
    granted_scope: Option<String>,
    issued_token_type: Option<String>,
    expires_at: SystemTime,
    copies: Copies,
    attention: Arc<Attention>,
}

const BEARER: &str = "Bearer ";

impl Token {
    pub(crate) fn new(
        response: TokenResponse,
        scope: Scope,
        expires_at: SystemTime,
        attention: Arc<Attention>,
    ) -> Self {
        let TokenResponse { authorization, granted_scope, issued_token_type, .. } = response;
        let copies = Copies::new(&authorization, &attention);
        Self(Arc::new(Inner {
            authorization,
            scope,
            granted_scope,
            issued_token_type,
            expires_at,
            copies,
            attention,
        }))
    }

    /// The token's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_token(&self) -> &str {
        let text = self.0.authorization.to_str().unwrap_or_default();
        text.strip_prefix(BEARER).unwrap_or_default()
    }

    /// The value of an `Authorization` header with this token, marked sensitive.
    pub fn expose_authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
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

    /// This thread's copy of the header.
    #[inline]
    pub(crate) fn header_copy(&self) -> &Arc<HeaderCopy> {
        self.0.copies.mine()
    }

    /// The token is not to be served any more.
    pub(crate) fn withdraw(&self) {
        self.0.attention.withdraw();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            authorization: _,
            scope,
            granted_scope,
            issued_token_type,
            expires_at,
            copies: _,
            attention: _,
        } = &*self.0;
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
pub(crate) fn fetched(mut response: TokenResponse, scope: &Scope, sent: Moment) -> Fetched<Token> {
    let life = response.life();
    let from_issuer = response.age.is_none();
    // A shared token is renewed by its true age, unless this machine's clock has not run for so long.
    let (sent, life) = match response.age {
        Some(age) => sent.before(age).map_or((sent, life.saturating_sub(age)), |sent| (sent, life)),
        None => (sent, life),
    };
    let attention = Arc::new(Attention::new());
    let expires_at = sent.after(life).system_time();
    let request_id = response.request_id.take();
    let value = Token::new(response, scope.clone(), expires_at, Arc::clone(&attention));
    Fetched { value, attention, sent, life, renewal: Renewal::TwoThirds, from_issuer, request_id }
}
