//! One fetch that many wait for.
//!
//! A flight is a task on the runtime of whoever started it, so its life does not depend on that caller:
//! a cancelled caller neither restarts nor starves it. A task that dies with its runtime leaves a note, and
//! the next waiter starts another flight.

use std::sync::Arc;

use tokio::sync::watch;

use crate::cache::entry::CacheEntry;
use crate::clock::Timestamp;
use crate::error::Error;

/// How a flight ended.
#[derive(Debug)]
pub(crate) enum Outcome<V> {
    /// With a value, which is cached.
    Landed(Arc<CacheEntry<V>>),
    /// With a value that has no life at all: for those who waited, and only if there is no better one.
    DeadOnArrival(Arc<CacheEntry<V>>),
    /// With a value that had a life, which was over when it came.
    Expired,
    /// With one error for all who waited.
    Failed(Error),
    /// With nothing that counts: its value was withdrawn before it came, or its runtime went away.
    Void,
}

impl<V> Clone for Outcome<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Landed(live) => Self::Landed(Arc::clone(live)),
            Self::DeadOnArrival(live) => Self::DeadOnArrival(Arc::clone(live)),
            Self::Expired => Self::Expired,
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Void => Self::Void,
        }
    }
}

/// A flight under way, as its slot knows it.
#[derive(Debug)]
pub(crate) struct Flight<V> {
    pub(crate) id: u64,
    pub(crate) overdue: Timestamp,
    pub(crate) arrival: Arrival<V>,
}

/// A seat at the arrival of a flight.
#[derive(Debug)]
pub(crate) struct Arrival<V>(watch::Receiver<Option<Outcome<V>>>);

impl<V> Clone for Arrival<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Arrival<V> {
    pub(crate) async fn wait(mut self) -> Outcome<V> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Void),
            Err(_dropped) => Outcome::Void,
        }
    }

    /// Whether the flight was dropped without a word.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.has_changed().is_err() && self.0.borrow().is_none()
    }
}

/// Announces the outcome to everybody who waits. Dropped without a word, it announces [`Outcome::Void`].
#[derive(Debug)]
pub(crate) struct Announcer<V>(watch::Sender<Option<Outcome<V>>>);

impl<V> Announcer<V> {
    pub(crate) fn announce(&self, outcome: Outcome<V>) {
        self.0.send_replace(Some(outcome));
    }
}

pub(crate) fn channel<V>() -> (Announcer<V>, Arrival<V>) {
    let (sender, receiver) = watch::channel(None);
    (Announcer(sender), Arrival(receiver))
}
