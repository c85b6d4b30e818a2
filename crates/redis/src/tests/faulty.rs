//! A store in this process with scripted faults.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tower_idaas::{BoxFuture, Error, ErrorKind};

use crate::{MemoryStore, StoredValue, TokenStore};

#[derive(Debug, Default)]
pub(super) struct Faulty {
    pub(super) store: MemoryStore,
    /// This operation fails.
    pub(super) fails: &'static str,
    /// This one is done, and its response comes a second later.
    pub(super) delayed: &'static str,
    /// Another process stores this just before the lock is taken.
    pub(super) arrives: Mutex<Option<(String, Vec<u8>)>>,
}

impl Faulty {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, Error>>,
    ) -> BoxFuture<'a, Result<T, Error>> {
        if operation == self.fails {
            return Box::pin(async { Err(Error::new(ErrorKind::Unavailable, "no, said the test")) });
        }
        let call = call();
        Box::pin(async move {
            if operation == self.delayed {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            call.await
        })
    }
}

impl TokenStore for Faulty {
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StoredValue>, Error>> {
        self.call("get", || self.store.get(name))
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        value: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.call("put", || self.store.put(name, owner, value, life))
    }

    fn try_lock<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        if let Some((name, value)) = self.arrives.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.store.insert(name, value);
        }
        self.call("lock", || self.store.try_lock(name, owner, lease))
    }

    fn unlock<'a>(&'a self, name: &'a str, owner: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.call("unlock", || self.store.unlock(name, owner))
    }

    fn remove<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, Result<bool, Error>> {
        self.call("remove", || self.store.remove(name, value))
    }
}
