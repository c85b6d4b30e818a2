//! How many requests may be in flight: arithmetic alone, no lock, no waiting.
//!
//! A slow start, as in TCP: the window begins at [`START`] requests, and each response widens it by as many, up to the
//! limit. It begins again once no request is in flight or queued, and after a failure that opens a circuit. Some places
//! are reserved by [`Priority`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cache::heartbeat::Heartbeat;
use crate::clock::{Timestamp, nanos};

/// How many requests are in flight at most before the first response.
pub(crate) const START: usize = 8;

/// How many requests are in flight at most unless set otherwise: leaves room under 1,024 file descriptors.
pub(crate) const DEFAULT_LIMIT: usize = 256;

/// Of this many places, one is reserved for own requests, and another one for those and for renewals.
const RESERVED: usize = 16;

/// How many requests for a first value may be queued for each place.
const QUEUED_PER_PLACE: usize = 16;

/// A holder whose heartbeat stands still for this long loses its place.
pub(crate) const STALLED: Duration = Duration::from_millis(1_500);

/// What a request is for. What comes first here leaves the queue first, and has places that the others may not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// A value of the handle itself.
    Own,
    /// The next value of another party that has had one.
    Renewal,
    /// The first value of another party.
    First,
}

impl Priority {
    pub(crate) const ALL: [Self; 3] = [Self::Own, Self::Renewal, Self::First];
}

/// A number of requests for each priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    own: usize,
    renewals: usize,
    first: usize,
}

impl Counts {
    pub(crate) fn of(&mut self, priority: Priority) -> &mut usize {
        match priority {
            Priority::Own => &mut self.own,
            Priority::Renewal => &mut self.renewals,
            Priority::First => &mut self.first,
        }
    }

    fn all(self) -> usize {
        self.own + self.renewals + self.first
    }
}

/// The requests in flight, and how many are queued.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    /// How many may be in flight now, at most `limit`.
    window: usize,
    holders: BTreeMap<u64, Holder>,
    /// How many of them there are of each priority.
    held: Counts,
    queued: Counts,
}

#[derive(Debug)]
struct Holder {
    priority: Priority,
    heartbeat: Heartbeat,
    /// The heartbeat at the last check, and when it was first seen at that count.
    seen: Option<(Option<u64>, Timestamp)>,
}

