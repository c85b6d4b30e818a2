//! A connection that all fetches of a process share, closed when it is idle: ten thousand processes that fetch a token
//! twice an hour must not hold ten thousand connections.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisResult, Value};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tower_idaas::{BoxFuture, Error};

use crate::redis::address::{Address, Place};
use crate::redis::fault;
use crate::redis::race::first_success;
use crate::redis::response_limit::{Limited, ResponseLimit};

/// A connection is closed after this time without a command, or up to twice that.
const IDLE: Duration = Duration::from_secs(30);

/// A response of DNS may hold hundreds of addresses; each attempt takes a socket.
const MOST_ADDRESSES: usize = 16;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    place: Place,
    multiplexed: MultiplexedConnection,
    /// Since the idle timer last looked.
    used: Arc<AtomicBool>,
    limit: ResponseLimit,
    /// The next command gets another connection.
    broken: AtomicBool,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects, with TLS where the address wants it, and logs in. The addresses of a host are tried side by side.
    pub(super) async fn open(address: &Address, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Error> {
        let place = &address.place;
        match place {
            Place::Host(host, port) => {
                let sockets = sockets(host, *port).await.map_err(|cause| fault::unreachable(place, cause))?;
                Self::open_any(address, &sockets, tls).await
            }
            #[cfg(unix)]
            Place::Socket(path) => {
                let socket = tokio::net::UnixStream::connect(path).await;
                Self::log_in(address, socket.map_err(|cause| fault::unreachable(place, cause))?).await
            }
            #[cfg(not(unix))]
            Place::Socket(_) => {
                Err(fault::unreachable(place, std::io::Error::from(std::io::ErrorKind::Unsupported)))
            }
        }
    }

    async fn open_any(
        address: &Address,
        sockets: &[SocketAddr],
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, Error> {
        let mut attempts: Vec<BoxFuture<'_, _>> = Vec::new();
        for socket in sockets {
            attempts.push(Box::pin(Self::open_at(address, *socket, tls)));
        }
        first_success(attempts).await.map_err(|error| {
            let none = || std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
            error.unwrap_or_else(|| fault::unreachable(&address.place, none()))
        })
    }

    async fn open_at(
        address: &Address,
        socket: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, Error> {
        let place = &address.place;
        let tcp = TcpStream::connect(socket).await.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
        let tcp = tcp.map_err(|cause| fault::unreachable(place, cause))?;
        let Place::Host(host, _) = place else { return Self::log_in(address, tcp).await };
        if !address.tls {
            return Self::log_in(address, tcp).await;
        }
        let tls = tls.ok_or_else(|| fault::no_tls(place))?;
        let name = ServerName::try_from(host.clone()).map_err(|cause| fault::unreachable(place, cause))?;
        let tls = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
        Self::log_in(address, tls.map_err(|cause| fault::unreachable(place, cause))?).await
    }

    /// Logs in, and starts the task that drives the connection.
    async fn log_in<S>(address: &Address, stream: S) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let place = address.place.clone();
        let limit = ResponseLimit::new();
        let stream = Limited { stream, limit: limit.clone() };
        // Each call of the store has a time-out already.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&address.login, stream, config).await;
        let (multiplexed, driver) = opened.map_err(|error| fault::failed(&place, &error))?;
        let used = Arc::new(AtomicBool::new(true));
        let driver = tokio::spawn(until_idle(driver, Arc::clone(&used)));
        Ok(Self { place, multiplexed, used, limit, broken: AtomicBool::new(false), driver })
    }

    /// Whether another command may be sent.
    pub(super) fn is_usable(&self) -> bool {
        !self.driver.is_finished() && !self.broken.load(Ordering::Acquire)
    }

    pub(super) async fn query(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.multiplexed.clone();
        self.watched(connection.req_packed_command(command)).await
    }

    /// Two commands in a row; the result is that of the second one.
    pub(super) async fn query_after(&self, first: &Cmd, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.multiplexed.clone();
        let mut pipeline = Pipeline::new();
        pipeline.add_command(first.clone()).add_command(command.clone());
        let responses = connection.req_packed_commands(&pipeline, 1, 1);
        self.watched(async { Ok(responses.await?.into_iter().next().unwrap_or(Value::Nil)) }).await
    }

    async fn watched(&self, response: impl Future<Output = RedisResult<Value>>) -> RedisResult<Value> {
        self.used.store(true, Ordering::Relaxed);
        let _in_flight = self.limit.extend();
        let mut unfinished = Unfinished(Some(self));
        let response = response.await.and_then(Value::extract_error);
        unfinished.0 = None;
        // A node of a cluster that redirects a command is well. Any other refusal may be over with the next connection:
        // another password, another master.
        if response.as_ref().is_err_and(|error| error.redirect_node().is_none()) {
            self.broken.store(true, Ordering::Release);
        }
        response
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The driver would wait for a server that is silent.
        self.driver.abort();
    }
}

/// Ends the connection unless it is disarmed: a command was cancelled, and what the server still sends belongs to it.
struct Unfinished<'a>(Option<&'a Connection>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.broken.store(true, Ordering::Release);
            connection.driver.abort();
        }
    }
}

