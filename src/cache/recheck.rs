//! When a cached value needs a recheck: all that a hit reads, shared by the value's consumers.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::sync::AtomicU64;
use crate::cache::rejections::{Reaction, Rejections};
use crate::clock::{Clock, Timestamp};

/// When a request must check a value by the precise clocks.
///
/// A hit compares the coarse clocks with this and nothing else. Past it, the precise clocks and the slot's state
/// decide, and postpone the next recheck where nothing needs to be done for a while: so serving during a refresh costs
/// what serving a fresh value costs.
///
/// It is shared with each consumer of the value, which can invalidate the value through it: by identity, so that a late
/// rejection of an old value says nothing about its successor.
#[derive(Debug)]
pub(crate) struct Recheck {
    monotonic: AtomicU64,
    wall: AtomicU64,
    /// The tick of the coarse monotonic clock at which the wall clock was read last and the recheck was still ahead.
    last_tick: AtomicU64,
    /// The consumer whose acceptance was noted last, [`NONE_YET`], or [`UNWATCHED`] while acceptances are not noted.
    accepted_by: AtomicU64,
    /// The rejections of the slot that holds the value.
    rejections: OnceLock<Arc<Rejections>>,
}

/// Stands in `monotonic` for an invalidated value. No clock reads it: it is the origin.
const INVALIDATED: u64 = 0;

const UNWATCHED: u64 = 0;
const NONE_YET: u64 = 1;

impl Recheck {
    /// A recheck that is due at once.
    pub(crate) fn new() -> Self {
        Self {
            monotonic: AtomicU64::new(1),
            wall: AtomicU64::new(1),
            last_tick: AtomicU64::new(0),
            accepted_by: AtomicU64::new(UNWATCHED),
            rejections: OnceLock::new(),
        }
    }

    /// Within one tick of the coarse monotonic clock, the wall clock is read once. A tick is far shorter than the
    /// margin that is left between a recheck and the end of the value.
    #[inline]
    pub(crate) fn is_ahead(&self, clock: &Clock) -> bool {
        let tick = clock.coarse_monotonic();
        if tick >= self.monotonic.load(Ordering::Relaxed) {
            return false;
        }
        if tick == self.last_tick.load(Ordering::Relaxed) {
            return true;
        }
        let ahead = clock.coarse_wall() < self.wall.load(Ordering::Relaxed);
        if ahead && Clock::HAS_TICKS {
            self.last_tick.store(tick, Ordering::Relaxed);
        }
        ahead
    }

    /// When the next recheck is due.
    pub(crate) fn due(&self) -> Timestamp {
        Timestamp {
            monotonic: self.monotonic.load(Ordering::Relaxed),
            wall: self.wall.load(Ordering::Relaxed),
        }
    }

    /// The value is not served any more. This cannot be undone.
    pub(crate) fn invalidate(&self) {
        // A read-modify-write like those of `set`, so that each of those precedes it or sees it.
        self.monotonic.swap(INVALIDATED, Ordering::AcqRel);
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

    /// A consumer of the value, identified by a hash, rejects it. True when the next request gets another
    /// value, false when this one is still served: see [`Rejections`].
    pub(crate) fn reject(&self, consumer: u64) -> bool {
        if self.is_invalidated() {
            return true;
        }
        let consumer = consumer.max(NONE_YET + 1);
        let accepted_by = self.accepted_by.load(Ordering::Relaxed);
        let by_another = accepted_by > NONE_YET && accepted_by != consumer;
        match self.rejections.get() {
            Some(rejections) => {
                rejections.reject(consumer, by_another, |reaction| self.react(reaction));
            }
            None => self.invalidate(),
        }
        // From now on it matters which consumer accepts the value.
        let _ = self.accepted_by.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |noted| {
            (noted == UNWATCHED || noted == consumer).then_some(NONE_YET)
        });
        // By this consumer, or by another one meanwhile.
        self.is_invalidated()
    }

    /// Whether a refresh that the reaction requests is needed: not once there is another value.
    pub(super) fn react(&self, reaction: Reaction) -> bool {
        match reaction {
            Reaction::Invalidate => self.invalidate(),
            Reaction::Refresh => return self.set(Timestamp { monotonic: 1, wall: 1 }),
            Reaction::Serve => {}
        }
        false
    }

    /// Whether it matters which consumer accepts the value.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.accepted_by.load(Ordering::Relaxed) != UNWATCHED
    }

    /// A consumer of the value accepts it.
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

    /// The next recheck is due at this timestamp, unless the value is invalidated, or a rejection has requested a
    /// refresh that the slot has yet to begin: then it stays due at once.
    pub(crate) fn postpone(&self, timestamp: Timestamp) {
        let set = || {
            self.set(timestamp);
        };
        match self.rejections.get() {
            Some(rejections) => rejections.unless_requested(set),
            None => set(),
        }
    }

    /// The next recheck is due at this timestamp. False when the value is invalidated, before or meanwhile.
    pub(crate) fn set(&self, timestamp: Timestamp) -> bool {
        self.wall.store(timestamp.wall, Ordering::Relaxed);
        let monotonic = timestamp.monotonic.max(INVALIDATED + 1);
        let unless_invalidated = |now| (now != INVALIDATED).then_some(monotonic);
        // An invalidated value stays so, and the update fails.
        self.monotonic.fetch_update(Ordering::AcqRel, Ordering::Acquire, unless_invalidated).is_ok()
    }
}
