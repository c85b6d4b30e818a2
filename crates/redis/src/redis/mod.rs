//! The store on Redis.

mod address;
mod authorities;
mod builder;
mod commands;
mod connection;
mod fault;
mod pool;
mod race;
mod response_limit;
mod tls;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use redis::{Cmd, FromRedisValue, RedisError, Value};
use rustls::ClientConfig;
use tower_idaas::clock::Clock;
use tower_idaas::environment::Environment;
use tower_idaas::{BoxFuture, Error, ErrorKind, SecretSource};

use self::address::{Address, Place};
pub use self::builder::RedisStoreBuilder;
use self::connection::Connection;
use self::pool::{Pool, Pooled};
use self::race::first_success;
use crate::last_good::LastGood;
use crate::record::{Digest, digest_of};
use crate::token_store::{StoredValue, TokenStore};

/// How many times a cluster may redirect a command.
const REDIRECTIONS: usize = 3;

/// A [`TokenStore`] on Redis 6 or newer, or what speaks like it: a single server, a master that sentinels know,
/// or a cluster.
///
/// All fetches of a client share one connection: in a cluster one to each node that holds tokens of the client, with
/// several runtimes one in each. A connection is closed after half a minute without use, and opened anew when it is
/// needed or has failed.
///
/// ```
/// use tower_idaas::SecretSource;
/// use tower_idaas_redis::RedisStore;
///
/// # fn example() -> Result<(), tower_idaas::ConfigError> {
/// let store = RedisStore::builder(SecretSource::variable("REDIS_URL")).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisStore {
    addresses: SecretSource,
    sentinels: Option<Sentinels>,
    environment: Environment,
    clock: Clock,
    /// When an address wants TLS.
    tls: Option<Arc<ClientConfig>>,
    pool: Pool,
    /// What last led to a connection.
    last_endpoints: LastGood<Endpoints>,
    /// Where a cluster keeps a name, as far as it has said.
    moved: Mutex<LruCache<String, Arc<Mutex<Option<Place>>>>>,
}

/// The sentinels that know where the master of this name is.
#[derive(Debug)]
struct Sentinels {
    master: String,
    addresses: SecretSource,
}

/// Addresses as they were read, and what distinguishes one reading from another.
#[derive(Debug)]
struct Endpoints {
    servers: Vec<Address>,
    sentinels: Vec<Address>,
    digests: [Digest; 2],
}

impl RedisStore {
    /// A store at this address: `rediss://user:password@host:port/database` with TLS, `redis://…` without,
    /// `unix:///path` on this machine. For a cluster, several of its nodes, separated by commas.
    ///
    /// The address is a secret when it holds a password. It is read again for each connection.
    pub fn builder(address: SecretSource) -> RedisStoreBuilder {
        RedisStoreBuilder::new(address)
    }

    /// Runs a command about one name, on the node that holds the name.
    async fn run(&self, name: &str, command: &Cmd) -> Result<Value, Error> {
        let moved = Arc::clone(lock(&self.moved).get_or_insert(name.to_owned(), Arc::default));
        // Put back by a command that gets a response, and by no other: a node that is silent until a command is
        // cancelled gets no second request before the others have been asked where the name is now.
        let mut node = lock(&moved).take();
        let known = match &node {
            Some(place) => self.node(place).await.ok(),
            None => None,
        };
        let Pooled { mut connection, mut fresh } = match known {
            Some(pooled) => pooled,
            None => {
                node = None;
                self.home().await?
            }
        };
        let mut response = connection.query(command).await;
        for _ in 0..REDIRECTIONS {
            let Err(error) = &response else { break };
            if let Some((place, ask)) = redirection(error, connection.place()) {
                Pooled { connection, fresh } = self.node(&place).await?;
                response = match ask {
                    true => connection.query_after(&commands::asking(), command).await,
                    false => connection.query(command).await,
                };
                if !ask {
                    node = Some(place);
                }
            } else if !fresh && (error.is_connection_dropped() || error.is_io_error()) {
                // The connection was closed while it was idle: that is no failure yet.
                node = None;
                Pooled { connection, fresh } = self.home().await?;
                response = connection.query(command).await;
            } else {
                break;
            }
        }
        if response.is_ok() {
            *lock(&moved) = node;
        }
        response.map_err(|error| fault::failed(connection.place(), &error))
    }

