//! What consumers report of a slot's values, and when that forces a refresh.
//!
//! The first rejection invalidates the value: it is gone for all, and the next request fetches another. While the same
//! consumer goes on rejecting the values that follow, the consumer is at fault, or the server is: the refreshes it
//! forces are further and further apart, and the current value is served meanwhile. A value that another consumer
//! accepts, or that is about as new as the last forced refresh, stays for the others. All this is forgotten a while
//! after the consumer's last rejection: sooner when it has accepted a value since.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cache::sync::{AtomicU64, Mutex, MutexGuard};
use crate::clock::{Clock, Timestamp};

/// The longest time between two refreshes that one consumer forces.
const LONGEST_INTERVAL: Duration = Duration::from_secs(64);

/// How long after its last rejection a consumer that has accepted a value since is forgotten; any other one later.
const FORGET_ACCEPTING: Duration = Duration::from_secs(60);
const FORGET: Duration = Duration::from_secs(5 * 60);

/// How many rejecting consumers are remembered.
const CONSUMERS: usize = 16;

/// What a rejection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// The value is not served any more.
    Invalidate,
    /// The value is served while the next one is fetched.
    Refresh,
    /// The value is served.
    Serve,
}

/// The rejections of one slot's values.
#[derive(Debug)]
pub(crate) struct Rejections {
    clock: Clock,
    /// The interval between the first two refreshes that a consumer forces; it doubles from there.
    interval: Duration,
    state: Mutex<State>,
    /// A bit for each consumer that has accepted no value since its last rejection, by its id: an acceptance by any
    /// other consumer changes nothing, and takes no lock.
    unaccepted: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    consumers: Vec<Consumer>,
    /// When a rejection last forced a refresh.
    forced: Option<Timestamp>,
    /// Whether the slot has yet to begin that refresh.
    requested: bool,
}

#[derive(Debug)]
struct Consumer {
    id: u64,
    /// How many refreshes it has forced.
    forced: u32,
    /// The consumer forces no other refresh before.
    not_before: Timestamp,
    last: Timestamp,
    /// Whether it has accepted a value since its last rejection.
    accepted: bool,
}

impl Rejections {
    pub(crate) fn new(clock: Clock, interval: Duration) -> Self {
        Self { clock, interval, state: Mutex::default(), unaccepted: AtomicU64::new(0) }
    }

    /// A consumer rejects the value that is served. `react` is called under the lock, so that the next consumer that
    /// rejects the same value finds the state after the reaction; it returns whether a refresh is requested.
    pub(crate) fn reject(
        &self,
        id: u64,
        accepted_by_another: bool,
        react: impl FnOnce(Reaction) -> bool,
    ) -> Reaction {
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.forget(now);
        let reaction = match state.consumers.iter_mut().find(|consumer| consumer.id == id) {
            None => state.first_of(id, accepted_by_another, self.interval, now),
            Some(consumer) => consumer.again(accepted_by_another, self.interval, now),
        };
        if reaction != Reaction::Serve {
            state.forced = Some(now);
        }
        state.requested |= react(reaction);
        self.unaccepted.store(state.unaccepted(), Ordering::Relaxed);
        reaction
    }

    /// A consumer accepts the value that is served.
    pub(crate) fn accept(&self, id: u64) {
        if self.unaccepted.load(Ordering::Relaxed) & bit(id) == 0 {
            return;
        }
        let mut state = self.state();
        state
            .consumers
            .iter_mut()
            .filter(|consumer| consumer.id == id)
            .for_each(|consumer| consumer.accepted = true);
        self.unaccepted.store(state.unaccepted(), Ordering::Relaxed);
    }

    /// Whether acceptances are noted: a value was rejected lately.
    pub(crate) fn is_watching(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        state.forget(now);
        !state.consumers.is_empty()
    }

    /// Whether a rejection has made a refresh due; the call resets it.
    pub(crate) fn take_request(&self) -> bool {
        std::mem::take(&mut self.state().requested)
    }

