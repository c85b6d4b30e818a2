//! One connection that all fetches of a process share, closed when it is idle: ten thousand processes that fetch
//! a token twice an hour must not hold ten thousand connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisResult, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::store::redis::address::{Address, Place};
use crate::store::redis::allowance::{Allowance, Allowed};
use crate::store::redis::fault;

/// After this time without a command, or twice that, a connection is closed.
const IDLE: Duration = Duration::from_secs(30);

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    place: Place,
    multiplexed: MultiplexedConnection,
    /// Since the idle timer has last looked.
    used: Arc<AtomicBool>,
    allowance: Allowance,
    /// The next command is to get another connection.
    broken: AtomicBool,
    driver: JoinHandle<()>,
}

impl Connection {
    pub(super) async fn open(address: &Address, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Error> {
        let place = &address.place;
        match place {
            Place::Host(host, port) => {
                let tcp = TcpStream::connect((host.as_str(), *port)).await;
                let tcp = tcp.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
                let tcp = tcp.map_err(|cause| fault::unreachable(place, cause))?;
                if !address.tls {
                    return Self::greet(address, tcp).await;
                }
                let tls = tls.ok_or_else(|| fault::late_tls(place))?;
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|cause| fault::unreachable(place, cause))?;
                let tls = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
                Self::greet(address, tls.map_err(|cause| fault::unreachable(place, cause))?).await
            }
            #[cfg(unix)]
            Place::Socket(path) => {
                let socket = tokio::net::UnixStream::connect(path).await;
                Self::greet(address, socket.map_err(|cause| fault::unreachable(place, cause))?).await
            }
            #[cfg(not(unix))]
            Place::Socket(_) => {
                Err(fault::unreachable(place, std::io::Error::from(std::io::ErrorKind::Unsupported)))
            }
        }
    }

    /// Authenticates, and lets the connection run.
    async fn greet<S>(address: &Address, stream: S) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let place = address.place.clone();
        let allowance = Allowance::new();
        let stream = Allowed { stream, allowance: allowance.clone() };
        // Whoever calls has a time-out.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&address.login, stream, config).await;
        let (multiplexed, driver) = opened.map_err(|error| fault::failed(&place, &error))?;
        let used = Arc::new(AtomicBool::new(true));
        let driver = tokio::spawn(until_idle(driver, Arc::clone(&used)));
        Ok(Self { place, multiplexed, used, allowance, broken: AtomicBool::new(false), driver })
    }

    /// Whether it may be used once more.
    pub(super) fn is_usable(&self) -> bool {
        !self.driver.is_finished() && !self.broken.load(Ordering::Acquire)
    }

    pub(super) async fn query(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.multiplexed.clone();
        self.watched(connection.req_packed_command(command)).await
    }

    /// Two commands in a row, of which the second one's answer counts.
    pub(super) async fn query_after(&self, first: &Cmd, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.multiplexed.clone();
        let mut pipeline = Pipeline::new();
        pipeline.add_command(first.clone()).add_command(command.clone());
        let answers = connection.req_packed_commands(&pipeline, 1, 1);
        self.watched(async { Ok(answers.await?.into_iter().next().unwrap_or(Value::Nil)) }).await
    }

    async fn watched(&self, answer: impl Future<Output = RedisResult<Value>>) -> RedisResult<Value> {
        self.used.store(true, Ordering::Relaxed);
        let _waiting = self.allowance.grant();
        let mut given_up = GivenUp(Some(self));
        let answer = answer.await.and_then(Value::extract_error);
        given_up.0 = None;
        // A node of a cluster that sends us elsewhere is well; any other refusal may be over with the next
        // connection: another password, another master.
        if answer.as_ref().is_err_and(|error| error.redirect_node().is_none()) {
            self.broken.store(true, Ordering::Release);
        }
        answer
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It would wait for a server that has gone silent.
        self.driver.abort();
    }
}

/// Ends the connection, unless it is told otherwise: a command did not come to its end, and nobody knows what the
/// server still has to say.
struct GivenUp<'a>(Option<&'a Connection>);

impl Drop for GivenUp<'_> {
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