    /// A connection to where commands go first.
    async fn home(&self) -> Result<Pooled, Error> {
        self.pool.get(None, || self.open_home()).await
    }

    /// A connection to a node of the cluster.
    async fn node(&self, place: &Place) -> Result<Pooled, Error> {
        self.pool.get(Some(place), || self.open_node(place)).await
    }

    /// The addresses are read anew. Where they cannot be read, or lead nowhere, those that last led to a connection
    /// stand in for a moment: a file that is being written may hold half of an address that looks like a whole one.
    async fn open_home(&self) -> Result<Connection, Error> {
        let (error, digests) = match self.load_endpoints().await {
            Ok(endpoints) => match self.connect(&endpoints).await {
                Ok(connection) => {
                    self.last_endpoints.keep(Arc::new(endpoints));
                    return Ok(connection);
                }
                Err(error) => (error, Some(endpoints.digests)),
            },
            Err(error) => (error, None),
        };
        let is_another = |last: &Endpoints| digests.is_none_or(|digests| digests != last.digests);
        match self.last_endpoints.stand_in_if(is_another, self.clock.now()) {
            Some(last) => self.connect(&last).await.map_err(|_| error),
            None => Err(error),
        }
    }

    async fn load_endpoints(&self) -> Result<Endpoints, Error> {
        let (servers, digest) = self.load_addresses(&self.addresses).await?;
        let (sentinels, other) = match &self.sentinels {
            Some(sentinels) => self.load_addresses(&sentinels.addresses).await?,
            None => Default::default(),
        };
        Ok(Endpoints { servers, sentinels, digests: [digest, other] })
    }

    async fn load_addresses(&self, source: &SecretSource) -> Result<(Vec<Address>, Digest), Error> {
        let text = source.read(&self.environment).await?;
        Ok((Address::parse_all(text.expose_secret(), source)?, digest_of(text.expose_secret())))
    }

    async fn connect(&self, endpoints: &Endpoints) -> Result<Connection, Error> {
        let Endpoints { servers, sentinels, digests: _ } = endpoints;
        let Some(Sentinels { master, .. }) = &self.sentinels else {
            return any_of(servers, |server| Box::pin(Connection::open(server, self.tls.as_ref()))).await;
        };
        let place = any_of(sentinels, |sentinel| Box::pin(self.query_sentinel(sentinel, master))).await?;
        let server = servers.first().ok_or_else(no_server)?.at(place);
        Connection::open(&server, self.tls.as_ref()).await
    }

    async fn query_sentinel(&self, sentinel: &Address, master: &str) -> Result<Place, Error> {
        let connection = Connection::open(sentinel, self.tls.as_ref()).await?;
        let response = connection.query(&commands::master_address(master)).await;
        if matches!(response, Ok(Value::Nil)) {
            return Err(fault::no_master(&sentinel.place, master));
        }
        let response = response.and_then(|response| Ok(<(String, u16)>::from_redis_value(response)?));
        let (host, port) = response.map_err(|error| fault::failed(&sentinel.place, &error))?;
        Ok(Place::Host(host, port))
    }

    async fn open_node(&self, place: &Place) -> Result<Connection, Error> {
        let loaded = self.load_endpoints().await.map(Arc::new);
        let is_new = loaded.is_ok();
        let last = || self.last_endpoints.stand_in_if(|_| true, self.clock.now());
        let endpoints = loaded.or_else(|error| last().ok_or(error))?;
        let server = endpoints.servers.first().ok_or_else(no_server)?.at(place.clone());
        let connection = Connection::open(&server, self.tls.as_ref()).await?;
        if is_new {
            self.last_endpoints.keep(endpoints);
        }
        Ok(connection)
    }

