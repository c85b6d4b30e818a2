//! How many requests may be in flight: arithmetic alone, no lock, no waiting.
//!
//! A slow start, as in TCP: the window begins at [`START`] requests, and each response widens it by as many, up to the
//! limit. It begins again once no request is in flight or queued, and after a failure that opens a circuit. One place
//! in eight is reserved for requests with priority.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cache::heartbeat::Heartbeat;
use crate::clock::{Timestamp, nanos};

/// How many requests are in flight at most before the first response.
pub(crate) const START: usize = 8;

/// How many requests are in flight at most unless set otherwise: leaves room under 1,024 file descriptors.
pub(crate) const DEFAULT_LIMIT: usize = 256;

/// How many requests without priority may be queued for each place.
const QUEUED_PER_PLACE: usize = 16;

/// A holder whose heartbeat stands still for this long loses its place.
pub(crate) const STALLED: Duration = Duration::from_millis(1_500);

/// The requests in flight, and how many are queued.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    /// How many may be in flight now, at most `limit`.
    window: usize,
    holders: BTreeMap<u64, Holder>,
    /// How many of them have no priority.
    ordinary: usize,
    queued: Queued,
}

#[derive(Debug)]
struct Holder {
    priority: bool,
    heartbeat: Heartbeat,
    /// The heartbeat at the last check, and when it was first seen at that count.
    seen: Option<(Option<u64>, Timestamp)>,
}

/// How many requests wait, by priority.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queued {
    pub(crate) priority: usize,
    pub(crate) ordinary: usize,
}

impl Queued {
    fn of(&mut self, priority: bool) -> &mut usize {
        if priority { &mut self.priority } else { &mut self.ordinary }
    }
}