impl Limiter {
    /// A limit below two counts as two: one place is reserved for own requests.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.max(2);
        let holders = BTreeMap::new();
        Self { limit, window: START.min(limit), holders, held: Counts::default(), queued: Counts::default() }
    }

    pub(crate) fn has_room(&self, priority: Priority) -> bool {
        self.room_beside(self.held, priority) > 0
    }

    /// Whether there is room for a new request as well as for each queued one that leaves the queue before it. Those have
    /// been woken then, and take their places when they run.
    pub(crate) fn has_room_beside_queue(&self, priority: Priority) -> bool {
        let mut queued = self.queued;
        let ahead = Priority::ALL.into_iter().filter(|ahead| *ahead <= priority);
        let ahead: usize = ahead.map(|ahead| *queued.of(ahead)).sum();
        self.room_beside(self.held, priority) > ahead
    }

    /// How many more requests of a priority may be in flight beside these.
    fn room_beside(&self, held: Counts, priority: Priority) -> usize {
        let reserved = (self.window / RESERVED).max(1);
        let for_others = self.window.saturating_sub(reserved);
        let for_first = self.window.saturating_sub(2 * reserved).max(1);
        let own = self.window.saturating_sub(held.all());
        let renewals = own.min(for_others.saturating_sub(held.renewals + held.first));
        match priority {
            Priority::Own => own,
            Priority::Renewal => renewals,
            Priority::First => renewals.min(for_first.saturating_sub(held.first)),
        }
    }

    pub(crate) fn acquire(&mut self, permit: u64, priority: Priority, heartbeat: &Heartbeat) {
        *self.held.of(priority) += 1;
        self.holders.insert(permit, Holder { priority, heartbeat: heartbeat.clone(), seen: None });
    }

    pub(crate) fn release(&mut self, permit: u64) {
        let Some(holder) = self.holders.remove(&permit) else { return };
        *self.held.of(holder.priority) -= 1;
        self.reset_if_idle();
    }

    #[cfg(test)]
    pub(crate) fn has_holders(&self) -> bool {
        !self.holders.is_empty()
    }

    /// Joins the queue; false when it is full.
    pub(crate) fn enqueue(&mut self, priority: Priority) -> bool {
        let queued = self.queued.of(priority);
        let full = priority == Priority::First && *queued >= self.limit.saturating_mul(QUEUED_PER_PLACE);
        *queued += usize::from(!full);
        !full
    }

    pub(crate) fn has_queue(&self) -> bool {
        self.queued.all() > 0
    }

    pub(crate) fn dequeue(&mut self, priority: Priority) {
        let queued = self.queued.of(priority);
        *queued = queued.saturating_sub(1);
        self.reset_if_idle();
    }

    /// How many queued requests of each priority to wake now that this many places have become free. Places that were
    /// free before are not given away again: requests woken for them are about to take them.
    pub(crate) fn admissible(&self, freed: usize) -> Counts {
        let (mut woken, mut queued, mut held, mut free) = (Counts::default(), self.queued, self.held, freed);
        for priority in Priority::ALL {
            let count = free.min(*queued.of(priority)).min(self.room_beside(held, priority));
            *woken.of(priority) = count;
            *held.of(priority) += count;
            free -= count;
        }
        woken
    }

    /// The server responded: widens the window, and returns by how much.
    pub(crate) fn grow(&mut self) -> usize {
        let before = self.window;
        self.window = self.window.saturating_add(START).min(self.limit);
        self.window - before
    }

    pub(crate) fn reset(&mut self) {
        self.window = START.min(self.limit);
    }

    fn reset_if_idle(&mut self) {
        if self.holders.is_empty() && !self.has_queue() {
            self.reset();
        }
    }

    /// Removes stalled holders, and returns their permits. A holder is stalled when its heartbeat was the same at two
    /// calls that are at least [`STALLED`] apart, and at each one in between.
    pub(crate) fn remove_stalled(&mut self, now: Timestamp) -> Vec<u64> {
        let stalled = |holder: &mut Holder| {
            let beats = holder.heartbeat.count();
            match holder.seen {
                Some((seen, since)) if beats.is_some() && seen == beats => {
                    now.monotonic.saturating_sub(since.monotonic) >= nanos(STALLED)
                }
                _ => {
                    holder.seen = Some((beats, now));
                    false
                }
            }
        };
        let holders = self.holders.iter_mut();
        let permits: Vec<u64> =
            holders.filter_map(|(permit, holder)| stalled(holder).then_some(*permit)).collect();
        permits.iter().for_each(|permit| self.release(*permit));
        permits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };

    /// With as many requests of this priority in flight as there is room for, and how many that are.
    fn filled(limiter: &mut Limiter, priority: Priority) -> usize {
        let mut taken = 0;
        while limiter.has_room(priority) {
            let permit = limiter.holders.len() as u64;
            limiter.acquire(permit, priority, &Heartbeat::default());
            taken += 1;
        }
        taken
    }

    #[test]
    fn each_response_lets_eight_more_go_and_those_add_up_to_the_limit() {
        let mut limiter = Limiter::new(256);
        // With a queued request, the window does not begin again.
        assert!(limiter.enqueue(Priority::Own));
        let mut permits = 0..;
        let rounds: Vec<usize> = (0..4)
            .map(|_| {
                let mut sent = Vec::new();
                while limiter.has_room(Priority::Own) {
                    sent.extend(permits.next());
                    sent.last()
                        .iter()
                        .for_each(|id| limiter.acquire(**id, Priority::Own, &Heartbeat::default()));
                }
                sent.iter().for_each(|permit| {
                    limiter.grow();
                    limiter.release(*permit);
                });
                sent.len()
            })
            .collect();
        assert_eq!(rounds, [8, 72, 256, 256]);
        limiter.dequeue(Priority::Own);
        limiter.acquire(u64::MAX, Priority::Own, &Heartbeat::default());
        limiter.release(u64::MAX);
        assert_eq!(limiter.window, START, "once idle, it begins again");
    }

    #[test]
    fn one_place_in_sixteen_is_kept_for_own_requests_and_another_one_for_those_and_renewals() {
        for (limit, own, renewals) in [(2, 1, 0), (START, 1, 1), (64, 4, 4), (256, 16, 16)] {
            let mut limiter = Limiter::new(limit);
            while limiter.grow() > 0 {}
            assert_eq!(filled(&mut limiter, Priority::First), limit - own - renewals, "of {limit}");
            assert_eq!(filled(&mut limiter, Priority::Renewal), renewals, "of {limit}");
            assert_eq!(filled(&mut limiter, Priority::Own), own, "of {limit}");
        }
    }

    #[test]
    fn renewals_alone_leave_the_places_of_own_requests_free() {
        let mut limiter = Limiter::new(256);
        assert_eq!(filled(&mut limiter, Priority::Renewal), START - 1);
        assert_eq!(filled(&mut limiter, Priority::Own), 1);
    }

    #[test]
    fn own_requests_leave_the_queue_first_then_renewals() {
        let mut limiter = Limiter::new(256);
        filled(&mut limiter, Priority::Own);
        for priority in [Priority::First, Priority::First, Priority::Renewal, Priority::Own] {
            assert!(limiter.enqueue(priority));
        }
        let woken = [1, 2, 3, 4].map(|freed| {
            limiter.release(freed as u64 - 1);
            limiter.admissible(freed)
        });
        let counts = |own, renewals, first| Counts { own, renewals, first };
        assert_eq!(woken, [counts(1, 0, 0), counts(1, 1, 0), counts(1, 1, 1), counts(1, 1, 2)]);
    }

    #[test]
    fn a_new_request_takes_no_place_for_which_one_that_comes_first_was_woken() {
        let mut limiter = Limiter::new(256);
        limiter.acquire(0, Priority::First, &Heartbeat::default());
        filled(&mut limiter, Priority::Own);
        assert!(limiter.enqueue(Priority::Own));
        limiter.release(0);
        let may_go =
            |limiter: &Limiter| Priority::ALL.map(|priority| limiter.has_room_beside_queue(priority));
        assert_eq!(may_go(&limiter), [false; 3]);
        limiter.dequeue(Priority::Own);
        assert_eq!(may_go(&limiter), [true; 3]);
    }

    #[test]
    fn a_free_place_that_is_reserved_wakes_no_request_that_may_not_take_it() {
        for responses in 0..3 {
            let mut limiter = Limiter::new(256);
            (0..responses).for_each(|_| _ = limiter.grow());
            filled(&mut limiter, Priority::First);
            assert!(limiter.enqueue(Priority::First));
            assert_eq!(limiter.admissible(1), Counts::default(), "after {responses}");
            filled(&mut limiter, Priority::Renewal);
            assert!(limiter.enqueue(Priority::Renewal));
            assert_eq!(limiter.admissible(1), Counts::default(), "after {responses}");
        }
    }

    #[test]
    fn the_window_grows_by_a_start_and_no_further_than_the_limit() {
        let mut limiter = Limiter::new(START + 2);
        assert_eq!([limiter.grow(), limiter.grow()], [2, 0]);
    }

    #[test]
    fn the_queue_for_first_values_is_bounded() {
        let mut limiter = Limiter::new(2);
        let joined = (0..100).filter(|_| limiter.enqueue(Priority::First)).count();
        assert_eq!(joined, 2 * QUEUED_PER_PLACE);
        assert!(limiter.has_queue());
        assert!(limiter.enqueue(Priority::Own));
    }

    #[test]
    fn a_holder_whose_heartbeat_stands_still_loses_its_place() {
        let mut limiter = Limiter::new(256);
        let (still, running) = (Heartbeat::default(), Heartbeat::default());
        limiter.acquire(1, Priority::Own, &still);
        limiter.acquire(2, Priority::Own, &running);
        // The first check only notes the heartbeat, however long the request has been in flight.
        assert!(limiter.remove_stalled(NOW.after(Duration::from_secs(60))).is_empty());
        running.beat();
        assert_eq!(limiter.remove_stalled(NOW.after(Duration::from_secs(62))), [1]);
        assert_eq!(limiter.holders.len(), 1);
    }
}
