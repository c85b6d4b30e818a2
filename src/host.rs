//! Recognizes hosts that are this machine. Keeping a request for such a host here is the HTTP client's task: a proxy
//! would take it elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr};

#[cfg(feature = "transport")]
use http::uri::Authority;

/// Whether the host, as [`http::Uri::host`] returns it, is certainly this machine: a loopback address, or exactly
/// `localhost`. Names below `localhost`, and `localhost.`, depend on the resolver.
pub(crate) fn is_loopback(host: &str) -> bool {
    let is_loopback = |address: Ipv6Addr| {
        address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || bracketed(host).is_some_and(|inner| inner.parse().is_ok_and(is_loopback))
}

/// The text between the brackets of an IPv6 host.
pub(crate) fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// Whether the authority has no port, or a number that one can connect to. The parser of `http` accepts any text there,
/// and what it cannot read as a number counts as no port: the request would go to the scheme's own.
#[cfg(feature = "transport")]
pub(crate) fn has_usable_port(authority: &Authority) -> bool {
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    match place.strip_prefix(authority.host()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
        }),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "transport")]
    #[test]
    fn a_port_that_cannot_be_read_is_not_taken_for_none() {
        for good in ["h", "h:1", "h:65535", "[::1]", "[::1]:443", "user@h:80"] {
            assert!(has_usable_port(&good.parse().unwrap()), "{good}");
        }
        for bad in ["h:", "h:0", "h:65536", "h:99999", "h:+80", "h:8o", "[::1]:99999", "u:1@h:x"] {
            // Some of these the parser refuses itself.
            assert!(!bad.parse().is_ok_and(|authority| has_usable_port(&authority)), "{bad}");
        }
    }

    #[test]
    fn names_and_addresses_of_this_machine_and_nothing_like_them() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.",
            "idaas.localhost",
            "127.1",
            "[::ffff:10.0.0.1]",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "128.0.0.1",
            "[::2]",
            "::1",
            "[::1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
