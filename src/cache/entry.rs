//! A cached value, and the time at which a request must look at it more closely.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cache::rejections::{Reaction, Rejections};
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
        let entry = Self { value, window, recheck };
        entry.recheck_at(window.advisory);
        entry
    }

    /// Serves the value without a closer look until then: not so close to its end that the coarse clocks may miss it.
    pub(crate) fn recheck_at(&self, timestamp: Timestamp) {
        if self.window.dead.since(timestamp) >= CLOCK_LAG {
            self.recheck.set(timestamp);
        }
    }

    /// Whether the value may be served without a closer look.
    #[inline]
    pub(crate) fn is_servable(&self, clock: &Clock) -> bool {
        self.is_servable_since(clock, &mut 0)
    }

    /// The same for a caller that asks again and again: within one tick of the monotonic clock, which `last_tick`
    /// remembers, the wall clock is read once.
    #[inline]
    pub(crate) fn is_servable_since(&self, clock: &Clock, last_tick: &mut u64) -> bool {
        self.recheck.is_ahead(clock, last_tick)
    }

    /// Where in its life the value stands; an invalidated one is dead.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        if self.recheck.is_invalidated() { State::Dead } else { self.window.state(now) }
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
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
}

/// When a request must look at a value more closely.
///
/// A hit compares the coarse clocks with this and nothing else. Past it, the precise clocks and the slot's state
/// decide, and move it ahead where nothing needs to be done for a while: so serving during a refresh costs what serving
/// a fresh value costs.
///
/// It is shared with each consumer of the value, which can invalidate the value through it: by identity, so that a late
/// rejection of an old value says nothing about its successor.
#[derive(Debug)]
pub(crate) struct Recheck {
    monotonic: AtomicU64,
    wall: AtomicU64,
    /// The consumer whose acceptance was noted last, [`NONE_YET`], or [`UNWATCHED`] while acceptances are not noted.
    accepted_by: AtomicU64,
    /// Of the slot that holds the value.
    rejections: OnceLock<Arc<Rejections>>,
}

/// Stands in `monotonic` for an invalidated value. No clock reads it: it is the origin.
const INVALIDATED: u64 = 0;

const UNWATCHED: u64 = 0;
const NONE_YET: u64 = 1;

impl Recheck {
    /// Needed at once.
    pub(crate) fn new() -> Self {
        Self {
            monotonic: AtomicU64::new(1),
            wall: AtomicU64::new(1),
            accepted_by: AtomicU64::new(UNWATCHED),
            rejections: OnceLock::new(),
        }
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

    /// When the next closer look is due.
    pub(crate) fn due(&self) -> Timestamp {
        Timestamp {
            monotonic: self.monotonic.load(Ordering::Relaxed),
            wall: self.wall.load(Ordering::Relaxed),
        }
    }

    /// The value is not to be served any more. There is no way back.
    pub(crate) fn invalidate(&self) {
        self.monotonic.store(INVALIDATED, Ordering::Release);
    }

    pub(crate) fn is_invalidated(&self) -> bool {
        self.monotonic.load(Ordering::Acquire) == INVALIDATED
    }

    /// The value becomes that of a slot. With `watched`, the consumers that accept it are noted.
    pub(crate) fn attach(&self, rejections: &Arc<Rejections>, watched: bool) {
        if self.rejections.set(Arc::clone(rejections)).is_ok() && watched {
            self.accepted_by.store(NONE_YET, Ordering::Relaxed);
        }
    }

    /// A consumer of the value, told apart by a hash, finds it to be no good. True when the next request gets another
    /// value, false when this one is still served: see [`Rejections`].
    pub(crate) fn reject(&self, consumer: u64) -> bool {
        if self.is_invalidated() {
            return true;
        }
        let consumer = consumer.max(NONE_YET + 1);
        let accepted_by = self.accepted_by.load(Ordering::Relaxed);
        let by_another = accepted_by > NONE_YET && accepted_by != consumer;
        let reaction = match self.rejections.get() {
            Some(rejections) => rejections.reject(consumer, by_another),
            None => Reaction::Invalidate,
        };
        // From now on it is of interest which consumer accepts the value.
        let _ = self.accepted_by.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |noted| {
            (noted == UNWATCHED || noted == consumer).then_some(NONE_YET)
        });
        match reaction {
            Reaction::Invalidate => self.invalidate(),
            Reaction::Refresh => self.set(Timestamp { monotonic: 1, wall: 1 }),
            Reaction::Serve => {}
        }
        reaction == Reaction::Invalidate
    }

