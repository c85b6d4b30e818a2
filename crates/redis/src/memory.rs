//! A store in this process, for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tower_idaas::clock::{Clock, ManualClock, Timestamp};
use tower_idaas::{BoxFuture, Error};

use crate::token_store::{StoredValue, TokenStore};

/// A [`TokenStore`] in this process, for tests of several clients. Clones share what is in it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    clock: Clock,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

#[derive(Debug, Default)]
struct Entry {
    value: Option<(Vec<u8>, Timestamp)>,
    lock: Option<(String, Timestamp)>,
}

impl Entry {
    /// Removes what has ended.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        self.value.take_if(|(_, end)| end.monotonic <= now.monotonic);
        self.lock.take_if(|(_, end)| end.monotonic <= now.monotonic);
        self
    }

    fn is_locked_by(&self, owner: &str) -> bool {
        self.lock.as_ref().is_some_and(|(holder, _)| holder == owner)
    }
}

impl MemoryStore {
    /// An empty store on the machine's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store on this clock.
    pub fn with_clock(clock: ManualClock) -> Self {
        Self { clock: Clock::Manual(clock), entries: Arc::default() }
    }

    /// The names and values in it, sorted by name.
    pub fn values(&self) -> Vec<(String, Vec<u8>)> {
        let now = self.clock.now();
        let mut values: Vec<_> = self
            .entries()
            .iter_mut()
            .filter_map(|(name, entry)| Some((name.clone(), entry.at(now).value.as_ref()?.0.clone())))
            .collect();
        values.sort();
        values
    }

    /// Stores this value under the name for a day, in place of any other.
    pub fn insert(&self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        let end = self.clock.now().after(Duration::from_secs(24 * 60 * 60));
        self.entries().entry(name.into()).or_default().value = Some((value.into(), end));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call, done at once.
    fn call<'a, T: Send + 'a>(
        &self,
        name: &str,
        with: impl FnOnce(&mut Entry, Timestamp) -> T,
    ) -> BoxFuture<'a, Result<T, Error>> {
        let now = self.clock.now();
        let result = with(self.entries().entry(name.to_owned()).or_default().at(now), now);
        Box::pin(std::future::ready(Ok(result)))
    }
}

impl TokenStore for MemoryStore {
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StoredValue>, Error>> {
        self.call(name, |entry, now| {
            let (value, end) = entry.value.as_ref()?;
            Some(StoredValue::new(value.clone()).with_remaining(end.since(now)))
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        value: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.call(name, |entry, now| {
            let ends = now.after(life);
            let is_older = |(_, end): &(_, Timestamp)| end.monotonic < ends.monotonic;
            let may_store = entry.is_locked_by(owner) || entry.value.as_ref().is_none_or(is_older);
            if may_store {
                entry.value = Some((value.to_vec(), ends));
                entry.lock.take_if(|(holder, _)| holder == owner);
            }
            may_store
        })
    }

    fn try_lock<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.call(name, |entry, now| {
            let is_ours = entry.lock.is_none() || entry.is_locked_by(owner);
            if is_ours {
                entry.lock = Some((owner.to_owned(), now.after(lease)));
            }
            is_ours
        })
    }

    fn unlock<'a>(&'a self, name: &'a str, owner: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.call(name, |entry, _| drop(entry.lock.take_if(|(holder, _)| holder == owner)))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, Result<bool, Error>> {
        self.call(name, |entry, _| entry.value.take_if(|(stored, _)| stored == value).is_some())
    }
}
