//! Where a token may go: nowhere in plain text, unless told so.

use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;

use crate::error::{Error, ErrorKind};
use crate::loopback::is_loopback;

/// The hosts that may get a token over plain HTTP, beside this machine itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations {
    plaintext: Arc<[String]>,
}

impl Destinations {
    pub(super) fn allow_plaintext(&mut self, host: String) {
        self.plaintext = self.plaintext.iter().cloned().chain([host]).collect();
    }

    /// Whether a token may go there. A request without a scheme is for the inner service to place.
    #[inline]
    pub(super) fn check(&self, uri: &Uri) -> Result<(), Error> {
        match uri.scheme() {
            None => Ok(()),
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(()),
            Some(_) => self.check_plaintext(uri),
        }
    }

    #[cold]
    fn check_plaintext(&self, uri: &Uri) -> Result<(), Error> {
        let host = uri.host().unwrap_or_default();
        if is_loopback(host) || self.plaintext.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Destination,
            format!(
                "the token was not sent to {host} over plain text; use https, or allow the host with `allow_plaintext`"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_goes_to_this_machine_and_to_hosts_allowed_by_name_only() {
        let mut destinations = Destinations::default();
        destinations.allow_plaintext("orders.internal".into());
        for (uri, allowed) in [
            ("https://api.example.com/x", true),
            ("/x", true),
            ("http://localhost:80/x", true),
            ("http://127.0.0.1/x", true),
            ("http://[::1]/x", true),
            ("http://Orders.Internal/x", true),
            ("http://orders.internal.evil.example/x", false),
            ("http://api.example.com/x", false),
            ("http://127.0.0.1.evil.example/x", false),
        ] {
            assert_eq!(destinations.check(&Uri::from_static(uri)).is_ok(), allowed, "{uri}");
        }
    }
}
