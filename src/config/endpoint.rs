//! URLs of endpoints.

use std::net::Ipv6Addr;

use http::Uri;

use crate::host::{bracketed, is_loopback};

/// An endpoint, and whether it was changed from plain HTTP to HTTPS.
#[derive(Debug, PartialEq)]
pub(super) struct Endpoint {
    pub(super) uri: Uri,
    pub(super) upgraded: bool,
}

/// Whether a URL may carry a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    Allowed,
    Refused,
}

/// Parses an endpoint as files spell it, or says what is wrong without showing it, because it may hold a password.
pub(super) fn parse(text: &str, query: Query) -> Result<Endpoint, &'static str> {
    let text = text.trim();
    if !text.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'\\') {
        return Err("has a character that no URL may hold; expected printable ASCII without spaces");
    }
    if text.contains('#') {
        return Err("has a fragment (`#…`); remove it");
    }
    if query == Query::Refused && text.contains('?') {
        return Err("has a query (`?…`); remove it");
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, text),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user name or password; remove it, the client authenticates by other means");
    }
    let host = host_of(authority)?;
    let scheme = match scheme.as_deref() {
        Some("https") => "https",
        Some("http") if is_loopback(host) => "http",
        Some("http") => "https",
        Some(_) => return Err("has a scheme other than https; expected `https://host/path`"),
        // A single word is more likely a mistake than a host name, unless it has a port.
        None if host.contains(['.', ':']) || host.len() < authority.len() || is_loopback(host) => "https",
        None => return Err("is not a URL; expected `https://host/path`"),
    };
    let upgraded =
        scheme == "https" && text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("http:"));
    let uri =
        format!("{scheme}://{rest}").parse().map_err(|_| "is not a URL; expected `https://host/path`")?;
    Ok(Endpoint { uri, upgraded })
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_of(authority: &str) -> Result<&str, &'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() {
        return Err("has no host; expected `https://host/path`");
    }
    if port
        .is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err())
    {
        return Err("has a port that is no number from 0 to 65535");
    }
    let is_name =
        |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    match bracketed(host) {
        Some(address) if address.parse::<Ipv6Addr>().is_err() => Err("has a malformed IPv6 address as host"),
        None if !is_name(host) => Err("has a host with a character that no host may hold"),
        _ => Ok(host),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints_as_people_write_them_become_https_urls() {
        for (text, uri, upgraded) in [
            ("https://t.example.com/token", "https://t.example.com/token", false),
            ("HTTPS://t.example.com/token", "https://t.example.com/token", false),
            (" https://t.example.com/token\n", "https://t.example.com/token", false),
            ("https://t.example.com/token?a=b&c", "https://t.example.com/token?a=b&c", false),
            ("https://t.example.com/a@b", "https://t.example.com/a@b", false),
            ("t.example.com/token", "https://t.example.com/token", false),
            ("eiam.cn-hangzhou.aliyuncs.com", "https://eiam.cn-hangzhou.aliyuncs.com/", false),
            ("t.example.com:8443/token", "https://t.example.com:8443/token", false),
            ("localhost:8443/token", "https://localhost:8443/token", false),
            ("idaas:8443/token", "https://idaas:8443/token", false),
            ("http://t.example.com/token", "https://t.example.com/token", true),
            ("Http://t.example.com/token", "https://t.example.com/token", true),
            ("http://localhost.example.com/", "https://localhost.example.com/", true),
            ("http://127.0.0.1.example.com/", "https://127.0.0.1.example.com/", true),
            ("http://localhost:80/token", "http://localhost:80/token", false),
            ("http://idaas.localhost/", "https://idaas.localhost/", true),
            ("http://127.9.9.9:1/", "http://127.9.9.9:1/", false),
            ("http://[::1]:8080/x", "http://[::1]:8080/x", false),
            ("http://[::2]/x", "https://[::2]/x", true),
        ] {
            let endpoint = parse(text, Query::Allowed).unwrap();
            assert_eq!((endpoint.uri.to_string().as_str(), endpoint.upgraded), (uri, upgraded), "{text}");
        }
    }

    #[test]
    fn every_malformed_endpoint_is_refused_with_the_reason() {
        for (text, reason) in [
            ("abc", "is not a URL"),
            ("mailto:x", "has a port"),
            ("ftp://t.example.com/", "scheme other than https"),
            ("https://", "has no host"),
            ("https:///path", "has no host"),
            ("https://:443/path", "has no host"),
            ("//t.example.com/", "has no host"),
            ("https://user:pass@t.example.com/", "user name or password"),
            ("user:pass@t.example.com/", "user name or password"),
            ("https://t.example.com/#x", "fragment"),
            ("https://t.example.com/\nx", "no URL may hold"),
            ("https://t.example.com/a b", "no URL may hold"),
            ("https://t.example.com/\u{7f}", "no URL may hold"),
            ("https://t.éxample.com/", "no URL may hold"),
            ("https:\\\\t.example.com", "no URL may hold"),
            ("https://t.example.com:/", "has a port"),
            ("https://t.example.com:+80/", "has a port"),
            ("https://t.example.com:65536/", "has a port"),
            ("https://[::g]/", "IPv6"),
            ("https://t.exam$ple.com/", "host with a character"),
        ] {
            let problem = parse(text, Query::Allowed).unwrap_err();
            assert!(problem.contains(reason), "{text}: {problem}");
        }
        assert!(parse("https://t.example.com/?a", Query::Refused).unwrap_err().contains("query"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_or_go_elsewhere_in_plain_text(text in ".{0,40}|https?://[a-z0-9:@./#?\\[\\]-]{0,24}") {
            if let Ok(Endpoint { uri, .. }) = parse(&text, Query::Allowed) {
                let host = uri.host().unwrap();
                prop_assert!(!host.is_empty());
                prop_assert!(uri.scheme_str() == Some("https") || is_loopback(host));
                prop_assert!(!uri.authority().unwrap().as_str().contains('@'));
            }
        }
    }
}
