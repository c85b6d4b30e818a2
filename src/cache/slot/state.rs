//! What a slot remembers besides its value: arithmetic alone, no lock, no clock and no I/O.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::backoff::pause_after;
use crate::cache::entry::CacheEntry;
use crate::cache::in_flight::InFlight;
use crate::cache::refresh::Failure;
use crate::clock::{Timestamp, nanos};
use crate::error::Error;

/// The least interval between refreshes after an invalidated value, and between fetches after a value that lives for
/// less than this: a broken API or issuer must not cause a storm of token requests.
pub(super) const FORCED_INTERVAL: Duration = Duration::from_secs(1);

/// What a slot remembers besides its value. Nothing waits, does I/O, emits an event or calls user code under its lock.
#[derive(Debug)]
pub(super) struct State<V> {
    pub(super) in_flight: Option<InFlight<V>>,
    /// No waiter joins the refresh in flight after this.
    pub(super) join_until: Timestamp,
    pub(super) last_id: u64,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Until this timestamp requests get this error, and nothing is fetched.
    pub(super) failure: Option<(Timestamp, Error)>,
    pub(super) has_had_value: bool,
    /// The next request is sent at this reading of the monotonic clock at the earliest.
    pub(super) not_before: u64,
    /// The same for the next request that an invalidated value forces: it becomes `not_before` when that happens.
    pub(super) next_forced: u64,
    /// Whether the next refresh is one that a rejected or invalidated value forces. True until a refresh brings a value.
    pub(super) forced: bool,
    /// The rejected or invalidated value, for the loader.
    pub(super) rejected: Option<Arc<CacheEntry<V>>>,
}

impl<V> Default for State<V> {
    fn default() -> Self {
        Self {
            in_flight: None,
            join_until: Timestamp { monotonic: 0, wall: 0 },
            last_id: 0,
            failures: 0,
            failure: None,
            has_had_value: false,
            not_before: 0,
            next_forced: 0,
            forced: false,
            rejected: None,
        }
    }
}

impl<V> State<V> {
    /// The refresh to wait for, if one is in flight and may still be joined.
    pub(super) fn in_flight(&self, now: Timestamp) -> Option<&InFlight<V>> {
        self.in_flight.as_ref().filter(|_| now.monotonic < self.join_until.monotonic)
    }

    /// The remembered failure, while it counts.
    pub(super) fn failure(&self, now: Timestamp) -> Option<&Error> {
        self.failure.as_ref().filter(|(until, _)| now.monotonic < until.monotonic).map(|(_, error)| error)
    }

    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        self.failure.as_ref().map(|(until, _)| *until)
    }

    /// The refresh has ended; false when it no longer counts.
    pub(super) fn end(&mut self, refresh: u64) -> bool {
        self.in_flight.take_if(|in_flight| in_flight.id == refresh).is_some()
    }

    /// Remembers the failure until the next refresh is allowed, and returns that time. That of a refresh that made no
    /// attempt counts for no longer than the admission says, and lengthens no pause.
    pub(super) fn fail(&mut self, failure: &Failure, now: Timestamp, jitter: f64) -> Timestamp {
        let Failure { error, until, attempted } = failure;
        let mut retry_at = until.unwrap_or(now);
        if *attempted {
            self.failures = self.failures.saturating_add(1);
            retry_at = retry_at.max(now.after(pause_after(self.failures, error, jitter)));
        }
        self.failure = Some((retry_at, error.clone()));
        retry_at
    }

    /// The value was invalidated: a refresh begun before is void, and the next one begins at once unless another was
    /// forced just before.
    pub(super) fn invalidate(&mut self, value: Arc<CacheEntry<V>>, now: Timestamp) {
        self.in_flight = None;
        self.force(value);
        self.not_before = self.not_before.max(self.next_forced);
        self.next_forced = now.monotonic.max(self.not_before).saturating_add(nanos(FORCED_INTERVAL));
    }

    /// The next refresh must load another value than this one.
    pub(super) fn force(&mut self, value: Arc<CacheEntry<V>>) {
        self.forced = true;
        self.rejected = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::recheck::Recheck;
    use crate::cache::window::{RefreshAhead, Window};
    use crate::error::ErrorKind;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };

    fn later(millis: u64) -> Timestamp {
        NOW.after(Duration::from_millis(millis))
    }

    fn entry() -> Arc<CacheEntry<()>> {
        let window = Window::new(NOW, Duration::from_secs(60), RefreshAhead::TwoThirds, 0.0);
        Arc::new(CacheEntry::new((), window, Arc::new(Recheck::new())))
    }

    #[test]
    fn invalidations_in_quick_succession_force_one_fetch_a_second() {
        let mut state = State::<()>::default();
        let mut delay_after = |at: Timestamp| {
            state.invalidate(entry(), at);
            Duration::from_nanos(state.not_before.saturating_sub(at.monotonic)).as_millis()
        };
        assert_eq!([0, 100, 1_100, 60_000].map(|millis| delay_after(later(millis))), [0, 900, 900, 0]);
    }

    #[test]
    fn a_failure_is_forgotten_in_time() {
        let mut state = State::<()>::default();
        let failure = Failure::from(Error::new(ErrorKind::Unavailable, "busy"));
        let until = state.fail(&failure, NOW, 0.0);
        assert!(state.failure(NOW).is_some());
        assert!(state.failure(until).is_none());
        assert_eq!(state.failures, 1);
    }
}