    /// Whether it matters which consumer accepts the value.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.accepted_by.load(Ordering::Relaxed) != UNWATCHED
    }

    /// A consumer of the value finds it to be good.
    #[inline]
    pub(crate) fn accept(&self, consumer: u64) {
        let noted = self.accepted_by.load(Ordering::Relaxed);
        if noted != UNWATCHED && noted != consumer {
            self.note(consumer);
        }
    }

    #[cold]
    fn note(&self, consumer: u64) {
        let consumer = consumer.max(NONE_YET + 1);
        if self.accepted_by.swap(consumer, Ordering::Relaxed) != consumer
            && let Some(rejections) = self.rejections.get()
        {
            rejections.accept(consumer);
        }
    }

    /// Not needed before then, unless the value is invalidated, before or meanwhile.
    fn set(&self, timestamp: Timestamp) {
        self.wall.store(timestamp.wall, Ordering::Relaxed);
        let monotonic = timestamp.monotonic.max(INVALIDATED + 1);
        let unless_invalidated = |now| (now != INVALIDATED).then_some(monotonic);
        // Refused for an invalidated value, and rightly so.
        let _ = self.monotonic.fetch_update(Ordering::AcqRel, Ordering::Acquire, unless_invalidated);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::window::Renewal;
    use crate::clock::ManualClock;

    #[test]
    fn an_invalidated_value_is_never_served_again() {
        let clock = ManualClock::new();
        let sent = clock.now();
        let window = Window::new(sent, Duration::from_secs(60), Renewal::TwoThirds, 0.0);
        let entry = CacheEntry::new((), window, Arc::new(Recheck::new()));
        let clock = Clock::Manual(clock);
        assert!(entry.is_servable(&clock));
        entry.recheck().invalidate();
        entry.recheck_at(entry.window.mandatory);
        assert!(!entry.is_servable(&clock));
        assert_eq!(entry.state(sent), State::Dead);
    }

    #[test]
    fn a_value_that_lives_hardly_longer_than_the_coarse_clocks_lag_is_looked_at_closely_each_time() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        for (millis, while_fresh, while_due) in [(50, false, false), (150, true, false), (300, true, true)] {
            let window = Window::new(manual.now(), Duration::from_millis(millis), Renewal::TwoThirds, 0.0);
            let entry = CacheEntry::new((), window, Arc::new(Recheck::new()));
            assert_eq!(entry.is_servable(&clock), while_fresh, "{millis}");
            manual.advance(Duration::from_millis(millis * 7 / 10));
            entry.recheck_at(entry.window.mandatory);
            assert_eq!(entry.is_servable(&clock), while_due, "{millis}");
        }
    }

    #[test]
    fn either_clock_past_the_time_of_the_recheck_asks_for_it() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let window = Window::new(manual.now(), Duration::from_secs(60), Renewal::TwoThirds, 0.0);
        let entry = CacheEntry::new((), window, Arc::new(Recheck::new()));
        manual.set_wall_ahead(Duration::from_secs(40));
        assert!(!entry.is_servable(&clock));
        manual.set_wall_back(Duration::from_secs(40));
        assert!(entry.is_servable(&clock));
        manual.advance(Duration::from_secs(40));
        manual.set_wall_back(Duration::from_secs(40));
        assert!(!entry.is_servable(&clock));
    }
}
