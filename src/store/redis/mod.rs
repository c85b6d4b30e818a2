//! The store on Redis.

mod address;
mod allowance;
mod builder;
mod commands;
mod connection;
mod fault;
mod pool;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisError, Value};
use rustls::ClientConfig;

use self::address::{Address, Place};
pub use self::builder::RedisStoreBuilder;
use self::connection::Connection;
use self::pool::{Pool, Pooled};
use crate::cache::lru_map::LruMap;
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::secret::SecretSource;
use crate::store::token_store::{StoredValue, TokenStore};

/// How many times a cluster may send a command elsewhere.
const REDIRECTIONS: usize = 3;

/// A [`TokenStore`] on Redis 6 or newer, or what speaks like it: a single server, a master that sentinels know,
/// or a cluster.
///
/// All fetches of a client share one connection (in a cluster, one to each node that has tokens of its; with several
/// runtimes, as many in each), which is closed after half a minute without use and opened anew when it is needed, or
/// has failed.
///
/// ```
/// use tower_idaas::SecretSource;
/// use tower_idaas::store::RedisStore;
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
    /// When an address wants TLS.
    tls: Option<Arc<ClientConfig>>,
    pool: Pool,
    /// Where a cluster keeps a name, as far as it has told.
    moved: Mutex<LruMap<String, Arc<Mutex<Option<Place>>>>>,
}

/// Who knows where the master is.
#[derive(Debug)]
struct Sentinels {
    master: String,
    addresses: SecretSource,
}

impl RedisStore {
    /// A store at this address: `rediss://user:password@host:port/database` with TLS, `redis://…` without,
    /// `unix:///path` on this machine. For a cluster, several of its nodes, separated by commas.
    ///
    /// The address is a secret when it holds a password. It is read again for each connection.
    pub fn builder(address: SecretSource) -> RedisStoreBuilder {
        RedisStoreBuilder::new(address)
    }

    /// Runs a command about one name, where that name is.
    async fn run(&self, name: &str, command: &Cmd) -> Result<Value, Error> {
        let moved = Arc::clone(lock(&self.moved).get_or_insert_with(name.to_owned(), Arc::default));
        // Put back by whoever gets an answer, and nobody else: a node that lets callers wait until they give up is
        // not asked again before the others have been asked where the name is now.
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
        let mut answer = connection.query(command).await;
        for _ in 0..REDIRECTIONS {
            let Err(error) = &answer else { break };
            if let Some((place, ask)) = redirection(error, connection.place()) {
                Pooled { connection, fresh } = self.node(&place).await?;
                answer = match ask {
                    true => connection.query_after(&commands::asking(), command).await,
                    false => connection.query(command).await,
                };
                if !ask {
                    node = Some(place);
                }
            } else if !fresh && (error.is_connection_dropped() || error.is_io_error()) {
                // It was closed while it lay idle: that is no failure yet.
                node = None;
                Pooled { connection, fresh } = self.home().await?;
                answer = connection.query(command).await;
            } else {
                break;
            }
        }
        if answer.is_ok() {
            *lock(&moved) = node;
        }
        answer.map_err(|error| fault::failed(connection.place(), &error))
    }

    /// A connection to where commands go first.
    async fn home(&self) -> Result<Pooled, Error> {
        self.pool.get(None, || self.open_home()).await
    }

    /// A connection to a node of the cluster.
    async fn node(&self, place: &Place) -> Result<Pooled, Error> {
        self.pool.get(Some(place), || self.open_at(place)).await
    }

    async fn open_home(&self) -> Result<Connection, Error> {
        let mut addresses = Address::read(&self.addresses, &self.environment)?;
        if let Some(Sentinels { master, addresses: sentinels }) = &self.sentinels {
            let sentinels = Address::read(sentinels, &self.environment)?;
            let place = self.first(&sentinels, |sentinel| self.ask_sentinel(sentinel, master)).await?;
            addresses = addresses.first().map(|address| address.at(place)).into_iter().collect();
        }
        self.first(&addresses, |address| Connection::open(address, self.tls.as_ref())).await
    }

    /// Tries one after the other. Each time another one is the first, so that one that is silent until the time is
    /// out does not stand in the way for good.
    async fn first<'a, T, F: Future<Output = Result<T, Error>>>(
        &self,
        addresses: &'a [Address],
        mut open: impl FnMut(&'a Address) -> F,
    ) -> Result<T, Error> {
        let mut failure = Error::new(ErrorKind::Connect, "no Redis server to connect to");
        let start = fastrand::usize(..addresses.len().max(1));
        for address in addresses.iter().cycle().skip(start).take(addresses.len()) {
            match open(address).await {
                Ok(opened) => return Ok(opened),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn ask_sentinel(&self, sentinel: &Address, master: &str) -> Result<Place, Error> {
        let connection = Connection::open(sentinel, self.tls.as_ref()).await?;
        let answer = connection.query(&commands::master_address(master)).await;
        let answer = answer.and_then(|answer| Ok(<(String, u16)>::from_redis_value(answer)?));
        let (host, port) = answer.map_err(|error| fault::failed(&sentinel.place, &error))?;
        Ok(Place::Host(host, port))
    }

    async fn open_at(&self, place: &Place) -> Result<Connection, Error> {
        let addresses = Address::read(&self.addresses, &self.environment)?;
        let address = addresses.first().map(|address| address.at(place.clone()));
        let address =
            address.ok_or_else(|| Error::new(ErrorKind::Connect, "no Redis server to connect to"))?;
        Connection::open(&address, self.tls.as_ref()).await
    }

    fn nonsense(&self) -> Error {
        Error::new(ErrorKind::InvalidResponse, "Redis answered what makes no sense; is it a Redis?")
    }

    async fn done(&self, name: &str, command: Cmd) -> Result<bool, Error> {
        let answer = self.run(name, &command).await?;
        commands::read_done(&answer).map_err(|()| self.nonsense())
    }
}

/// Where a node of a cluster sends us, and whether for this command alone.
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
            let answer = self.run(name, &commands::get(name)).await?;
            commands::read_get(answer).map_err(|()| self.nonsense())
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
