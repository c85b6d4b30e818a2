//! Where a request goes, by the URI of `http` or the URL of reqwest.

use http::Uri;
use http::uri::Scheme;

/// Where a request goes. Read in place: nothing is parsed before it is needed, and nothing is copied.
///
/// Public only because a hidden method of the sealed [`HttpRequest`](super::HttpRequest) returns it; it cannot be named
/// outside this crate.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Target<'a> {
    /// The URI of an `http::Request`.
    Uri(&'a Uri),
    /// The URL of a `reqwest::Request`.
    #[cfg(feature = "reqwest")]
    Url(&'a ::reqwest::Url),
}

impl<'a> Target<'a> {
    #[inline]
    pub(super) fn scheme(self) -> Option<&'a Scheme> {
        match self {
            Self::Uri(uri) => uri.scheme(),
            // Whether another scheme encrypts is not known; reqwest refuses it anyway.
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

    /// A hash of scheme, host and port: it compares two origins without a copy of either, where a collision does little
    /// harm. Many hits compute it, so it takes eight bytes at a time.
    #[inline]
    pub(super) fn origin(self) -> u64 {
        let https = self.scheme() == Some(&Scheme::HTTPS);
        let authority = self.authority().unwrap_or_default();
        let authority = authority.strip_suffix(if https { ":443" } else { ":80" }).unwrap_or(authority);
        let authority = authority.strip_suffix(':').unwrap_or(authority).as_bytes();
        let mut hash = Hash::new(https, authority.len());
        let (words, rest) = authority.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            if contains_at(word) {
                return without_user(https, authority);
            }
            hash.add(word);
        }
        let rest = rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        if contains_at(rest) {
            return without_user(https, authority);
        }
        hash.add(rest);
        hash.0
    }
}

/// The origin of an authority with user information, which is no part of it.
#[cold]
fn without_user(https: bool, authority: &[u8]) -> u64 {
    let at = authority.iter().rposition(|byte| *byte == b'@');
    let host = at.and_then(|at| authority.get(at + 1..)).unwrap_or_default();
    let mut hash = Hash::new(https, host.len());
    let (words, rest) = host.as_chunks::<8>();
    words.iter().for_each(|word| hash.add(u64::from_le_bytes(*word)));
    hash.add(rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)));
    hash.0
}

/// The multiplicative hash of rustc.
struct Hash(u64);

impl Hash {
    #[inline]
    fn new(https: bool, length: usize) -> Self {
        Self(u64::from(https) ^ ((length as u64) << 1))
    }

    /// Ignores letter case.
    #[inline]
    fn add(&mut self, word: u64) {
        let lower = word | 0x2020_2020_2020_2020;
        self.0 = (self.0.rotate_left(5) ^ lower).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

/// Whether one of the eight bytes is an `@`.
#[inline]
fn contains_at(word: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let zero_where_at = word ^ (LOW * b'@' as u64);
    zero_where_at.wrapping_sub(LOW) & !zero_where_at & (LOW << 7) != 0
}

impl<'a> From<&'a Uri> for Target<'a> {
    #[inline]
    fn from(uri: &'a Uri) -> Self {
        Self::Uri(uri)
    }
}

#[cfg(feature = "reqwest")]
impl<'a> From<&'a ::reqwest::Url> for Target<'a> {
    #[inline]
    fn from(url: &'a ::reqwest::Url) -> Self {
        Self::Url(url)
    }
}

/// The port of a target that names none. Where requests of other schemes go, only the inner service knows.
pub(super) fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme {
        scheme if *scheme == Scheme::HTTPS => Some(443),
        scheme if *scheme == Scheme::HTTP => Some(80),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(text: &str) -> u64 {
        Target::from(&text.parse::<Uri>().unwrap()).origin()
    }

    #[test]
    fn an_origin_is_its_scheme_host_and_port_and_nothing_else() {
        for same in [
            "https://api.example.com/x?y",
            "HTTPS://API.example.com:443",
            "https://u:w@api.example.com/",
            "https://a-very-long-user:with-a-long-word@api.example.com:443/",
            "https://api.example.com:/",
        ] {
            assert_eq!(origin(same), origin("https://api.example.com"), "{same}");
        }
        for other in [
            "http://api.example.com",
            "https://api.example.com:444",
            "https://api.example.com:80",
            "https://ap.example.com",
            "https://apj.example.com",
            "https://api.example.con",
            "/x",
        ] {
            assert_ne!(origin(other), origin("https://api.example.com"), "{other}");
        }
    }

    #[cfg(feature = "reqwest")]
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
            let url: ::reqwest::Url = text.parse().unwrap();
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

    proptest! {
        #[test]
        fn two_hosts_have_two_origins_whatever_their_case(a in "[a-zA-Z0-9.-]{1,30}", b in "[a-zA-Z0-9.-]{1,30}") {
            let of = |host: &str| format!("https://{host}/").parse::<Uri>().map(|uri| Target::from(&uri).origin());
            if let (Ok(one), Ok(other)) = (of(&a), of(&b)) {
                prop_assert_eq!(one == other, a.eq_ignore_ascii_case(&b));
                prop_assert_eq!(Ok(one), of(&a.to_ascii_uppercase()).map_err(|_| ()));
            }
        }
    }
}
