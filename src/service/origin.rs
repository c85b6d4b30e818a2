//! Origins, and which of them are on a list.
//!
//! A destination is read from the request's URI once and compared with each entry; nothing is allocated.

use std::net::Ipv6Addr;

use http::uri::Scheme;

use crate::host::bracketed;
use crate::service::public_suffix::is_public_suffix;
use crate::service::target::{Target, default_port};

/// One entry of a list: scheme, host and port (RFC 6454), or a host's sub-domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
    /// Host and port in their usual spelling, in lower case and as short as possible; `None` for sub-domains.
    usual: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(Box<str>),
    /// Sub-domains of this name, at any depth.
    Subdomains(Box<str>),
    /// Parsed, because an address has many spellings.
    Address(Ipv6Addr),
}

const OTHER_SCHEME: &str = "has another scheme than `https` and `http`";

impl Origin {
    /// Parses an entry, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme; expected `https://` and a host")?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::HTTPS,
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::HTTP,
            _ => return Err(OTHER_SCHEME),
        };
        // The text of a `Uri` or a `Url` without a path ends with a slash.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err("has a path; expected scheme, host and port alone");
        }
        if rest.contains('@') {
            return Err("names a user; expected scheme, host and port alone");
        }
        if !rest.is_ascii() {
            return Err("has a host that is not ASCII; write it in Punycode, `xn--…`");
        }
        let (host, port) = split_port(rest);
        let port = match port {
            None => default_port(&scheme).ok_or(OTHER_SCHEME)?,
            Some(digits) => parse_port(digits).ok_or("has no number from 0 to 65535 for its port")?,
        };
        let (host, name) = (Host::parse(host)?, host);
        let usual = match (&host, Some(port) == default_port(&scheme)) {
            (Host::Subdomains(_), _) => None,
            (_, true) => Some(name.to_ascii_lowercase().into()),
            (_, false) => Some(format!("{}:{port}", name.to_ascii_lowercase()).into()),
        };
        Ok(Self { scheme, host, port, usual })
    }

    /// Whether the destination is this origin in its usual spelling: most requests need no further comparison.
    #[inline]
    fn is_written(&self, scheme: &Scheme, authority: &str) -> bool {
        self.usual.as_deref() == Some(authority) && self.scheme == *scheme
    }

    fn admits(&self, destination: &Destination<'_>) -> bool {
        self.port == destination.port
            && self.scheme == *destination.scheme
            && self.host.admits(destination.host)
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('[') {
            return parse_address(text).map(Self::Address).ok_or("has no IPv6 address in its brackets");
        }
        let (name, subdomains) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err("has a `*` that does not stand for all sub-domains; expected `*.` and a host");
        }
        if !is_name(name) {
            return Err(
                "has no host that can be compared; expected letters, digits, `-`, `_` and single dots",
            );
        }
        if !subdomains {
            return Ok(Self::Name(name.into()));
        }
        // A name that ends in a number is read as an IPv4 address, and those have no sub-domains.
        if name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit())) {
            return Err("allows sub-domains of an address");
        }
        if is_public_suffix(name) {
            return Err(
                "allows sub-domains of a public suffix, where strangers have names; name your own domain",
            );
        }
        Ok(Self::Subdomains(name.into()))
    }

    fn admits(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case(host),
            Self::Subdomains(of) => is_subdomain(host, of),
            Self::Address(address) => parse_address(host) == Some(*address),
        }
    }
}

/// A host that may get a token over plain HTTP, at one port or at every port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlaintextHost {
    host: Host,
    port: Option<u16>,
}

impl PlaintextHost {
    /// Parses an entry, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains("://") {
            return Err("has a scheme; expected a host alone, or a host and a port");
        }
        if text.contains('/') {
            return Err(
                "has a path or the length of a network's prefix; expected a host, such as one address",
            );
        }
        if text.contains(['?', '#']) {
            return Err("has a query; expected a host alone, or a host and a port");
        }
        if text.contains('@') {
            return Err("names a user; expected a host alone, or a host and a port");
        }
        if !text.is_ascii() {
            return Err("has a host that is not ASCII; write it in Punycode, `xn--…`");
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err("is an IPv6 address without its brackets; write `[…]`");
        }
        let (host, port) = split_port(text);
        let port = match port {
            None => None,
            Some(digits) => Some(parse_port(digits).ok_or("has no number from 0 to 65535 for its port")?),
        };
        Ok(Self { host: Host::parse(host)?, port })
    }

    /// Whether the entry matches the target.
    pub(super) fn admits(&self, target: Target<'_>) -> bool {
        let is_port = self.port.is_none_or(|port| port_of(target) == Some(port));
        is_port && self.host.admits(target.host().unwrap_or_default())
    }
}

/// Whether the list has the target. A target without a scheme or a host has no origin.
pub(super) fn admit<'a>(origins: &[Origin], target: impl Into<Target<'a>>) -> bool {
    let target = target.into();
    let (Some(scheme), Some(authority)) = (target.scheme(), target.authority()) else {
        return false;
    };
    origins.iter().any(|origin| origin.is_written(scheme, authority))
        || Destination::new(target)
            .is_some_and(|destination| origins.iter().any(|origin| origin.admits(&destination)))
}

/// Where a request goes.
struct Destination<'a> {
    scheme: &'a Scheme,
    host: &'a str,
    port: u16,
}

impl<'a> Destination<'a> {
    fn new(target: Target<'a>) -> Option<Self> {
        Some(Self { scheme: target.scheme()?, host: target.host()?, port: port_of(target)? })
    }
}

/// The port to which a request goes, if all clients read it alike.
fn port_of(target: Target<'_>) -> Option<u16> {
    // The text before the host does not change where the request goes. The host may be followed only by a port,
    // because clients differ in how they read anything else.
    let after_user = target.authority()?.rsplit('@').next()?;
    match after_user.strip_prefix(target.host()?)? {
        "" | ":" => default_port(target.scheme()?),
        rest => parse_port(rest.strip_prefix(':')?),
    }
}

/// Host and port; a colon within brackets belongs to the host.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    // The parser alone would accept a leading `+`.
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn parse_address(host: &str) -> Option<Ipv6Addr> {
    bracketed(host)?.parse().ok()
}

/// Whether the text is labels and dots: no label is empty, so neither end is a dot.
fn is_name(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

fn is_subdomain(host: &str, of: &str) -> bool {
    let Some((below, domain)) = host.len().checked_sub(of.len()).and_then(|at| host.split_at_checked(at))
    else {
        return false;
    };
    domain.eq_ignore_ascii_case(of) && below.strip_suffix('.').is_some_and(is_name)
}

#[cfg(test)]
mod tests;
