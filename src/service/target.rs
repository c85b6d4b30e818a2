//! Where a request goes, as its URI says, in whichever of its two forms it comes.

use http::Uri;
use http::uri::Scheme;

/// Where a request goes. Read in place: nothing is parsed before somebody asks, and nothing is copied.
#[derive(Clone, Copy, Debug)]
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
