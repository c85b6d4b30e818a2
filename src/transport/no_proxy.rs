//! `NO_PROXY`: the hosts that are reached without a proxy, in the forms that other programs take as well.

use std::net::IpAddr;

use crate::host::bracketed;

/// What the variable exempts.
#[derive(Debug, Default, PartialEq)]
pub(super) struct NoProxy {
    /// Names, each with its subdomains, addresses, networks, or `*`.
    pub(super) hosts: Vec<String>,
    /// Names and addresses at one port only.
    pub(super) at_ports: Vec<(u16, String)>,
}

impl NoProxy {
    /// Items between commas or blanks. A warning names an item that can match nothing by its position only: when two
    /// variables are swapped, this one has a password.
    pub(super) fn parse(text: &str, variable: &str) -> Self {
        let mut exempt = Self::default();
        let items = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty());
        for (index, item) in items.enumerate() {
            let (host, port) = split(item);
            let host = host.strip_prefix("*").filter(|rest| rest.starts_with('.')).unwrap_or(host);
            let host = host.strip_suffix('.').unwrap_or(host);
            match port.map(str::parse) {
                _ if !may_match(host) => warn(variable, index + 1),
                None => exempt.hosts.push(host.to_owned()),
                Some(Ok(port)) => exempt.at_ports.push((port, host.to_owned())),
                Some(Err(_)) => warn(variable, index + 1),
            }
        }
        exempt
    }
}

/// The host without brackets, and the port if there is one. A bare IPv6 address has none.
fn split(item: &str) -> (&str, Option<&str>) {
    match item.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || bracketed(host).is_some() => {
            (bracketed(host).unwrap_or(host), Some(port))
        }
        _ => (bracketed(item).unwrap_or(item), None),
    }
}

fn may_match(host: &str) -> bool {
    let is_name =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let address = match host.split_once('/') {
        Some((address, bits)) if bits.parse::<u8>().is_ok_and(|bits| bits <= 128) => address,
        _ => host,
    };
    host == "*" || is_name || address.parse::<IpAddr>().is_ok()
}

fn warn(variable: &str, place: usize) {
    tracing::warn!(
        "configuration: item {place} of environment variable {variable} is no host that could be matched and is ignored; \
         expected names, addresses or networks, each with or without a port"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Vec<String> {
        let NoProxy { hosts, at_ports } = NoProxy::parse(text, "NO_PROXY");
        assert_eq!(at_ports, []);
        hosts
    }

    #[test]
    fn commas_and_blanks_part_the_items() {
        assert_eq!(
            hosts("a.example, b.example c.example,,\td.example"),
            ["a.example", "b.example", "c.example", "d.example"]
        );
        assert_eq!(hosts(" , "), [""; 0]);
    }

    #[test]
    fn a_star_before_a_name_is_as_good_as_none() {
        assert_eq!(hosts("*.example.com,.example.org,*"), [".example.com", ".example.org", "*"]);
    }

    #[test]
    fn the_dot_at_the_end_of_a_name_that_is_complete_does_not_count() {
        assert_eq!(hosts("a.example., .b.example."), ["a.example", ".b.example"]);
        assert_eq!(hosts("."), [""; 0]);
    }

    #[test]
    fn addresses_and_networks_are_not_taken_for_hosts_with_ports() {
        let all = ["10.0.0.0/8", "::1", "2001:db8::/32", "192.0.2.1"];
        assert_eq!(hosts(&all.join(",")), all);
        assert_eq!(hosts("[2001:db8::1]"), ["2001:db8::1"]);
    }

    #[test]
    fn a_port_is_kept_with_its_host() {
        let exempt = NoProxy::parse("a.example:8443,*.b.example:443,[2001:db8::1]:1", "NO_PROXY");
        let expected = [(8443, "a.example".into()), (443, ".b.example".into()), (1, "2001:db8::1".into())];
        assert_eq!(exempt, NoProxy { hosts: vec![], at_ports: expected.into() });
    }

    #[test]
    fn what_can_match_nothing_is_left_out() {
        assert_eq!(
            hosts("https://a.example/ a*.example 10.* a.example: a.example:99999 10.0.0.0/x user:p@b"),
            [""; 0]
        );
    }
}
