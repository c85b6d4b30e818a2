//! What a slot remembers besides its value: the flight under way, failures, and when to ask again.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::backoff::pause_after;
use crate::cache::entry::CacheEntry;
use crate::cache::flight::{Arrival, Flight};
use crate::cache::pilot::Failure;
use crate::clock::{Timestamp, nanos};
use crate::error::Error;

/// Forced refreshes, and fetches after a value that lives for less than this, are at least this far apart: a
/// broken API or a broken issuer must not become a storm of token requests.
pub(crate) const FORCED_INTERVAL: Duration = Duration::from_secs(1);

/// Guarded by the slot's mutex and held for nanoseconds: nothing here waits or does I/O.
#[derive(Debug)]
pub(crate) struct Control<V> {
    flight: Option<Flight<V>>,
    last_id: u64,
    failures: u32,
    refusal: Option<Refusal>,
    /// No request leaves before this reading of the monotonic clock.
    earliest: u64,
    /// No forced request leaves before this one.
    next_forced: u64,
    forced: bool,
    /// The value that was withdrawn, until a flight takes the news along.
    rejected: Option<Arc<CacheEntry<V>>>,
}

/// A remembered failure: until then everybody gets the same error and nobody asks.
#[derive(Debug)]
struct Refusal {
    until: Timestamp,
    error: Error,
}

impl<V> Default for Control<V> {
    fn default() -> Self {
        Self {
            flight: None,
            last_id: 0,
            failures: 0,
            refusal: None,
            earliest: 0,
            next_forced: 0,
            forced: false,
            rejected: None,
        }
    }
}

impl<V> Control<V> {
    /// The flight to wait for, if one is under way and not overdue.
    pub(crate) fn under_way(&self, now: Timestamp) -> Option<&Arrival<V>> {
        let flight = self.flight.as_ref()?;
        (now.monotonic < flight.overdue.monotonic).then_some(&flight.arrival)
    }

    /// The remembered failure, while it counts.
    pub(crate) fn refusal(&self, now: Timestamp) -> Option<&Error> {
        let refusal = self.refusal.as_ref()?;
        (now.monotonic < refusal.until.monotonic).then_some(&refusal.error)
    }

    /// When to ask again, if anything failed since the last success.
    pub(crate) fn opens(&self) -> Option<Timestamp> {
        self.refusal.as_ref().map(|refusal| refusal.until)
    }

    /// Notes a new flight, which voids the one before it, and gives its number.
    pub(crate) fn depart(&mut self, overdue: Timestamp, arrival: Arrival<V>) -> u64 {
        self.last_id += 1;
        self.flight = Some(Flight { id: self.last_id, overdue, arrival });
        self.last_id
    }

    /// How long the next flight has to hold its first request back.
    pub(crate) fn hold_back(&self, now: Timestamp) -> Duration {
        Duration::from_nanos(self.earliest.saturating_sub(now.monotonic))
    }

    /// Whether the next flight follows a withdrawn value; asking resets the answer.
    pub(crate) fn take_forced(&mut self) -> bool {
        std::mem::take(&mut self.forced)
    }

    /// The value that the next flight must not bring again.
    pub(crate) fn reject(&mut self, live: Arc<CacheEntry<V>>) {
        self.rejected = Some(live);
    }

    pub(crate) fn take_rejected(&mut self) -> Option<Arc<CacheEntry<V>>> {
        self.rejected.take()
    }

    /// Whether nothing has failed since the last success.
    pub(crate) fn is_untroubled(&self) -> bool {
        self.failures == 0
    }

    /// Whether there ever was a flight.
    #[cfg(feature = "metrics")]
    pub(crate) fn has_flown(&self) -> bool {
        self.last_id > 0
    }

    /// Takes note that the flight `id` has ended; false when it no longer counts.
    pub(crate) fn arrive(&mut self, id: u64) -> bool {
        if self.flight.as_ref().is_none_or(|flight| flight.id != id) {
            return false;
        }
        self.flight = None;
        true
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.refusal = None;
    }

    /// Remembers the failure, until the issuer may be asked again, and tells when that is.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Timestamp, jitter: f64) -> Timestamp {
        self.failures = self.failures.saturating_add(1);
        let own = || now.after(pause_after(self.failures, &failure.error, jitter));
        let until = failure.opens.unwrap_or_else(own);
        self.refusal = Some(Refusal { until, error: failure.error.clone() });
        until
    }

    /// The issuer handed out a value that is dead or soon will be: the next request waits a little.
    pub(crate) fn space_out(&mut self, now: Timestamp) {
        self.earliest = now.monotonic.saturating_add(nanos(FORCED_INTERVAL));
    }

    /// The value was withdrawn: a flight begun before is void, and the next one leaves at once unless
    /// another was forced a moment ago.
    pub(crate) fn invalidate(&mut self, now: Timestamp) {
        self.flight = None;
        self.forced = true;
        self.earliest = self.earliest.max(self.next_forced);
        self.next_forced = now.monotonic.max(self.earliest).saturating_add(nanos(FORCED_INTERVAL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::flight::channel;
    use crate::error::ErrorKind;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };

    fn later(millis: u64) -> Timestamp {
        NOW.after(Duration::from_millis(millis))
    }

    #[test]
    fn withdrawals_in_quick_succession_force_one_fetch_a_second() {
        let mut control = Control::<()>::default();
        control.invalidate(NOW);
        assert_eq!(control.hold_back(NOW), Duration::ZERO);
        control.invalidate(later(100));
        assert_eq!(control.hold_back(later(100)), Duration::from_millis(900));
        control.invalidate(later(1_100));
        assert_eq!(control.hold_back(later(1_100)), Duration::from_millis(900));
        control.invalidate(later(60_000));
        assert_eq!(control.hold_back(later(60_000)), Duration::ZERO);
    }

    #[test]
    fn a_flight_begun_before_a_withdrawal_or_overtaken_does_not_count() {
        let mut control = Control::<()>::default();
        let first = control.depart(later(1_000), channel().1);
        control.invalidate(NOW);
        assert!(!control.arrive(first));
        let second = control.depart(later(1_000), channel().1);
        let third = control.depart(later(2_000), channel().1);
        assert!(!control.arrive(second));
        assert!(control.arrive(third));
        assert!(!control.arrive(third));
    }

    #[test]
    fn an_overdue_flight_is_no_longer_waited_for() {
        let mut control = Control::<()>::default();
        control.depart(later(1_000), channel().1);
        assert!(control.under_way(later(999)).is_some());
        assert!(control.under_way(later(1_000)).is_none());
    }

    #[test]
    fn a_failure_is_forgotten_in_time_and_by_success() {
        let mut control = Control::<()>::default();
        let error = Error::new(ErrorKind::Unavailable, "busy");
        let opens = control.failed(&error.into(), NOW, 0.0);
        assert!(control.refusal(NOW).is_some());
        assert!(control.refusal(opens).is_none());
        assert!(!control.is_untroubled());
        control.succeeded();
        assert!(control.refusal(NOW).is_none() && control.is_untroubled());
    }
}
