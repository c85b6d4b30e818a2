//! A store in this process that has its troubles.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::store::{MemoryStore, StoredValue, TokenStore};
use crate::{BoxFuture, Error, ErrorKind};

#[derive(Debug, Default)]
pub(super) struct Troubled {
    pub(super) store: MemoryStore,
    /// This operation is not done.
    pub(super) fails: &'static str,
    /// This one is done, and answered a second later.
    pub(super) is_late: &'static str,
    /// Somebody leaves this just before the lock is taken.
    pub(super) left: Mutex<Option<(String, Vec<u8>)>>,
}

impl Troubled {
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
            if operation == self.is_late {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            call.await
        })
    }
}

impl TokenStore for Troubled {
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
        if let Some((name, value)) = self.left.lock().unwrap_or_else(PoisonError::into_inner).take() {
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
