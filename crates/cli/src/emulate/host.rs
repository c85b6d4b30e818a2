//! `--host`: under which name or address clients reach the emulator, and where it listens for that.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// How clients reach the emulator from elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) name: String,
    /// What it listens on.
    pub(super) address: IpAddr,
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let address = match in_brackets {
            Some(address) => address.parse().map(IpAddr::V6).ok(),
            None => name.parse::<IpAddr>().ok(),
        };
        match address {
            Some(address) if address.is_unspecified() || is_of_several(address) => {
                Err("is no address that a client can reach; give the name or address that clients use")
            }
            Some(address) => Ok(Self { name: address.to_string(), address }),
            None if name.eq_ignore_ascii_case("localhost") => {
                Ok(Self { name: name.to_ascii_lowercase(), address: Ipv4Addr::LOCALHOST.into() })
            }
            None if is_host_name(name) => {
                Ok(Self { name: name.to_owned(), address: Ipv4Addr::UNSPECIFIED.into() })
            }
            None => Err("is no host; expected a name or an address, without scheme and port"),
        }
    }
}

/// Whether it is one of a group, or of a whole network.
fn is_of_several(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// As RFC 1123 section 2.1 has it. What ends with a number would be an address, and is none.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number)
}
