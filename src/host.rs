//! Recognizes hosts that are this machine. Keeping a request for such a host here is the HTTP client's task: a proxy
//! would take it elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr};

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

#[cfg(test)]
mod tests {
    use super::*;

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
