//! Slots by key: made at first use, bounded in number, found without a lock.

use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cache::entry::CacheEntry;
use crate::cache::lru_map::{Limits, LruMap, Value};
use crate::cache::slot::{Settings, Slot};
use crate::clock::nanos;
use crate::token::retained_subject::RetainedSubject;
use crate::token::token::Token;

/// How often one event reports the live tokens that were evicted.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The slots of one kind of key.
#[derive(Debug)]
pub(super) struct SlotMap<K> {
    map: LruMap<K, TokenSlot, BuildHasherDefault<Prehashed>>,
    settings: Settings,
    /// The setting of the builder that limits the slots, for the event.
    setting: &'static str,
    /// Live tokens evicted since the last event, and when the next event may come.
    evicted: AtomicU64,
    next_warning: AtomicU64,
}

/// A slot, and for an exchange the place where its loader finds the subject token.
#[derive(Clone, Debug)]
pub(super) struct TokenSlot {
    pub(super) slot: Arc<Slot<Token>>,
    pub(super) subject: Option<RetainedSubject>,
}

/// A hasher for keys that are hashed when they are made.
#[derive(Debug, Default)]
pub(super) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn write(&mut self, bytes: &[u8]) {
        // The keys do not write this way; a key that did would find its entry all the same.
        for byte in bytes {
            self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = self.0.rotate_left(32) ^ hash;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

impl Value for TokenSlot {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.slot) > 1
    }
}

impl<K: Debug> SlotMap<K> {
    pub(super) fn new(limits: Limits, settings: Settings, setting: &'static str) -> Self {
        Self {
            map: LruMap::with_limits(limits),
            settings,
            setting,
            evicted: AtomicU64::new(0),
            next_warning: AtomicU64::new(0),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads the token under a key, if it may be served without a recheck. Takes no lock and counts no reference.
    /// `None` where there is no slot or no such token.
    #[inline]
    pub(super) fn with_servable<T>(
        &self,
        query: &impl Hash,
        is_key: impl Fn(&K) -> bool,
        read: impl FnOnce(&Arc<CacheEntry<Token>>) -> T,
    ) -> Option<T> {
        self.map.with(self.map.hash(query), is_key, |found| found.slot.with_servable(read)).flatten()
    }

    /// The slot of a key, if there is one. Does not count as a use.
    pub(super) fn peek(&self, query: &impl Hash, is_key: impl Fn(&K) -> bool) -> Option<TokenSlot> {
        self.map.peek(self.map.hash(query), is_key)
    }

    /// The slot of a key; made at first use.
    pub(super) fn get_or_insert(
        &self,
        query: &impl Hash,
        is_key: impl Fn(&K) -> bool,
        make: impl FnOnce() -> (K, TokenSlot),
    ) -> TokenSlot {
        let (slot, gone) = self.map.get_or_insert(self.map.hash(query), is_key, make);
        self.report(&gone);
        slot
    }

    /// The slot of this key has loaded a token of this size: keys that never had one do not evict it.
    pub(super) fn loaded(&self, query: &impl Hash, is_key: impl Fn(&K) -> bool, bytes: usize) {
        let gone = self.map.promote(self.map.hash(query), is_key, bytes);
        self.report(&gone);
    }

    #[cfg(feature = "metrics")]
    pub(super) fn for_each(&self, mut read: impl FnMut(&TokenSlot)) {
        self.map.for_each(|slot| read(slot));
    }

    /// Reports evicted slots. Called without a lock.
    fn report(&self, gone: &[TokenSlot]) {
        for TokenSlot { slot, .. } in gone {
            #[cfg(feature = "metrics")]
            slot.record_end();
            if slot.peek().is_some() {
                self.evicted_while_alive(slot.label());
            }
        }
    }

    fn evicted_while_alive(&self, scope: &str) {
        let count = self.evicted.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.settings.clock.now().monotonic;
        let next = self.next_warning.load(Ordering::Relaxed);
        let later = now.saturating_add(nanos(WARNING_INTERVAL)).max(1);
        let order = Ordering::Relaxed;
        let warn = now >= next && self.next_warning.compare_exchange(next, later, order, order).is_ok();
        if warn {
            self.evicted.fetch_sub(count, Ordering::Relaxed);
        }
        self.settings.telemetry.evicted_while_alive(scope, self.setting, warn.then_some(count));
    }
}
