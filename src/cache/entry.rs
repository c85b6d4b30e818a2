//! A cached value, and the moment at which somebody must look at it more closely.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cache::sync::AtomicU64;
use crate::cache::window::{State, Window};
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
        let live = Self { value, window, recheck };
        live.settle_until(window.advisory);
        live
    }

    /// Not so close to its end that the coarse clocks may miss it: then every request takes a closer look.
    fn settle_until(&self, moment: Timestamp) {
        if self.window.dead.since(moment) >= CLOCK_LAG {
            self.recheck.settle_until(moment);
        }
    }

    /// Whether the value may be served without a closer look.
    #[inline]
    pub(crate) fn is_servable(&self, clock: &Clock) -> bool {
        self.is_servable_since(clock, &mut 0)
    }

    /// The same for one who asks again and again: within one tick of the monotonic clock, which `last_tick`
    /// remembers, the wall clock is read once.
    #[inline]
    pub(crate) fn is_servable_since(&self, clock: &Clock, last_tick: &mut u64) -> bool {
        self.recheck.is_ahead(clock, last_tick)
    }

    /// Where in its life the value stands; withdrawn is as good as dead.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        if self.recheck.is_invalidated() { State::Dead } else { self.window.state(now) }
    }

    /// How long it may still be served, by the clock that gives it less.
    #[cfg(feature = "metrics")]
    pub(crate) fn remaining(&self, now: Timestamp) -> Duration {
        if self.recheck.is_invalidated() {
            return Duration::ZERO;
        }
        let wall = self.window.dead.wall.saturating_sub(now.wall);
        self.window.dead.since(now).min(Duration::from_nanos(wall))
    }

    pub(crate) fn recheck(&self) -> &Recheck {
        &self.recheck
    }

    /// Nothing needs to be done while the value is merely due, or before `moment`.
    pub(crate) fn settle_while_due(&self, moment: Option<Timestamp>) {
        let overdue = self.window.mandatory;
        self.settle_until(moment.map_or(overdue, |moment| moment.min(overdue)));
    }
}

/// When somebody must look at a value more closely.
///
/// The hit path compares the coarse clocks with this and nothing else. Past it, the precise clocks and the
/// slot's control decide, and move it ahead where nothing needs to be done for a while: so serving during a
/// refresh costs what serving a fresh value costs.
///
/// Whoever holds a token, or has sent one, holds this too and can withdraw it: by identity, so that a late
/// 401 about an old token says nothing about its successor.
#[derive(Debug)]
pub(crate) struct Recheck {
    monotonic: AtomicU64,
    wall: AtomicU64,
}

/// Stands in `monotonic` for a withdrawn value. No clock reads it: that moment is the origin.
const WITHDRAWN: u64 = 0;

impl Recheck {
    /// Needed at once.
    pub(crate) fn new() -> Self {
        Self { monotonic: AtomicU64::new(1), wall: AtomicU64::new(1) }
    }

    #[inline]
    fn is_ahead(&self, clock: &Clock, last_tick: &mut u64) -> bool {
        let tick = clock.coarse_monotonic();
        if tick >= self.monotonic.load(Ordering::Relaxed) {
            return false;
        }
        if tick == *last_tick {
            return true;
        }
        let ahead = clock.coarse_wall() < self.wall.load(Ordering::Relaxed);
        if ahead {
            *last_tick = tick;
        }
        ahead
    }

    /// When somebody must look.
    pub(crate) fn due(&self) -> Timestamp {
        Timestamp {
            monotonic: self.monotonic.load(Ordering::Relaxed),
            wall: self.wall.load(Ordering::Relaxed),
        }
    }

    /// The value is not to be served any more. There is no way back.
    pub(crate) fn invalidate(&self) {
        self.monotonic.store(WITHDRAWN, Ordering::Release);
    }

    /// A consumer of the value, told apart by a hash, found it to be no good. True when it is not served any more.
    pub(crate) fn reject(&self, _consumer: u64) -> bool {
        self.invalidate();
        true
    }

    /// Whether it matters which consumer accepts the value. Always, as long as nothing here says when.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        true
    }

    /// A consumer of the value found it to be good.
    #[inline]
    pub(crate) fn accept(&self, _consumer: u64) {}

    pub(crate) fn is_invalidated(&self) -> bool {
        self.monotonic.load(Ordering::Acquire) == WITHDRAWN
    }

    /// Not needed before `moment`, unless the value is withdrawn, then or meanwhile.
    fn settle_until(&self, moment: Timestamp) {
        self.wall.store(moment.wall, Ordering::Relaxed);
        let monotonic = moment.monotonic.max(WITHDRAWN + 1);
        let unless_withdrawn = |now| (now != WITHDRAWN).then_some(monotonic);
        // Refused for a withdrawn value, and rightly so.
        let _ = self.monotonic.fetch_update(Ordering::AcqRel, Ordering::Acquire, unless_withdrawn);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::window::Renewal;
    use crate::clock::ManualClock;

    #[test]
    fn a_withdrawn_value_is_never_settled_again() {
        let clock = ManualClock::new();
        let sent = clock.now();
        let window = Window::new(sent, Duration::from_secs(60), Renewal::TwoThirds, 0.0);
        let live = CacheEntry::new((), window, Arc::new(Recheck::new()));
        let clock = Clock::Manual(clock);
        assert!(live.is_servable(&clock));
        live.recheck().invalidate();
        live.settle_while_due(None);
        assert!(!live.is_servable(&clock));
        assert_eq!(live.state(sent), State::Dead);
    }

    #[test]
    fn a_value_that_lives_hardly_longer_than_the_coarse_clocks_lag_is_looked_at_closely_each_time() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        for (millis, while_fresh, while_due) in [(50, false, false), (150, true, false), (300, true, true)] {
            let window = Window::new(manual.now(), Duration::from_millis(millis), Renewal::TwoThirds, 0.0);
            let live = CacheEntry::new((), window, Arc::new(Recheck::new()));
            assert_eq!(live.is_servable(&clock), while_fresh, "{millis}");
            manual.advance(Duration::from_millis(millis * 7 / 10));
            live.settle_while_due(None);
            assert_eq!(live.is_servable(&clock), while_due, "{millis}");
        }
    }

    #[test]
    fn either_clock_past_the_moment_asks_for_attention() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let window = Window::new(manual.now(), Duration::from_secs(60), Renewal::TwoThirds, 0.0);
        let live = CacheEntry::new((), window, Arc::new(Recheck::new()));
        manual.set_wall_ahead(Duration::from_secs(40));
        assert!(!live.is_servable(&clock));
        manual.set_wall_back(Duration::from_secs(40));
        assert!(live.is_servable(&clock));
        manual.advance(Duration::from_secs(40));
        manual.set_wall_back(Duration::from_secs(40));
        assert!(!live.is_servable(&clock));
    }
}
