//! Where a token may go: to the origins on a list, if there is one, and over plain HTTP only to this machine and to
//! hosts that the layer allows.

use std::sync::Arc;

use http::uri::Scheme;

use crate::error::{ConfigError, ConfigFault, Error, ErrorKind};
use crate::host::is_loopback;
use crate::service::origin::{Origin, PlaintextHost, admit};
use crate::service::target::Target;

/// The destinations that may get a token.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations {
    /// `None` allows every origin.
    origins: Option<Arc<[Origin]>>,
    /// The hosts that may get a token over plain HTTP, beside this machine.
    plaintext: Arc<[PlaintextHost]>,
    /// What happens to a request to another destination.
    pub(super) elsewhere: Elsewhere,
}

/// What happens to a request to a destination that may not get a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Elsewhere {
    #[default]
    Refused,
    WithoutToken,
}

/// Why a destination may not get a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    NotListed,
    Plaintext,
}

impl Destinations {
    pub(super) fn allow_plaintext(&mut self, text: &str) -> Result<(), ConfigError> {
        let host = PlaintextHost::parse(text)
            .map_err(|problem| ConfigError::all(None, vec![fault("allow_plaintext", text, problem)]))?;
        self.plaintext = self.plaintext.iter().cloned().chain([host]).collect();
        Ok(())
    }

    /// Adds to the list; the first call creates it.
    pub(super) fn allow_origins<T: AsRef<str>>(
        &mut self,
        origins: impl IntoIterator<Item = T>,
    ) -> Result<(), ConfigError> {
        let mut allowed = self.origins.as_deref().unwrap_or_default().to_vec();
        let mut faults = Vec::new();
        for text in origins {
            let text = text.as_ref();
            match Origin::parse(text) {
                Ok(origin) => allowed.push(origin),
                Err(problem) => faults.push(fault("allow_origins", text, problem)),
            }
        }
        if !faults.is_empty() {
            return Err(ConfigError::all(None, faults));
        }
        self.origins = Some(allowed.into());
        Ok(())
    }

    /// Checks whether a token may go to the target. A target without a host is allowed only without a list: the inner
    /// service chooses the host. A target with a host but without a scheme counts as plain HTTP.
    #[inline]
    pub(super) fn check<'a>(&self, target: impl Into<Target<'a>>) -> Result<(), Unfit> {
        let target = target.into();
        if let Some(origins) = &self.origins
            && !admit(origins, target)
        {
            return Err(Unfit::NotListed);
        }
        match target.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(()),
            None if target.authority().is_none() => Ok(()),
            _ => self.check_plaintext(target),
        }
    }

    #[cold]
    fn check_plaintext(&self, target: Target<'_>) -> Result<(), Unfit> {
        let host = target.host().unwrap_or_default();
        let allowed = is_loopback(host) || self.plaintext.iter().any(|allowed| allowed.admits(target));
        if allowed { Ok(()) } else { Err(Unfit::Plaintext) }
    }
}

/// The fault of an entry of a list.
fn fault(method: &str, entry: &str, problem: &str) -> ConfigFault {
    // The text before the host may hold a password.
    let entry: String = entry.rsplit('@').next().unwrap_or_default().chars().take(255).collect();
    ConfigFault::new(method, format!("entry `{}` {problem}", entry.escape_debug()))
}