    async fn done(&self, name: &str, command: Cmd) -> Result<bool, Error> {
        let response = self.run(name, &command).await?;
        commands::read_done(&response).map_err(|()| not_redis())
    }
}

/// The first that succeeds, side by side. Each time another one is the first, so that the load is spread.
async fn any_of<'a, T>(
    addresses: &'a [Address],
    open: impl FnMut(&'a Address) -> BoxFuture<'a, Result<T, Error>>,
) -> Result<T, Error> {
    let mut attempts: Vec<_> = addresses.iter().map(open).collect();
    attempts.rotate_left(fastrand::usize(..addresses.len().max(1)));
    first_success(attempts).await.map_err(|error| error.unwrap_or_else(no_server))
}

fn no_server() -> Error {
    Error::new(
        ErrorKind::Connect,
        "there is no address of a Redis server to connect to; check the store's address",
    )
}

fn not_redis() -> Error {
    let message =
        "the token store sent a response that is not one of Redis; check that its address is one of Redis";
    Error::new(ErrorKind::InvalidResponse, message)
}

/// The node that a cluster redirects to, and whether for this command alone.
fn redirection(error: &RedisError, from: &Place) -> Option<(Place, bool)> {
    let (place, _slot) = error.redirect_node()?;
    Some((Place::parse(place, from)?, error.code() == Some("ASK")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TokenStore for RedisStore {
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StoredValue>, Error>> {
        Box::pin(async move {
            let response = self.run(name, &commands::get(name)).await?;
            commands::read_get(response).map_err(|()| not_redis())
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        value: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.done(name, commands::put(name, owner, value, life)))
    }

    fn try_lock<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.done(name, commands::try_lock(name, owner, lease)))
    }

    fn unlock<'a>(&'a self, name: &'a str, owner: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.done(name, commands::unlock(name, owner)).await.map(drop) })
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.done(name, commands::remove(name, value)))
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tower_idaas::clock::ManualClock;
    use tower_idaas::environment::ManualEnvironment;

    use super::*;
    use crate::last_good::GRACE;

    const VARIABLE: &str = "REDIS_URL";

    /// The address of a server that says `OK` to each command, and as a sentinel that it knows no master.
    async fn server() -> (String, Place) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut command = [0; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut command).await {
                        let is_query =
                            String::from_utf8_lossy(command.get(..length).unwrap()).contains("SENTINEL");
                        let response: &[u8] = if is_query { b"*-1\r\n" } else { b"+OK\r\n" };
                        stream.write_all(response).await.unwrap();
                    }
                });
            }
        });
        (format!("redis://:password@{address}"), Place::Host("127.0.0.1".to_owned(), address.port()))
    }

    #[tokio::test]
    async fn a_sentinel_that_does_not_know_the_masters_name_is_reported_as_such() {
        let (url, _) = server().await;
        let store = RedisStore::builder(SecretSource::value(url.clone()));
        let store = store.sentinels("mymastre", SecretSource::value(url)).build().unwrap();
        let error = store.open_home().await.unwrap_err();
        assert!(error.to_string().contains("knows no master `mymastre`"), "{error}");
    }

    #[tokio::test]
    async fn addresses_that_led_to_a_node_of_a_cluster_stand_in_for_a_while_each_time_they_cannot_be_read() {
        let ((url, node), environment, clock) =
            (server().await, ManualEnvironment::new(), ManualClock::new());
        environment.set(VARIABLE, &url);
        let store = RedisStore::builder(SecretSource::variable(VARIABLE));
        let mut store = store.environment(environment.clone()).build().unwrap();
        store.clock = Clock::Manual(clock.clone());
        for _ in 0..3 {
            environment.set(VARIABLE, &url);
            store.open_node(&node).await.unwrap();
            environment.set(VARIABLE, "");
            store.open_node(&node).await.unwrap();
            clock.advance(GRACE * 2);
        }
        assert!(store.open_node(&node).await.is_err());
    }
}
