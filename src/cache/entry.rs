//! A cached value with its window: what a request that finds it may do with it.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::recheck::Recheck;
use crate::cache::window::{Stage, Window};
use crate::clock::{Clock, Timestamp};

/// How far behind the coarse clocks may be, with a good margin.
const CLOCK_LAG: Duration = Duration::from_millis(20);

/// A value with its window.
#[derive(Debug)]
pub(crate) struct CacheEntry<V> {
    pub(crate) value: V,
    window: Window,
    recheck: Arc<Recheck>,
}

impl<V> CacheEntry<V> {
    pub(crate) fn new(value: V, window: Window, recheck: Arc<Recheck>) -> Self {
        let entry = Self { value, window, recheck };
        entry.recheck_at(window.advisory);
        entry
    }

    /// Lets the value be served without a recheck until this timestamp, if that is far enough from its end for the
    /// coarse clocks.
    pub(crate) fn recheck_at(&self, timestamp: Timestamp) {
        if self.window.expiry.since(timestamp) >= CLOCK_LAG {
            self.recheck.postpone(timestamp);
        }
    }

    /// Whether the value may be served without a recheck.
    #[inline]
    pub(crate) fn is_servable(&self, clock: &Clock) -> bool {
        self.recheck.is_ahead(clock)
    }

    /// Where in its life the value stands; an invalidated one has expired.
    pub(crate) fn stage(&self, now: Timestamp) -> Stage {
        if self.recheck.is_invalidated() { Stage::Expired } else { self.window.stage(now) }
    }

    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.stage(now) < Stage::Expired
    }

    /// Whether the issuer granted no life at all: such a value serves the requests that waited for it, and no others.
    pub(crate) fn has_no_life(&self) -> bool {
        self.window.is_empty()
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// How long the value may still be served, by whichever clock leaves it less time.
    #[cfg(feature = "metrics")]
    pub(crate) fn remaining(&self, now: Timestamp) -> Duration {
        if self.recheck.is_invalidated() {
            return Duration::ZERO;
        }
        let wall = self.window.expiry.wall.saturating_sub(now.wall);
        self.window.expiry.since(now).min(Duration::from_nanos(wall))
    }

    pub(crate) fn recheck(&self) -> &Recheck {
        &self.recheck
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::rejections::Rejections;
    use crate::cache::window::RefreshAhead;
    use crate::clock::ManualClock;

    #[test]
    fn an_invalidated_value_is_never_served_again() {
        let clock = ManualClock::new();
        let sent = clock.now();
        let window = Window::new(sent, Duration::from_secs(60), RefreshAhead::TwoThirds, 0.0);
        let entry = CacheEntry::new((), window, Arc::new(Recheck::new()));
        let clock = Clock::Manual(clock);
        assert!(entry.is_servable(&clock));
        entry.recheck().invalidate();
        entry.recheck_at(entry.window.mandatory);
        assert!(!entry.is_servable(&clock));
        assert_eq!(entry.stage(sent), Stage::Expired);
    }

    #[test]
    fn a_value_that_lives_hardly_longer_than_the_coarse_clocks_lag_is_rechecked_each_time() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        for (millis, while_fresh, while_due) in [(50, false, false), (150, true, false), (300, true, true)] {
            let window =
                Window::new(manual.now(), Duration::from_millis(millis), RefreshAhead::TwoThirds, 0.0);
            let entry = CacheEntry::new((), window, Arc::new(Recheck::new()));
            assert_eq!(entry.is_servable(&clock), while_fresh, "{millis}");
            manual.advance(Duration::from_millis(millis * 7 / 10));
            entry.recheck_at(entry.window.mandatory);
            assert_eq!(entry.is_servable(&clock), while_due, "{millis}");
        }
    }

    #[test]
    fn a_refresh_that_a_rejection_requests_is_due_whatever_postpones_the_recheck_until_the_slot_begins_it() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let rejections = Arc::new(Rejections::new(clock.clone(), Duration::from_secs(1)));
        let entry = || {
            let window = Window::new(manual.now(), Duration::from_secs(60), RefreshAhead::TwoThirds, 0.0);
            let recheck = Arc::new(Recheck::new());
            recheck.attach(&rejections, rejections.is_watching(manual.now()));
            CacheEntry::new((), window, recheck)
        };
        let (first, [one, another]) = (entry(), [7, 8]);
        assert!(first.recheck().reject(one), "the first rejection invalidates");
        let second = entry();
        second.recheck().accept(one);
        manual.advance(Duration::from_secs(2));
        assert!(!second.recheck().reject(another), "another consumer accepts it");
        second.recheck_at(second.window.mandatory);
        assert!(!second.is_servable(&clock));
        assert!(rejections.take_request());
        second.recheck_at(second.window.mandatory);
        assert!(second.is_servable(&clock));

        // A value that was replaced meanwhile needs no refresh.
        manual.advance(Duration::from_secs(2));
        second.recheck().accept(one);
        rejections.reject(another, true, |reaction| {
            second.recheck().invalidate();
            second.recheck().react(reaction)
        });
        assert!(!rejections.take_request());
    }

    #[test]
    fn either_clock_past_the_time_of_the_recheck_makes_it_due() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let window = Window::new(manual.now(), Duration::from_secs(60), RefreshAhead::TwoThirds, 0.0);
        let entry = CacheEntry::new((), window, Arc::new(Recheck::new()));
        // Twice in one tick.
        assert!(entry.is_servable(&clock) && entry.is_servable(&clock));
        manual.set_wall_ahead(Duration::from_secs(40));
        assert!(!entry.is_servable(&clock));
        manual.set_wall_back(Duration::from_secs(40));
        assert!(entry.is_servable(&clock));
        manual.advance(Duration::from_secs(40));
        manual.set_wall_back(Duration::from_secs(40));
        assert!(!entry.is_servable(&clock));
    }
}
