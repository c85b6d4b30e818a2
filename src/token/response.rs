//! The access token response (RFC 6749 section 5.1), as far as this crate needs it.

use std::time::Duration;

use http::HeaderValue;

use crate::cache::window::{DEFAULT_LIFE, LONGEST_LIFE};
use crate::error::{Error, ErrorKind};

/// What a [`TokenSource`](crate::TokenSource) brings: an access token and how long it lives.
///
/// ```
/// use std::time::Duration;
/// use tower_idaas::TokenResponse;
///
/// let response = TokenResponse::bearer("opaque-token")?.with_expires_in(Duration::from_secs(1200));
/// # Ok::<(), tower_idaas::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenResponse {
    /// `Bearer …`, marked sensitive: `Debug` shows a marker.
    pub(crate) authorization: HeaderValue,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) granted_scope: Option<String>,
    pub(crate) issued_token_type: Option<String>,
    /// How old it was when it came, if it came from a store and not from the issuer.
    pub(crate) age: Option<Duration>,
    /// What the issuer calls the request that it answered.
    pub(crate) request_id: Option<String>,
}

impl TokenResponse {
    /// A bearer token (RFC 6750) of unknown life: it is cached for 60 seconds.
    ///
    /// # Errors
    ///
    /// When the token is empty or holds anything but visible ASCII: such a token cannot go into a header.
    pub fn bearer(access_token: &str) -> Result<Self, Error> {
        let visible = !access_token.is_empty() && access_token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = visible.then(|| HeaderValue::try_from(format!("Bearer {access_token}")));
        let Some(Ok(mut authorization)) = header else {
            return Err(Error::new(
                ErrorKind::InvalidResponse,
                "the issued access token is empty or holds characters that no bearer token may hold; ask the issuer's support",
            )
            .with_transient(false));
        };
        authorization.set_sensitive(true);
        Ok(Self {
            authorization,
            expires_in: None,
            granted_scope: None,
            issued_token_type: None,
            age: None,
            request_id: None,
        })
    }

    /// How long the token lives from the moment it was asked for. Zero: it serves those who waited for it
    /// and is not cached. More than 24 hours count as 24 hours.
    #[must_use]
    pub fn with_expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// The token's text.
    pub(crate) fn token(&self) -> &str {
        let text = self.authorization.to_str().unwrap_or_default();
        text.strip_prefix("Bearer ").unwrap_or_default()
    }

    /// The life that is counted with.
    pub(crate) fn life(&self) -> Duration {
        self.expires_in.unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE)
    }

    /// The scope that was granted, when the issuer names it.
    #[must_use]
    pub fn with_granted_scope(mut self, scope: impl Into<String>) -> Self {
        self.granted_scope = Some(scope.into());
        self
    }

    /// The type of the token (RFC 8693 section 2.2.1), when the issuer names it.
    #[must_use]
    pub fn with_issued_token_type(mut self, token_type: impl Into<String>) -> Self {
        self.issued_token_type = Some(token_type.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_no_header_can_hold_is_refused_and_not_shown() {
        for bad in ["", "evil\r\nx: y", "t\u{0}", "with space", "gr\u{fc}n"] {
            let error = TokenResponse::bearer(bad).unwrap_err();
            assert!(!error.is_transient());
            assert!(bad.is_empty() || !format!("{error:?}").contains(bad));
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let response = TokenResponse::bearer("marker-token").unwrap();
        assert!(!format!("{response:?}").contains("marker-token"));
    }
}