impl Unfit {
    #[cold]
    pub(super) fn error<'a>(self, target: impl Into<Target<'a>>) -> Error {
        let target = target.into();
        // Without user information, path and query: they may hold secrets. No name that resolves is longer.
        let host: String = target.host().unwrap_or_default().chars().take(255).collect();
        let message = match (self, target.scheme()) {
            (Self::Plaintext, _) => format!(
                "the token was not sent to {host} over plain text; use https, or allow the host with `allow_plaintext`"
            ),
            (Self::NotListed, Some(scheme)) if !host.is_empty() => {
                let port = target.port().map_or(String::new(), |port| format!(":{port}"));
                format!(
                    "the token was not sent to {scheme}://{host}{port}, which is not one of the origins allowed; if it is right, add it with `allow_origins`"
                )
            }
            (Self::NotListed, _) => {
                "the token was not sent: the request's URI has no scheme and host to compare with the origins allowed; send it with a whole URI"
                    .to_owned()
            }
        };
        Error::new(ErrorKind::Destination, message)
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    #[test]
    fn plain_text_goes_to_this_machine_and_to_hosts_allowed_by_name_only() {
        let mut destinations = Destinations::default();
        destinations.allow_plaintext("orders.internal").unwrap();
        for (uri, allowed) in [
            ("https://api.example.com/x", true),
            ("/x", true),
            ("http://localhost:80/x", true),
            ("http://LOCALHOST/x", true),
            ("http://127.255.0.9/x", true),
            ("http://[::ffff:127.0.0.1]/x", true),
            // A resolver may map these to another machine.
            ("http://orders.localhost/x", false),
            ("http://localhost./x", false),
            ("http://127.1/x", false),
            ("http://0.0.0.0/x", false),
            ("http://[::ffff:10.0.0.1]/x", false),
            ("http://127.0.0.1/x", true),
            ("http://[::1]/x", true),
            ("http://Orders.Internal/x", true),
            ("http://orders.internal.evil.example/x", false),
            ("http://api.example.com/x", false),
            ("http://127.0.0.1.evil.example/x", false),
            ("api.example.com:80", false),
            ("api.example.com:443", false),
            ("localhost:80", true),
            ("orders.internal:80", true),
        ] {
            assert_eq!(destinations.check(&Uri::from_static(uri)).is_ok(), allowed, "{uri}");
        }
    }

    #[test]
    fn a_plaintext_entry_with_a_port_admits_that_port_and_none_that_is_guessed() {
        for (entry, uri, allowed) in [
            ("orders.internal:8080", "http://orders.internal:8080/", true),
            ("orders.internal:8080", "http://user@orders.internal:8080/", true),
            ("orders.internal:8080", "orders.internal:8080", true),
            ("orders.internal:80", "http://orders.internal/", true),
            ("orders.internal:80", "http://orders.internal:/", true),
            ("orders.internal:443", "http://orders.internal/", false),
            // A scheme that has no port of its own, ports that are none, and no scheme.
            ("orders.internal:443", "other://orders.internal/", false),
            ("orders.internal:80", "other://orders.internal/", false),
            ("orders.internal:80", "http://orders.internal:99999/", false),
            ("orders.internal:80", "orders.internal", false),
            ("orders.internal", "other://orders.internal/", true),
        ] {
            let mut destinations = Destinations::default();
            destinations.allow_plaintext(entry).unwrap();
            assert_eq!(destinations.check(&Uri::from_static(uri)).is_ok(), allowed, "{entry} {uri}");
        }
    }

    #[test]
    fn with_a_list_plain_text_needs_an_entry_and_the_permission() {
        let mut destinations = Destinations::default();
        destinations.allow_plaintext("orders.internal").unwrap();
        destinations.allow_plaintext("stock.internal").unwrap();
        destinations
            .allow_origins([
                "https://api.example.com",
                "http://api.example.com",
                "http://stock.internal:8080",
            ])
            .unwrap();
        destinations.allow_origins(["http://localhost:8080"]).unwrap();
        for (uri, check) in [
            ("https://api.example.com/", Ok(())),
            ("http://api.example.com/", Err(Unfit::Plaintext)),
            ("http://stock.internal:8080/", Ok(())),
            ("http://stock.internal/", Err(Unfit::NotListed)),
            ("http://orders.internal/", Err(Unfit::NotListed)),
            ("http://localhost:8080/", Ok(())),
            ("http://localhost:8081/", Err(Unfit::NotListed)),
            ("https://other.example.com/", Err(Unfit::NotListed)),
            ("/x", Err(Unfit::NotListed)),
        ] {
            assert_eq!(destinations.check(&Uri::from_static(uri)), check, "{uri}");
        }
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let mut destinations = Destinations::default();
        destinations.allow_origins([""; 0]).unwrap();
        assert_eq!(destinations.check(&Uri::from_static("https://a.example/")), Err(Unfit::NotListed));
    }

    #[test]
    fn all_bad_entries_are_reported_at_once_and_change_nothing() {
        let mut destinations = Destinations::default();
        let error =
            destinations.allow_origins(["a", "https://a.example", "https://b.example/x"]).unwrap_err();
        assert_eq!(error.faults().len(), 2);
        assert_eq!(
            error.to_string(),
            "configuration has 2 faults: `allow_origins` entry `a` has no scheme; expected `https://` and a host; \
             `allow_origins` entry `https://b.example/x` has a path; expected scheme, host and port alone"
        );
        assert_eq!(destinations.check(&Uri::from_static("https://c.example/")), Ok(()));
        let error = destinations.allow_origins(["https://u:marker@b.example"]).unwrap_err();
        assert!(!error.to_string().contains("marker"), "{error}");
    }

    #[test]
    fn an_error_names_the_origin_and_nothing_else_of_the_uri() {
        for (uri, unfit) in [
            ("https://u:marker@evil.example:8443/marker?marker", Unfit::NotListed),
            ("http://u:marker@evil.example/marker?marker", Unfit::Plaintext),
            ("/marker", Unfit::NotListed),
        ] {
            let error = unfit.error(&Uri::from_static(uri)).to_string();
            assert!(!error.contains("marker"), "{error}");
        }
        let long = format!("https://{}/", "h".repeat(4000)).parse::<Uri>().unwrap();
        for unfit in [Unfit::NotListed, Unfit::Plaintext] {
            assert!(unfit.error(&long).to_string().len() < 500);
        }
        let hostless = Unfit::NotListed.error(&Uri::from_static("https://:8443/")).to_string();
        assert!(hostless.contains("no scheme and host"), "{hostless}");
        let error = Unfit::NotListed.error(&Uri::from_static("https://evil.example:8443/")).to_string();
        assert!(error.contains("https://evil.example:8443,"), "{error}");
    }

    #[cfg(feature = "reqwest")]
    mod over_reqwest {
        use ::reqwest::Url;
        use proptest::prelude::*;

        use super::*;

        #[test]
        fn what_is_neither_http_nor_https_gets_no_token() {
            for text in ["ftp://api.example.com/", "data:text/plain,x", "file:///x", "wss://api.example.com/"]
            {
                let url: Url = text.parse().unwrap();
                assert!(Destinations::default().check(&url).is_err(), "{text}");
            }
        }

        proptest! {
            /// Reqwest sends to the URI that a URL becomes: the check of the URL must hold for it.
            #[test]
            fn where_a_url_may_go_its_uri_may(
                text in "https?:[/\\\\]{0,3}([a-z:]{0,3}@)?(api[.]example[.]com|[ -~]{0,12})(:[0-9]{0,5})?[/?#\\\\@]?[ -~]{0,9}",
            ) {
                let mut destinations = Destinations::default();
                destinations.allow_origins(["https://api.example.com", "https://*.example.com", "https://[::1]"]).unwrap();
                let Ok(url) = text.parse::<Url>() else { return Ok(()) };
                let Ok(uri) = url.as_str().parse::<Uri>() else { return Ok(()) };
                prop_assert_eq!(destinations.check(&url), destinations.check(&uri), "{}", url);
                let anywhere = Destinations::default();
                prop_assert_eq!(anywhere.check(&url), anywhere.check(&uri), "{}", url);
            }
        }
    }
}
