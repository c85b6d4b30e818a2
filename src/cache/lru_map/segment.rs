//! One segment of an LRU map: its entries in the order of eviction. It evicts from itself alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// How many entries are examined to find one to evict.
pub(super) const SAMPLES: usize = 8;

/// What the map holds: a cheap handle.
pub(crate) trait Value: Clone {
    /// Whether anything besides the map holds the value. Such an entry is not evicted: a second value would be made.
    fn is_in_use(&self) -> bool;
}

impl<T> Value for Arc<T> {
    fn is_in_use(&self) -> bool {
        Self::strong_count(self) > 1
    }
}

/// An entry of the map.
#[derive(Debug)]
pub(super) struct Node<K, V> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) value: V,
    pub(super) id: u64,
    /// In ticks.
    pub(super) last_used: AtomicU64,
    /// Where the entry stands in its segment's queue. This and the rest is read and written under the mutex of the
    /// segments.
    pub(super) queued: AtomicU64,
    pub(super) is_protected: AtomicBool,
    pub(super) weight: AtomicUsize,
}

/// The entries of one segment in the order of their last use, as far as it was known when they were queued.
#[derive(Debug)]
pub(super) struct Segment<K, V> {
    pub(super) queue: BTreeMap<(u64, u64), Arc<Node<K, V>>>,
    /// How many evictions skip the search, because all entries were in use the last time.
    pause: usize,
}

impl<K, V> Node<K, V> {
    #[inline]
    pub(super) fn touch(&self, now: u64) {
        if self.last_used.load(Ordering::Relaxed) != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }
}

impl<K, V: Value> Segment<K, V> {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, node: Arc<Node<K, V>>) {
        let stamp = node.last_used.load(Ordering::Relaxed);
        self.push_at(stamp, node);
    }

    fn push_at(&mut self, stamp: u64, node: Arc<Node<K, V>>) {
        node.queued.store(stamp, Ordering::Relaxed);
        self.queue.insert((stamp, node.id), node);
    }

    pub(super) fn remove(&mut self, node: &Node<K, V>) -> Option<Arc<Node<K, V>>> {
        self.queue.remove(&(node.queued.load(Ordering::Relaxed), node.id))
    }

    /// Evicts entries until `has_room`, called with the last one evicted, is true, or all entries examined are in use.
    pub(super) fn evict_until(
        &mut self,
        tick: u64,
        mut has_room: impl FnMut(&Self, Option<&Node<K, V>>) -> bool,
    ) -> Vec<Arc<Node<K, V>>> {
        let mut evicted: Vec<Arc<Node<K, V>>> = Vec::new();
        while !has_room(self, evicted.last().map(|node| &**node)) {
            match self.take_least_recently_used(tick) {
                Some(node) => evicted.push(node),
                None => break,
            }
        }
        evicted
    }

    /// The least recently used entry that is not in use. Where the first entries of the queue were all used since they
    /// were queued, it is the least recently used one of those: the time this takes does not grow with the map.
    fn take_least_recently_used(&mut self, tick: u64) -> Option<Arc<Node<K, V>>> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let mut least: Option<Arc<Node<K, V>>> = None;
        for _ in 0..SAMPLES {
            let ((stamp, _), node) = self.queue.pop_first()?;
            if node.value.is_in_use() {
                self.push_at(tick, node);
                continue;
            }
            let last_used = node.last_used.load(Ordering::Relaxed);
            if last_used <= stamp {
                return Some(node);
            }
            if least.as_ref().is_none_or(|least| last_used < least.queued.load(Ordering::Relaxed)) {
                least = Some(Arc::clone(&node));
            }
            self.push(node);
        }
        match least {
            Some(least) => self.remove(&least),
            None => {
                self.pause = SAMPLES;
                None
            }
        }
    }
}

impl<K, V> Default for Segment<K, V> {
    fn default() -> Self {
        Self { queue: BTreeMap::new(), pause: 0 }
    }
}
