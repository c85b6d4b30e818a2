//! A clock that only moves when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Moment, nanos};

/// A clock for tests: both of its hands, the monotonic and the wall clock's, move only when told to.
///
/// Clones share the hands. Give one to [`IdaasBuilder::clock`](crate::IdaasBuilder::clock).
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    monotonic: AtomicU64,
    wall: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at the machine's present wall time.
    pub fn new() -> Self {
        let now = crate::clock::Clock::System.now();
        Self(Arc::new(Hands { monotonic: AtomicU64::new(now.monotonic), wall: AtomicU64::new(now.wall) }))
    }

    /// Time passes: both hands move ahead.
    pub fn advance(&self, by: Duration) {
        self.0.monotonic.fetch_add(nanos(by), Ordering::SeqCst);
        self.0.wall.fetch_add(nanos(by), Ordering::SeqCst);
    }

    /// The machine was suspended, or its wall clock set ahead: the wall clock moves, and the monotonic clock
    /// no more than a tick.
    pub fn set_wall_ahead(&self, by: Duration) {
        self.0.monotonic.fetch_add(1, Ordering::SeqCst);
        self.0.wall.fetch_add(nanos(by), Ordering::SeqCst);
    }

    /// The wall clock is set back; the monotonic clock does not follow.
    pub fn set_wall_back(&self, by: Duration) {
        // No further than to the epoch.
        let earlier = |wall: u64| Some(wall.saturating_sub(nanos(by)));
        let _ = self.0.wall.fetch_update(Ordering::SeqCst, Ordering::SeqCst, earlier);
    }

    pub(crate) fn now(&self) -> Moment {
        Moment {
            monotonic: self.0.monotonic.load(Ordering::SeqCst),
            wall: self.0.wall.load(Ordering::SeqCst),
        }
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}
