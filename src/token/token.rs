//! A live token, as the cache returns it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;

use crate::cache::recheck::Recheck;
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::token::response::{TokenResponse, TokenText};
use crate::token::sharded_header::{HeaderShard, ShardBudget, ShardedHeader};

/// A live bearer token, as the cache returns it. Cheap to clone; `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    text: TokenText,
    scope: Scope,
    granted_scope: Option<String>,
    issued_token_type: Option<String>,
    expires_at: SystemTime,
    /// None for a token that is not an access token.
    header: Option<ShardedHeader>,
    recheck: Arc<Recheck>,
}

impl Token {
    /// `budget` bounds the shards of all tokens that share it; without one, each token has as many as cores use it.
    pub(super) fn new(
        response: TokenResponse,
        scope: Scope,
        expires_at: SystemTime,
        recheck: Arc<Recheck>,
        budget: Option<&ShardBudget>,
    ) -> Self {
        let TokenResponse { text, granted_scope, issued_token_type, .. } = response;
        let header = match &text {
            TokenText::Bearer(authorization) => {
                Some(ShardedHeader::within(authorization, &recheck, budget.cloned()))
            }
            TokenText::NotApplicable(_) => None,
        };
        let inner = Inner { text, scope, granted_scope, issued_token_type, expires_at, header, recheck };
        Self(Arc::new(inner))
    }

    /// A token made of a secret stored in IDaaS, which a request carries as it does a token.
    #[cfg(feature = "aliyun")]
    pub(crate) fn stored(
        response: TokenResponse,
        scope: Scope,
        expires_at: SystemTime,
        recheck: Arc<Recheck>,
    ) -> Self {
        Self::new(response, scope, expires_at, recheck, None)
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
    /// `token_type` is `N_A`): it belongs in no header.
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

    /// The scope that the token was requested for.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The scope that the issuer granted, when the issuer names it (RFC 6749 section 3.3).
    pub fn granted_scope(&self) -> Option<&str> {
        self.0.granted_scope.as_deref()
    }

    /// The type of the issued token (RFC 8693 section 2.2.1), when the issuer names it.
    pub fn issued_token_type(&self) -> Option<&str> {
        self.0.issued_token_type.as_deref()
    }

    /// When the token expires by this machine's wall clock, counted from the time of the request for it.
    pub fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    /// This thread's shard of the header; `None` for a token that is not an access token.
    #[inline]
    pub(crate) fn header_shard(&self) -> Option<&Arc<HeaderShard>> {
        self.0.header.as_ref().map(ShardedHeader::mine)
    }

    /// The token is not served any more.
    pub(crate) fn invalidate(&self) {
        self.0.recheck.invalidate();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { text: _, scope, granted_scope, issued_token_type, expires_at, header: _, recheck: _ } =
            &*self.0;
        f.debug_struct("Token")
            .field("scope", scope)
            .field("granted_scope", granted_scope)
            .field("issued_token_type", issued_token_type)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}
