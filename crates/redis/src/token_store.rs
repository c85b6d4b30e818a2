//! What a store has to do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_idaas::{BoxFuture, Error};

/// A place that many processes reach, where they keep sealed tokens for each other.
///
/// A store keeps bytes under names and knows nothing of tokens. All of its calls are made inside a fetch, never for a
/// request with a live token; each is given up after [`SharedStore::timeout`](crate::SharedStore::timeout). A store
/// need not retry, and need not be trusted: a value that does not open is a miss.
///
/// [`RedisStore`](crate::RedisStore) is the one for production, `MemoryStore` (feature `test-util`) the one for tests.
///
/// # Errors
///
/// All methods: whatever failed. The failure is counted, and the store is not called for a while.
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// The value under this name, if there is one.
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StoredValue>, Error>>;

    /// Stores a value under this name for this long at most, and ends the lock of this owner. Returns whether the
    /// value was stored.
    ///
    /// In one step: the value is stored when `owner` holds the lock, or when no value is there that is kept for as
    /// long as this one; otherwise it is not, because an owner without the lock may have an older token than the one
    /// that is there. The lock of another owner stays.
    fn put<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        value: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Takes the lock of this name for this long from now at most, if it is free or this owner holds it. Returns
    /// whether the owner holds it now. Never waits.
    fn try_lock<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Ends the lock of this name before its time, if this owner holds it: in one step.
    fn unlock<'a>(&'a self, name: &'a str, owner: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes the value under this name, if it is this one, byte by byte: in one step. Returns whether it did.
    fn remove<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, Result<bool, Error>>;
}

macro_rules! delegate {
    ($pointer:ident) => {
        impl<T: TokenStore + ?Sized> TokenStore for $pointer<T> {
            fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StoredValue>, Error>> {
                (**self).get(name)
            }

            fn put<'a>(
                &'a self,
                name: &'a str,
                owner: &'a str,
                value: &'a [u8],
                life: Duration,
            ) -> BoxFuture<'a, Result<bool, Error>> {
                (**self).put(name, owner, value, life)
            }

            fn try_lock<'a>(
                &'a self,
                name: &'a str,
                owner: &'a str,
                lease: Duration,
            ) -> BoxFuture<'a, Result<bool, Error>> {
                (**self).try_lock(name, owner, lease)
            }

            fn unlock<'a>(&'a self, name: &'a str, owner: &'a str) -> BoxFuture<'a, Result<(), Error>> {
                (**self).unlock(name, owner)
            }

            fn remove<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, Result<bool, Error>> {
                (**self).remove(name, value)
            }
        }
    };
}

delegate!(Arc);
delegate!(Box);

/// What a [`TokenStore`] holds under a name. `Debug` does not show the value.
#[derive(Clone)]
pub struct StoredValue {
    value: Vec<u8>,
    remaining: Option<Duration>,
}

impl StoredValue {
    /// A value for which the store does not say how long it is kept.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: value.into(), remaining: None }
    }

    /// Sets how long the store still keeps the value. It is a second reading of the value's age, by a clock that all
    /// processes share; the higher age counts.
    #[must_use]
    pub fn with_remaining(mut self, remaining: Duration) -> Self {
        self.remaining = Some(remaining);
        self
    }

    /// The value as it was stored: sealed.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// How long the store still keeps the value, if it says so.
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining
    }
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, remaining } = self;
        f.debug_struct("StoredValue")
            .field("bytes", &value.len())
            .field("remaining", remaining)
            .finish_non_exhaustive()
    }
}