    /// Does this unless a rejection has made a refresh due; no rejection comes between.
    pub(crate) fn unless_requested(&self, postpone: impl FnOnce()) {
        let state = self.state();
        if !state.requested {
            postpone();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bit that stands for a consumer; it may stand for another one, too.
fn bit(id: u64) -> u64 {
    1 << (id % 64)
}

impl State {
    fn unaccepted(&self) -> u64 {
        let consumers = self.consumers.iter().filter(|consumer| !consumer.accepted);
        consumers.fold(0, |bits, consumer| bits | bit(consumer.id))
    }

    fn forget(&mut self, now: Timestamp) {
        self.consumers.retain(|consumer| {
            let quiet = if consumer.accepted { FORGET_ACCEPTING } else { FORGET };
            now.since(consumer.last) < quiet
        });
    }

    fn first_of(
        &mut self,
        id: u64,
        accepted_by_another: bool,
        interval: Duration,
        now: Timestamp,
    ) -> Reaction {
        // With each consumer that rejects values, one more rejection is weaker evidence against the value.
        let others = u32::try_from(self.consumers.len()).unwrap_or(u32::MAX);
        let spacing = interval.saturating_mul(others).min(LONGEST_INTERVAL);
        let due = self.forced.map_or(now, |forced| forced.after(spacing));
        let reaction = match now.monotonic >= due.monotonic {
            false => Reaction::Serve,
            true if accepted_by_another => Reaction::Refresh,
            true => Reaction::Invalidate,
        };
        let (forced, not_before) = match reaction {
            Reaction::Serve => (0, due),
            _ => (1, now.after(interval)),
        };
        if self.consumers.len() >= CONSUMERS {
            self.consumers.sort_by_key(|consumer| consumer.last.monotonic);
            self.consumers.remove(0);
        }
        self.consumers.push(Consumer { id, forced, not_before, last: now, accepted: false });
        reaction
    }
}

impl Consumer {
    fn again(&mut self, accepted_by_another: bool, interval: Duration, now: Timestamp) -> Reaction {
        self.last = now;
        if now.monotonic < self.not_before.monotonic {
            return Reaction::Serve;
        }
        let accepted = std::mem::take(&mut self.accepted);
        self.forced = self.forced.saturating_add(1);
        let doublings = self.forced.saturating_sub(1).min(16);
        self.not_before = now.after(interval.saturating_mul(1 << doublings).min(LONGEST_INTERVAL));
        // The consumer accepted a value before, so this one may have been revoked too.
        if self.forced <= 2 && accepted && !accepted_by_another {
            Reaction::Invalidate
        } else {
            Reaction::Refresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);
    const BAD: u64 = 1;
    const GOOD: u64 = 2;

    fn is_refresh(reaction: Reaction) -> bool {
        reaction == Reaction::Refresh
    }

    fn rejections() -> (Rejections, ManualClock) {
        let clock = ManualClock::new();
        (Rejections::new(Clock::Manual(clock.clone()), SECOND), clock)
    }

    #[test]
    fn an_acceptance_by_a_consumer_that_has_rejected_nothing_takes_no_lock() {
        let (rejections, _) = rejections();
        rejections.reject(BAD, false, is_refresh);
        let locked = rejections.state();
        // With the lock it would never return.
        rejections.accept(GOOD);
        drop(locked);
        rejections.accept(BAD);
        let _locked = rejections.state();
        rejections.accept(BAD);
    }

    /// Refreshes forced in each minute by rejections every `step`, with `between` after each.
    fn forced_a_minute(step: Duration, minutes: usize, between: impl Fn(&Rejections)) -> Vec<usize> {
        let (rejections, clock) = rejections();
        let steps = 60_000 / step.as_millis();
        (0..minutes)
            .map(|_| {
                let mut forced = 0;
                for _ in 0..steps {
                    forced += usize::from(rejections.reject(BAD, false, is_refresh) != Reaction::Serve);
                    between(&rejections);
                    clock.advance(step);
                }
                forced
            })
            .collect()
    }

    #[test]
    fn a_consumer_that_rejects_all_values_forces_seven_refreshes_in_a_minute_and_then_one_a_minute() {
        let counts = forced_a_minute(Duration::from_millis(50), 10, |_| ());
        assert!(counts[0] <= 7, "{counts:?}");
        assert!(counts[1..].iter().all(|count| *count <= 1), "{counts:?}");
    }

    #[test]
    fn a_consumer_that_accepts_and_rejects_the_same_values_in_turn_forces_no_more() {
        for step in [50, 1_000, 15_000] {
            let counts =
                forced_a_minute(Duration::from_millis(step), 10, |rejections| rejections.accept(BAD));
            assert!(counts[0] + counts[1] <= 8, "{step}: {counts:?}");
            assert!(counts[2..].iter().all(|count| *count <= 1), "{step}: {counts:?}");
        }
    }

    #[test]
    fn the_value_is_invalidated_once_and_served_from_then_on() {
        let (rejections, clock) = rejections();
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Invalidate);
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Serve);
        assert!(!rejections.take_request());
        clock.advance(SECOND);
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Refresh);
        assert!(rejections.take_request() && !rejections.take_request());
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Serve);
    }

