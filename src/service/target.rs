//! Where a request goes, as its URI says, in whichever of its two forms it comes.

use http::Uri;
use http::uri::Scheme;

#[cfg(feature = "reqwest")]
use crate::service::origins::default_port;

/// Where a request goes. Read in place: nothing is parsed before somebody asks, and nothing is copied.
///
/// Public only because a hidden method of the sealed [`HttpRequest`](super::HttpRequest) gives it; no path leads to it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Target<'a> {
    /// That of an `http::Request`.
    Uri(&'a Uri),
    /// That of a `reqwest::Request`.
    #[cfg(feature = "reqwest")]
    Url(&'a reqwest::Url),
}

impl<'a> Target<'a> {
    #[inline]
    pub(super) fn scheme(self) -> Option<&'a Scheme> {
        match self {
            Self::Uri(uri) => uri.scheme(),
            // Other schemes do not encrypt as far as anybody here knows; reqwest refuses them anyway.
            #[cfg(feature = "reqwest")]
            Self::Url(url) => Some(if url.scheme() == "https" { &Scheme::HTTPS } else { &Scheme::HTTP }),
        }
    }

    /// User information, if any, host, and port, if any.
    #[inline]
    pub(super) fn authority(self) -> Option<&'a str> {
        match self {
            Self::Uri(uri) => uri.authority().map(http::uri::Authority::as_str),
            #[cfg(feature = "reqwest")]
            Self::Url(url) => url.has_authority().then(|| url.authority()),
        }
    }

    /// The host; an IPv6 address in its brackets.
    pub(super) fn host(self) -> Option<&'a str> {
        match self {
            Self::Uri(uri) => uri.host(),
            #[cfg(feature = "reqwest")]
            Self::Url(url) => url.host_str(),
        }
    }

    /// The port, if it is spelled out.
    pub(super) fn port(self) -> Option<u16> {
        match self {
            Self::Uri(uri) => uri.port_u16(),
            #[cfg(feature = "reqwest")]
            Self::Url(url) => url.port(),
        }
    }

    /// A number that scheme, host and port have in common with no other, but by an odd chance (FNV-1a): to see
    /// whether two are the same, without a copy of either, where a mistake does no harm.
    #[cfg(feature = "reqwest")]
    pub(super) fn origin(self) -> u64 {
        let port = self.port().or(self.scheme().map(default_port)).unwrap_or_default();
        let scheme = u8::from(self.scheme() == Some(&Scheme::HTTPS));
        let host = self.host().unwrap_or_default().bytes().map(|byte| byte.to_ascii_lowercase());
        let bytes = host.chain(port.to_be_bytes()).chain([scheme]);
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

impl<'a> From<&'a Uri> for Target<'a> {
    #[inline]
    fn from(uri: &'a Uri) -> Self {
        Self::Uri(uri)
    }
}

#[cfg(feature = "reqwest")]
impl<'a> From<&'a reqwest::Url> for Target<'a> {
    #[inline]
    fn from(url: &'a reqwest::Url) -> Self {
        Self::Url(url)
    }
}

#[cfg(all(test, feature = "reqwest"))]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::*;
    use crate::service::destination::Destinations;

    #[test]
    fn a_url_says_what_the_uri_says_that_it_becomes() {
        for text in [
            "https://api.example.com",
            "HTTPS://User:Word@API.example.com:443/x?y#z",
            "http://api.example.com:8080/",
            "https://[::1]:8443/",
            "https://b\u{fc}cher.example/",
            "https://0x7f.1/",
            "https://api.example.com\\@evil.example/",
        ] {
            let url: Url = text.parse().unwrap();
            let uri: Uri = url.as_str().parse().unwrap();
            let (url, uri) = (Target::from(&url), Target::from(&uri));
            assert_eq!(
                (url.scheme(), url.authority(), url.host(), url.port()),
                (uri.scheme(), uri.authority(), uri.host(), uri.port()),
                "{text}"
            );
            assert_eq!(url.origin(), uri.origin(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_its_scheme_host_and_port_and_nothing_else() {
        let origin = |text: &'static str| Target::from(&Uri::from_static(text)).origin();
        for same in
            ["https://api.example.com/x?y", "HTTPS://API.example.com:443", "https://u:w@api.example.com/"]
        {
            assert_eq!(origin(same), origin("https://api.example.com"), "{same}");
        }
        for other in ["http://api.example.com", "https://api.example.com:444", "https://ap.example.com", "/x"]
        {
            assert_ne!(origin(other), origin("https://api.example.com"), "{other}");
        }
    }

    #[test]
    fn what_is_neither_http_nor_https_gets_no_token() {
        for text in ["ftp://api.example.com/", "data:text/plain,x", "file:///x", "wss://api.example.com/"] {
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
