//! Where a Redis server is, and the login it wants.

use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use tower_idaas::{Error, ErrorKind, SecretSource};

/// A server and the credentials for it.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) tls: bool,
    pub(super) login: RedisConnectionInfo,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Host(String, u16),
    Socket(PathBuf),
}

impl Address {
    /// The addresses in the text of this source, separated by commas or white space.
    ///
    /// # Errors
    ///
    /// When there is no address, or one that cannot be parsed. The text is not shown, because it may hold a password.
    pub(super) fn parse_all(text: &str, source: &SecretSource) -> Result<Vec<Self>, Error> {
        let urls = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|url| !url.is_empty());
        let addresses: Option<Vec<_>> = urls.map(Self::parse).collect();
        addresses.filter(|addresses| !addresses.is_empty()).ok_or_else(|| {
            let message = format!(
                "{source} holds no address of a Redis server; expected `rediss://user:password@host:port/database`, \
                 `redis://…` or `unix:///path`, with special characters percent-encoded"
            );
            Error::new(ErrorKind::Credential, message)
        })
    }

    fn parse(url: &str) -> Option<Self> {
        // The Redis client's own TLS is off; without it, it does not know the scheme.
        let (tls, url) = match url.strip_prefix("rediss://") {
            Some(rest) => (true, format!("redis://{rest}")),
            None => (false, url.to_owned()),
        };
        // `#insecure` is how other programs spell "do not verify the certificate".
        if url.contains('#') {
            return None;
        }
        let info = url.into_connection_info().ok()?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Host(host.clone(), *port),
            ConnectionAddr::Unix(path) if !tls => Place::Socket(path.clone()),
            _ => return None,
        };
        Some(Self { place, tls, login: info.redis_settings().clone().set_skip_set_lib_name() })
    }

    /// The same login elsewhere.
    pub(super) fn at(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }
}

impl fmt::Debug for Address {
    /// Without the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, tls, login: _ } = self;
        f.debug_struct("Address").field("place", place).field("tls", tls).finish_non_exhaustive()
    }
}

impl Place {
    /// Reads how the server at `from` names another one: `host:port`, where IPv6 has no brackets. Without a host it is
    /// the same host at another port.
    pub(super) fn parse(text: &str, from: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match (host.trim_start_matches('[').trim_end_matches(']'), from) {
            ("", Self::Host(same, _)) => same,
            ("", Self::Socket(_)) => return None,
            (other, _) => other,
        };
        Some(Self::Host(host.to_owned(), port.parse().ok()?))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Address>, String> {
        let source = SecretSource::variable("REDIS_URL");
        Address::parse_all(text, &source).map_err(|error| error.to_string())
    }

    fn host(host: &str, port: u16) -> Place {
        Place::Host(host.to_owned(), port)
    }

    #[test]
    fn an_address_is_a_host_or_a_socket_with_a_login() {
        let [address] = &read("rediss://user:p%40ss@cache.example:6380/2").unwrap()[..] else { panic!() };
        assert_eq!((&address.place, address.tls), (&host("cache.example", 6380), true));
        assert_eq!((address.login.username(), address.login.password()), (Some("user"), Some("p@ss")));
        assert_eq!(address.login.db(), 2);
        let addresses = read("redis://a,redis://:secret@[::1]:7/ unix:///run/redis.sock").unwrap();
        let places: Vec<_> = addresses.iter().map(|address| address.place.clone()).collect();
        assert_eq!(places, [host("a", 6379), host("::1", 7), Place::Socket("/run/redis.sock".into())]);
        assert!(addresses.iter().all(|address| !address.tls));
        assert!(!format!("{addresses:?}").contains("secret"));
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_shown() {
        for bad in
            ["marker", "http://marker@x", "redis://h:marker", "rediss://marker@h#insecure", "redis:///marker"]
        {
            let message = read(bad).unwrap_err();
            assert!(message.starts_with("environment variable REDIS_URL holds no address"), "{message}");
            assert!(!message.contains("marker"), "{message}");
        }
        assert!(read("redis://h, marker").is_err());
    }

    #[test]
    fn a_place_is_read_as_servers_name_it() {
        let parse = |text| Place::parse(text, &host("from", 7));
        assert_eq!(parse("10.0.0.1:6380"), Some(host("10.0.0.1", 6380)));
        assert_eq!(parse("fd00::1:6380"), Some(host("fd00::1", 6380)));
        assert_eq!(parse("[fd00::1]:6380"), Some(host("fd00::1", 6380)));
        assert_eq!(parse(":6380"), Some(host("from", 6380)));
        assert_eq!(Place::parse(":6380", &Place::Socket("/run/redis.sock".into())), None);
        assert_eq!(parse("host"), None);
    }
}