async fn until_idle(driver: impl Future<Output = ()>, used: Arc<AtomicBool>) {
    let mut driver = std::pin::pin!(driver);
    while tokio::time::timeout(IDLE, &mut driver).await.is_err() {
        if !used.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

/// `localhost` is looked up by no resolver, which could lead it, and the password, to another machine.
async fn sockets(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    Ok(alternate(lookup_host((host, port)).await?.collect()))
}

/// The families take turns, the one that the resolver prefers first (RFC 8305 section 4): where one of them leads
/// nowhere, its addresses must not take the time of the other's.
fn alternate(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let preferred = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == preferred);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair.iter().all(Option::is_none) {
            ordered.truncate(MOST_ADDRESSES);
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tower_idaas::SecretSource;

    use super::*;

    /// A server that accepts connections and lets each of them wait, or says `OK` to each command.
    async fn server(speaks: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if !speaks {
                    open.push(stream);
                    continue;
                }
                tokio::spawn(async move {
                    while let Ok(1..) = stream.read(&mut [0; 1024]).await {
                        stream.write_all(b"+OK\r\n").await.unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn an_address_of_a_host_that_is_silent_does_not_take_the_time_of_the_next_one() {
        let (silent, speaking) = (server(false).await, server(true).await);
        let source = SecretSource::variable("REDIS_URL");
        let address = Address::parse_all("redis://:password@cache", &source).unwrap().remove(0);
        for sockets in [[silent, speaking], [speaking, silent]] {
            let opened = Connection::open_any(&address, &sockets, None);
            // The time-out that a call of the store has by default.
            let opened = tokio::time::timeout(Duration::from_millis(250), opened).await.unwrap();
            assert!(opened.unwrap().is_usable());
        }
    }

    #[test]
    fn addresses_of_both_families_take_turns() {
        let [four, six]: [fn(u8) -> SocketAddr; 2] = [
            |number| (Ipv4Addr::new(10, 0, 0, number), 1).into(),
            |number| (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()), 1).into(),
        ];
        let found = vec![six(1), six(2), six(3), four(1), four(2)];
        assert_eq!(alternate(found), [six(1), four(1), six(2), four(2), six(3)]);
        assert_eq!(alternate(vec![four(1), six(1)]), [four(1), six(1)]);
        assert_eq!(alternate((0..99).map(six).collect()).len(), MOST_ADDRESSES);
        assert!(alternate(Vec::new()).is_empty());
    }

    #[tokio::test]
    async fn the_loopback_host_is_looked_up_by_no_resolver() {
        let found = sockets("LocalHost", 7).await.unwrap();
        assert_eq!(found, ["127.0.0.1:7".parse().unwrap(), "[::1]:7".parse().unwrap()]);
    }
}
