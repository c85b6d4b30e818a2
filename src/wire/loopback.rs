//! Which hosts are this machine. That a request for one stays here is for its client to see to: one that takes it to a
//! proxy takes it elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether the host, as [`http::Uri::host`] gives it, is this machine and no other.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || bracketed(host).is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok_and(|a| a.is_loopback()))
}

/// What is between the brackets of an IPv6 host.
pub(crate) fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_this_machine_and_nothing_like_them() {
        for host in ["localhost", "LOCALHOST.", "idaas.localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "localhost.example.com", "127.0.0.1.example.com", "128.0.0.1", "[::2]", "::1", "[::1"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
