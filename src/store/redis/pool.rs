//! The open connections: one to each node, in each runtime.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};

use crate::cache::lru_map::LruMap;
use crate::error::Error;
use crate::store::redis::address::Place;
use crate::store::redis::connection::Connection;

/// More nodes than have tokens of one client.
const NODES: usize = 64;

/// Of the runtime too: what one runtime drives, no other one waits for. Nobody may be driving it any more.
type Key = (Id, Option<Place>);

/// Held while a connection is opened, so that all who need it open one.
type Entry = tokio::sync::Mutex<Option<Arc<Connection>>>;

#[derive(Debug)]
pub(super) struct Pool(Mutex<LruMap<Key, Arc<Entry>>>);

impl Default for Pool {
    fn default() -> Self {
        Self(Mutex::new(LruMap::new(NODES)))
    }
}

/// A connection, and whether it was opened just now.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) connection: Arc<Connection>,
    pub(super) fresh: bool,
}

impl Pool {
    /// The connection to this node, or to where commands go first; opened when there is none that can be used.
    pub(super) async fn get<F: Future<Output = Result<Connection, Error>>>(
        &self,
        place: Option<&Place>,
        open: impl FnOnce() -> F,
    ) -> Result<Pooled, Error> {
        let entry = self.entry((Handle::current().id(), place.cloned()));
        let mut entry = entry.lock().await;
        if let Some(connection) = entry.clone().filter(|connection| connection.is_usable()) {
            return Ok(Pooled { connection, fresh: false });
        }
        *entry = None;
        let connection = Arc::new(open().await?);
        *entry = Some(Arc::clone(&connection));
        Ok(Pooled { connection, fresh: true })
    }

    fn entry(&self, key: Key) -> Arc<Entry> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.get_or_insert_with(key, Arc::default))
    }
}
