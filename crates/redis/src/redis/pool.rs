//! The open connections: one to each node, in each runtime.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use tokio::runtime::{Handle, Id};
use tower_idaas::Error;

use crate::redis::address::Place;
use crate::redis::connection::Connection;

/// More nodes than hold tokens of one client.
const NODES: NonZeroUsize = match NonZeroUsize::new(64) {
    Some(nodes) => nodes,
    None => NonZeroUsize::MIN,
};

/// With the runtime: a connection makes progress only while its runtime is driven, and a runtime may stand still. No
/// place stands for where commands go first.
type Key = (Id, Option<Place>);

/// Locked while a connection is opened, so that all commands that need one open one.
type Entry = tokio::sync::Mutex<Option<Arc<Connection>>>;

#[derive(Debug)]
pub(super) struct Pool(Mutex<LruCache<Key, Arc<Entry>>>);

impl Default for Pool {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(NODES)))
    }
}

/// A connection, and whether it was opened just now.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) connection: Arc<Connection>,
    pub(super) fresh: bool,
}

impl Pool {
    /// The connection to this node, or to where commands go first; opened when there is no usable one.
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
        Arc::clone(entries.get_or_insert(key, Arc::default))
    }
}