    #[test]
    fn a_value_that_is_accepted_and_then_revoked_is_invalidated_again_after_a_second() {
        let (rejections, clock) = rejections();
        assert_eq!(rejections.reject(GOOD, false, is_refresh), Reaction::Invalidate);
        rejections.accept(GOOD);
        clock.advance(SECOND);
        assert_eq!(rejections.reject(GOOD, false, is_refresh), Reaction::Invalidate);
        rejections.accept(GOOD);
        clock.advance(FORGET_ACCEPTING);
        assert_eq!(rejections.reject(GOOD, false, is_refresh), Reaction::Invalidate, "the rest is forgotten");
    }

    #[test]
    fn one_consumers_rejections_do_not_hold_up_what_another_one_says() {
        let (rejections, clock) = rejections();
        for _ in 0..100 {
            rejections.reject(BAD, false, is_refresh);
            clock.advance(SECOND);
        }
        // `BAD` rejects this value, and no other consumer is known to accept it.
        clock.advance(SECOND);
        assert_eq!(rejections.reject(GOOD, false, is_refresh), Reaction::Invalidate);
    }

    #[test]
    fn what_another_consumer_accepts_or_what_is_new_is_not_taken_from_the_others() {
        let (rejections, clock) = rejections();
        assert_eq!(rejections.reject(GOOD, false, is_refresh), Reaction::Invalidate);
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Serve, "forced just before");
        clock.advance(SECOND);
        assert_eq!(rejections.reject(BAD, true, is_refresh), Reaction::Refresh);
        assert_eq!(rejections.reject(3, true, is_refresh), Reaction::Serve);
    }

    #[test]
    fn a_consumer_that_was_put_off_forces_its_first_refresh_when_the_interval_after_the_others_is_over() {
        let (rejections, clock) = rejections();
        rejections.reject(GOOD, false, is_refresh);
        clock.advance(SECOND / 2);
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Serve);
        clock.advance(SECOND / 2);
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Refresh);
        clock.advance(SECOND);
        assert_eq!(rejections.reject(BAD, false, is_refresh), Reaction::Refresh);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let (rejections, clock) = rejections();
        for id in 0..100 {
            rejections.reject(id, false, is_refresh);
        }
        assert_eq!(rejections.state().consumers.len(), CONSUMERS);
        clock.advance(Duration::from_secs(299));
        assert!(rejections.is_watching(clock.now()));
        clock.advance(SECOND);
        assert!(!rejections.is_watching(clock.now()));
    }
}
