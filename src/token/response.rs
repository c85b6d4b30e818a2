//! The access token response (RFC 6749 section 5.1, RFC 8693 section 2.2.1), as far as the cache needs it.

use std::time::Duration;

use http::HeaderValue;

use crate::cache::window::{DEFAULT_LIFE, LONGEST_LIFE};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

const BEARER: &str = "Bearer ";

/// What a [`TokenSource`](crate::TokenSource) returns: a token, how long it lives, and what the issuer says about it.
///
/// ```
/// use std::time::Duration;
/// use tower_idaas::TokenResponse;
///
/// let response = TokenResponse::bearer("opaque-token")?.with_expires_in(Duration::from_secs(1200));
/// assert_eq!(response.expires_in(), Some(Duration::from_secs(1200)));
/// assert_eq!(response.expose_token(), "opaque-token");
/// # Ok::<(), tower_idaas::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenResponse {
    pub(crate) text: TokenText,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) granted_scope: Option<String>,
    pub(crate) issued_token_type: Option<String>,
    pub(crate) age: Option<Duration>,
    pub(crate) request_id: Option<String>,
}

/// The token itself. `Debug` of either variant shows a fixed marker.
#[derive(Clone, Debug)]
pub(crate) enum TokenText {
    /// `Bearer …`, marked sensitive.
    Bearer(HeaderValue),
    /// A token that is not an access token: it never goes into a header.
    NotApplicable(Secret),
}

impl TokenText {
    pub(crate) fn expose(&self) -> &str {
        match self {
            Self::Bearer(authorization) => {
                authorization.to_str().unwrap_or_default().strip_prefix(BEARER).unwrap_or_default()
            }
            Self::NotApplicable(token) => token.expose_secret(),
        }
    }
}

impl TokenResponse {
    /// A bearer token (RFC 6750). Without [`with_expires_in`](Self::with_expires_in) it is cached for 60 seconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidResponse`] when the token is empty or holds anything but visible ASCII: such a token
    /// cannot go into a header.
    pub fn bearer(access_token: &str) -> Result<Self, Error> {
        let visible = !access_token.is_empty() && access_token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = visible.then(|| HeaderValue::try_from(format!("{BEARER}{access_token}")));
        let Some(Ok(mut authorization)) = header else {
            return Err(unusable(
                "the issued access token is empty or holds characters that no bearer token may hold",
            ));
        };
        authorization.set_sensitive(true);
        Ok(Self::with_text(TokenText::Bearer(authorization)))
    }

    /// An exchanged token that is not an access token, such as an ID token: `token_type` is `N_A` and
    /// `issued_token_type` names its type (RFC 8693 section 2.2.1). It is cached like any other; it never goes into a
    /// header, and a request that would carry it fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidResponse`] when the token is blank.
    pub fn not_access_token(
        token: impl Into<Secret>,
        issued_token_type: impl Into<String>,
    ) -> Result<Self, Error> {
        let token = token.into();
        if token.expose_secret().trim().is_empty() {
            return Err(unusable("the issued token is blank"));
        }
        Ok(Self::with_text(TokenText::NotApplicable(token)).with_issued_token_type(issued_token_type))
    }

    fn with_text(text: TokenText) -> Self {
        Self {
            text,
            expires_in: None,
            granted_scope: None,
            issued_token_type: None,
            age: None,
            request_id: None,
        }
    }

    /// Sets how long the token lives from the time of the request for it. With zero, the token serves the requests that
    /// wait for it and is not cached. More than 24 hours count as 24 hours.
    #[must_use]
    pub fn with_expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// Sets how old the token is when it is returned: for a source that stores tokens itself, such as a second-level
    /// store. The cache subtracts the age from the life, and refreshes the token when it would refresh a newly issued
    /// one. A response with an age says nothing about the issuer, which received no request.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// Sets the scope that was granted, when the issuer names it (RFC 6749 section 5.1).
    #[must_use]
    pub fn with_granted_scope(mut self, scope: impl Into<String>) -> Self {
        self.granted_scope = Some(scope.into());
        self
    }

    /// Sets the type of the token (RFC 8693 section 2.2.1), when the issuer names it.
    #[must_use]
    pub fn with_issued_token_type(mut self, token_type: impl Into<String>) -> Self {
        self.issued_token_type = Some(token_type.into());
        self
    }

    /// Sets the issuer's id of the request, which its support needs. The event of the refresh shows it.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// The token's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_token(&self) -> &str {
        self.text.expose()
    }

    /// Whether the token is an access token that a request may carry; false for
    /// [`not_access_token`](Self::not_access_token).
    pub fn is_bearer(&self) -> bool {
        matches!(self.text, TokenText::Bearer(_))
    }

    /// How long the token lives from the time of the request for it, as the issuer states.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// The life that the cache counts with: [`expires_in`](Self::expires_in), at most 24 hours, and 60 seconds where
    /// the issuer states none.
    pub fn life(&self) -> Duration {
        self.expires_in.unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE)
    }

    /// How old the token was when it was returned; `None` for one that the issuer has just issued.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// The scope that was granted, when the issuer names it.
    pub fn granted_scope(&self) -> Option<&str> {
        self.granted_scope.as_deref()
    }

    /// The type of the token (RFC 8693 section 2.2.1), when the issuer names it.
    pub fn issued_token_type(&self) -> Option<&str> {
        self.issued_token_type.as_deref()
    }

    /// The issuer's id of the request that issued the token.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The value of an `Authorization` header with this token, marked sensitive; `None` for one that is not an
    /// access token.
    #[cfg(test)]
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        match &self.text {
            TokenText::Bearer(authorization) => Some(authorization),
            TokenText::NotApplicable(_) => None,
        }
    }
}

fn unusable(problem: &str) -> Error {
    let message = format!("{problem}; ask the issuer's support");
    Error::new(ErrorKind::InvalidResponse, message).with_transient(false)
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
        let bearer = TokenResponse::bearer("marker-token").unwrap();
        let other = TokenResponse::not_access_token("marker-token".to_owned(), "urn:x").unwrap();
        assert!(!format!("{bearer:?} {other:?}").contains("marker-token"));
    }

    #[test]
    fn a_token_that_is_no_access_token_has_no_header_and_may_hold_anything_but_nothing() {
        let other = TokenResponse::not_access_token("<saml>\n</saml>".to_owned(), "urn:x").unwrap();
        assert!(!other.is_bearer() && other.authorization().is_none());
        assert_eq!((other.expose_token(), other.issued_token_type()), ("<saml>\n</saml>", Some("urn:x")));
        assert!(TokenResponse::not_access_token(" ".to_owned(), "urn:x").is_err());
    }

    #[test]
    fn what_a_source_says_of_a_token_is_read_back() {
        let response = TokenResponse::bearer("t").unwrap();
        assert_eq!((response.life(), response.expires_in(), response.age()), (DEFAULT_LIFE, None, None));
        let response = response
            .with_expires_in(Duration::MAX)
            .with_age(Duration::from_secs(7))
            .with_granted_scope("api://a|read")
            .with_issued_token_type("urn:x")
            .with_request_id("r-1");
        assert_eq!((response.life(), response.expires_in()), (LONGEST_LIFE, Some(Duration::MAX)));
        assert_eq!(response.age(), Some(Duration::from_secs(7)));
        assert_eq!(response.granted_scope(), Some("api://a|read"));
        assert_eq!(response.issued_token_type(), Some("urn:x"));
        assert_eq!(response.request_id(), Some("r-1"));
    }
}