impl Limiter {
    /// A limit below two counts as two: one place is reserved for priority.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.max(2);
        let holders = BTreeMap::new();
        Self { limit, window: START.min(limit), holders, ordinary: 0, queued: Queued::default() }
    }

    pub(crate) fn has_room(&self, priority: bool) -> bool {
        self.room(priority) > 0
    }

    /// Whether there is room for a new request as well as for each queued one. Those have been woken then, and take
    /// their places when they run.
    pub(crate) fn has_room_beside_queue(&self, priority: bool) -> bool {
        let queued = if priority { self.queued.priority } else { self.queued.ordinary };
        self.room(priority) > queued
    }

    fn room(&self, priority: bool) -> usize {
        let free = self.window.saturating_sub(self.holders.len());
        if priority { free } else { free.min(self.ordinary_room()) }
    }

    /// How many more requests without priority the reserved places allow.
    fn ordinary_room(&self) -> usize {
        let reserved = (self.window / 8).max(1);
        (self.window - reserved).saturating_sub(self.ordinary)
    }

    pub(crate) fn acquire(&mut self, permit: u64, priority: bool, heartbeat: &Heartbeat) {
        self.ordinary += usize::from(!priority);
        self.holders.insert(permit, Holder { priority, heartbeat: heartbeat.clone(), seen: None });
    }

    pub(crate) fn release(&mut self, permit: u64) {
        let Some(holder) = self.holders.remove(&permit) else { return };
        self.ordinary -= usize::from(!holder.priority);
        if self.holders.is_empty() && !self.has_queue() {
            self.reset();
        }
    }

    /// Joins the queue; false when it is full.
    pub(crate) fn enqueue(&mut self, priority: bool) -> bool {
        let full = !priority && self.queued.ordinary >= self.limit.saturating_mul(QUEUED_PER_PLACE);
        if !full {
            *self.queued.of(priority) += 1;
        }
        !full
    }

    pub(crate) fn has_queue(&self) -> bool {
        self.queued.priority + self.queued.ordinary > 0
    }

    pub(crate) fn dequeue(&mut self, priority: bool) {
        let queued = self.queued.of(priority);
        *queued = queued.saturating_sub(1);
        if self.holders.is_empty() && !self.has_queue() {
            self.reset();
        }
    }

    /// How many queued requests to wake now that this many places have become free. Further free places are not
    /// counted: requests woken before are about to take them.
    pub(crate) fn admissible(&self, freed: usize) -> Queued {
        let free = self.window.saturating_sub(self.holders.len()).min(freed);
        let priority = free.min(self.queued.priority);
        let ordinary = (free - priority).min(self.ordinary_room()).min(self.queued.ordinary);
        Queued { priority, ordinary }
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

    /// Removes stalled holders, and returns their permits.
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

    fn filled(limit: usize, ordinary: u64) -> Limiter {
        let mut limiter = Limiter::new(limit);
        (0..ordinary).for_each(|permit| limiter.acquire(permit, false, &Heartbeat::default()));
        limiter
    }

    #[test]
    fn each_response_lets_eight_more_go_and_those_add_up_to_the_limit() {
        let mut limiter = Limiter::new(256);
        // With a queued request, the window does not begin again.
        assert!(limiter.enqueue(true));
        let mut permits = 0..;
        let rounds: Vec<usize> = (0..4)
            .map(|_| {
                let mut sent = Vec::new();
                while limiter.has_room(true) {
                    sent.extend(permits.next());
                    sent.last().iter().for_each(|id| limiter.acquire(**id, true, &Heartbeat::default()));
                }
                sent.iter().for_each(|permit| {
                    limiter.grow();
                    limiter.release(*permit);
                });
                sent.len()
            })
            .collect();
        assert_eq!(rounds, [8, 72, 256, 256]);
        limiter.dequeue(true);
        limiter.acquire(u64::MAX, true, &Heartbeat::default());
        limiter.release(u64::MAX);
        assert_eq!(limiter.window, START, "once idle, it begins again");
    }

    #[test]
    fn one_place_in_eight_is_kept_for_priority() {
        let mut limiter = filled(256, 7);
        assert!(!limiter.has_room(false));
        assert!(limiter.has_room(true));
        limiter.acquire(7, true, &Heartbeat::default());
        assert!(!limiter.has_room(true));
    }

    #[test]
    fn requests_with_priority_leave_the_queue_first() {
        let mut limiter = filled(256, 7);
        limiter.acquire(7, true, &Heartbeat::default());
        for priority in [false, false, true] {
            assert!(limiter.enqueue(priority));
        }
        limiter.release(0);
        let Queued { priority, ordinary } = limiter.admissible(1);
        assert_eq!((priority, ordinary), (1, 0));
        limiter.release(1);
        let Queued { priority, ordinary } = limiter.admissible(2);
        assert_eq!((priority, ordinary), (1, 1));
    }

    #[test]
    fn a_free_place_that_is_kept_for_priority_wakes_no_request_without() {
        for responses in 0..3 {
            let mut limiter = filled(256, 7 * (responses + 1));
            (0..responses).for_each(|_| _ = limiter.grow());
            assert!(limiter.enqueue(false) && limiter.has_queue());
            let Queued { priority, ordinary } = limiter.admissible(1);
            assert_eq!((priority, ordinary), (0, 0), "after {responses}");
        }
    }

    #[test]
    fn the_window_grows_by_a_start_and_no_further_than_the_limit() {
        let mut limiter = Limiter::new(START + 2);
        assert_eq!([limiter.grow(), limiter.grow()], [2, 0]);
    }

    #[test]
    fn the_queue_of_requests_without_priority_is_bounded() {
        let mut limiter = Limiter::new(2);
        let joined = (0..100).filter(|_| limiter.enqueue(false)).count();
        assert_eq!(joined, 2 * QUEUED_PER_PLACE);
        assert!(limiter.has_queue());
        assert!(limiter.enqueue(true));
    }

    #[test]
    fn a_holder_whose_heartbeat_stands_still_loses_its_place() {
        let mut limiter = Limiter::new(256);
        let (still, running) = (Heartbeat::default(), Heartbeat::default());
        limiter.acquire(1, true, &still);
        limiter.acquire(2, true, &running);
        // The first check only notes the heartbeat, however long the request has been in flight.
        assert!(limiter.remove_stalled(NOW.after(Duration::from_secs(60))).is_empty());
        running.beat();
        assert_eq!(limiter.remove_stalled(NOW.after(Duration::from_secs(62))), [1]);
        assert_eq!(limiter.holders.len(), 1);
    }
}
