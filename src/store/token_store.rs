//! What a store has to do.

use std::fmt;
use std::time::Duration;

use crate::error::BoxFuture;
use crate::error::Error;

/// A place that many processes reach, where they leave sealed tokens for each other.
///
/// It keeps bytes under names and knows nothing of tokens. All of its calls are made inside a fetch, never for a
/// request with a live token; each is given up after [`SharedStore::timeout`](super::SharedStore::timeout). A
/// store need not retry, and need not be right: whatever it answers that does not open is a miss.
///
/// [`RedisStore`](super::RedisStore) is the one at hand (feature `redis`); `MemoryStore` is for tests.
///
/// # Errors
///
/// All methods: whatever failed. It is counted, and the store is left alone for a while.
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// The value under this name, if there is one.
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StoredValue>, Error>>;

    /// Leaves a value under this name, for so long at most, and ends the lock of this owner. Tells whether it did.
    ///
    /// In one step, it must do so when `owner` holds the lock, or when there is no value that is kept for as long as
    /// this one; and must not otherwise: who does not hold the lock may have an older token than the one that is
    /// there. The lock of another owner stays.
    fn put<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        value: &'a [u8],
        life: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Takes the lock of this name for so long from now at most, if nobody holds it or this owner does. Tells whether
    /// the owner holds it now. Never waits.
    fn try_lock<'a>(
        &'a self,
        name: &'a str,
        owner: &'a str,
        lease: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Ends the lock of this name before its time, if this owner holds it: in one step.
    fn unlock<'a>(&'a self, name: &'a str, owner: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes the value under this name, if it is this one, byte by byte: in one step. Tells whether it did.
    fn remove<'a>(&'a self, name: &'a str, value: &'a [u8]) -> BoxFuture<'a, Result<bool, Error>>;
}

/// What a [`TokenStore`] holds under a name. `Debug` does not show the value.
#[derive(Clone)]
pub struct StoredValue {
    pub(crate) value: Vec<u8>,
    pub(crate) remaining: Option<Duration>,
}

impl StoredValue {
    /// A value of which the store does not say how long it keeps it.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: value.into(), remaining: None }
    }

    /// How long the store still keeps the value. That is a second opinion on its life, by a clock that all
    /// processes share; the shorter one counts.
    #[must_use]
    pub fn with_remaining(mut self, remaining: Duration) -> Self {
        self.remaining = Some(remaining);
        self
    }

    /// What was put there: sealed.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// How long the store still keeps it, as far as it says.
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
