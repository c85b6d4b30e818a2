//! The error detail for a user's missing consent.

use std::error::Error as StdError;
use std::fmt;

use crate::error::Error;
use crate::secret::Secret;

/// IDaaS has no token of a third party yet, because a user must consent there first: the detail of an error of kind
/// [`ConsentRequired`](crate::ErrorKind::ConsentRequired).
///
/// ```
/// use tower_idaas::aliyun::ConsentRequired;
///
/// # fn hand_to_the_user(_: &str) {}
/// # fn example(error: &tower_idaas::Error) {
/// if let Some(consent) = ConsentRequired::of(error) {
///     hand_to_the_user(consent.expose_authorization_url());
/// }
/// # }
/// ```
///
/// The address lets any holder consent in the user's place, so neither `Display` nor `Debug` shows it.
pub struct ConsentRequired {
    pub(super) provider: String,
    pub(super) authorization_url: Secret,
    pub(super) session_uri: Option<Secret>,
}

impl ConsentRequired {
    /// The detail of the error, if it is of that kind.
    pub fn of(error: &Error) -> Option<&Self> {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(consent) = error.downcast_ref() {
                return Some(consent);
            }
            cause = error.source();
        }
        None
    }

    /// The credential provider's identifier.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The address where the user consents. Keep it out of logs, errors and `Debug`.
    pub fn expose_authorization_url(&self) -> &str {
        self.authorization_url.expose_secret()
    }

    /// The session's URI at IDaaS, which reports the progress of the consent, if the response has one. Keep it out of
    /// logs, errors and `Debug`.
    pub fn expose_session_uri(&self) -> Option<&str> {
        self.session_uri.as_ref().map(Secret::expose_secret)
    }
}

impl fmt::Display for ConsentRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a user must consent at provider {} first", self.provider)
    }
}

impl fmt::Debug for ConsentRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentRequired").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl StdError for ConsentRequired {}
