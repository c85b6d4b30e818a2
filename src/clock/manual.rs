//! A clock that moves only when a test sets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Timestamp, nanos};

/// A clock for tests: both the monotonic and the wall clock move only when set.
///
/// Clones share the time. Give one to [`IdaasBuilder::clock`](crate::IdaasBuilder::clock).
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    monotonic: AtomicU64,
    wall: AtomicU64,
    /// Wakes sleeping tasks, which then check the time.
    moved: Notify,
}

impl ManualClock {
    /// A clock that starts at the machine's present wall time.
    pub fn new() -> Self {
        let now = crate::clock::Clock::System.now();
        let (monotonic, wall) = (AtomicU64::new(now.monotonic), AtomicU64::new(now.wall));
        Self(Arc::new(Hands { monotonic, wall, moved: Notify::new() }))
    }

    /// Time passes: both clocks move ahead.
    pub fn advance(&self, by: Duration) {
        self.0.monotonic.fetch_add(nanos(by), Ordering::SeqCst);
        self.0.wall.fetch_add(nanos(by), Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }

    /// The machine was suspended, or its wall clock set ahead: the wall clock moves, and the monotonic clock at most
    /// one tick.
    pub fn set_wall_ahead(&self, by: Duration) {
        self.0.monotonic.fetch_add(1, Ordering::SeqCst);
        self.0.wall.fetch_add(nanos(by), Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }

    /// The wall clock is set back; the monotonic clock does not follow.
    pub fn set_wall_back(&self, by: Duration) {
        // The epoch is the earliest time.
        let earlier = |wall: u64| Some(wall.saturating_sub(nanos(by)));
        let _ = self.0.wall.fetch_update(Ordering::SeqCst, Ordering::SeqCst, earlier);
    }

    /// Returns when the monotonic clock has advanced by this duration.
    pub(crate) async fn sleep(&self, duration: Duration) {
        let end = self.now().after(duration);
        loop {
            let moved = self.0.moved.notified();
            if self.now().monotonic >= end.monotonic {
                return;
            }
            moved.await;
        }
    }

    /// The time by this clock.
    pub fn now(&self) -> Timestamp {
        Timestamp {
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
