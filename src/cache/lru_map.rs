//! A bounded map that is read without a lock and evicts the least recently used entry.
//!
//! Readers find an entry through a shard: a short list behind an `ArcSwap`, replaced whole when an entry comes or goes.
//! The number of shards follows from the capacity, so a new key copies a handful of entries however many there are.
//! The order of eviction is behind a mutex that only writers take; a reader notes a use by one store into the entry,
//! and only once between two insertions, so that readers on several cores do not contend for it.
//!
//! The map has two segments (a segmented LRU). A new key is on probation until its value has [proven](LruMap::promote)
//! useful; then it is protected. Each segment is bounded and evicts from itself alone: keys that never had a useful
//! value, however many, evict none that has one.

mod segment;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;

pub(crate) use self::segment::Value;
use self::segment::{Node, Segment};

/// How many entries are in one shard when the map is full.
const SHARD_LENGTH: usize = 8;

const MOST_SHARDS: usize = 1 << 16;

/// How much the map holds. An entry in use is not evicted even beyond that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Entries on probation; zero counts as one.
    pub(crate) probation: usize,
    /// Protected entries; zero counts as one.
    pub(crate) protected: usize,
    /// The sum of the protected entries' weights.
    pub(crate) weight: usize,
}

/// A bounded map, read without a lock.
#[derive(Debug)]
pub(crate) struct LruMap<K, V, S = RandomState> {
    limits: Limits,
    hasher: S,
    /// Mixed into each hash, so that no choice of keys fills one shard.
    seed: u64,
    /// Their number is a power of two; made with the first key.
    shards: OnceLock<Shards<K, V>>,
    /// The map's logical clock: advances by two with each insertion, promotion and lookup by key.
    ticks: AtomicU64,
    segments: Mutex<Segments<K, V>>,
}

type Shards<K, V> = Box<[ArcSwapOption<Shard<K, V>>]>;

/// Entries with the hashes of their keys.
type Shard<K, V> = Vec<(u64, Arc<Node<K, V>>)>;

#[derive(Debug)]
struct Segments<K, V> {
    last_id: u64,
    weight: usize,
    probation: Segment<K, V>,
    protected: Segment<K, V>,
}

#[cfg(test)]
impl<K: Clone + Eq + Hash, V: Value> LruMap<K, V> {
    /// A map of this capacity in which every entry stays on probation: a plain LRU map.
    pub(crate) fn new(capacity: usize) -> Self {
        Self::with_limits(Limits { probation: capacity, protected: 1, weight: usize::MAX })
    }

    /// The value under this key, made if it is missing, and now the most recently used.
    pub(crate) fn get_or_insert_with(&self, key: &K, make: impl FnOnce() -> V) -> V {
        self.get_or_insert(self.hash(key), |other| other == key, || (key.clone(), make())).0
    }
}

impl<K, V: Value, S: BuildHasher + Default> LruMap<K, V, S> {
    pub(crate) fn with_limits(limits: Limits) -> Self {
        let Limits { probation, protected, weight } = limits;
        Self {
            limits: Limits { probation: probation.max(1), protected: protected.max(1), weight },
            hasher: S::default(),
            seed: RandomState::new().hash_one(0_u8),
            shards: OnceLock::new(),
            ticks: AtomicU64::new(0),
            segments: Mutex::default(),
        }
    }

    /// The hash that finds a key, or whatever hashes as it does.
    #[inline]
    pub(crate) fn hash(&self, key: &(impl Hash + ?Sized)) -> u64 {
        let mixed = u128::from(self.hasher.hash_one(key) ^ self.seed) * 0x9E37_79B9_7F4A_7C15;
        #[allow(clippy::cast_possible_truncation, reason = "folded")]
        let (low, high) = (mixed as u64, (mixed >> 64) as u64);
        low ^ high
    }

    /// Reads the value of the key with this hash for which `is_key` holds, and notes the use. Takes no lock and counts
    /// no reference.
    #[inline]
    pub(crate) fn with<T>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        read: impl FnOnce(&V) -> T,
    ) -> Option<T> {
        let shard = self.shard(hash)?.load();
        let node = find(shard.as_ref()?, hash, is_key)?;
        // After entries queued at this tick, and before those of the next one.
        node.touch(self.ticks.load(Ordering::Relaxed) + 1);
        Some(read(&node.value))
    }

    /// The value of that key. Does not count as a use.
    pub(crate) fn peek(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<V> {
        Some(self.node(hash, is_key)?.value.clone())
    }

    /// The value of that key, now the most recently used.
    fn get(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<V> {
        let node = self.node(hash, is_key)?;
        node.touch(self.tick());
        Some(node.value.clone())
    }

    /// The value of that key, made on probation if it is missing, with the values evicted for it.
    pub(crate) fn get_or_insert(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        make: impl FnOnce() -> (K, V),
    ) -> (V, Vec<V>) {
        if let Some(value) = self.get(hash, &is_key) {
            return (value, Vec::new());
        }
        let mut segments = self.segments();
        if let Some(value) = self.get(hash, is_key) {
            return (value, Vec::new());
        }
        let tick = self.tick();
        let evicted =
            segments.probation.evict_until(tick, |segment, _| segment.len() < self.limits.probation);
        let evicted = self.remove(&mut segments, evicted);
        let (key, value) = make();
        segments.last_id += 1;
        let node = Arc::new(Node {
            hash,
            key,
            value: value.clone(),
            id: segments.last_id,
            last_used: AtomicU64::new(tick),
            queued: AtomicU64::new(tick),
            is_protected: AtomicBool::new(false),
            weight: AtomicUsize::new(0),
        });
        self.replace_shard(hash, |shard| shard.push((hash, Arc::clone(&node))));
        segments.probation.push(node);
        drop(segments);
        (value, evicted)
    }

    /// Protects the entry of that key, whose value has proven useful and has this weight. Returns the values evicted
    /// for it.
    pub(crate) fn promote(&self, hash: u64, is_key: impl Fn(&K) -> bool, weight: usize) -> Vec<V> {
        let mut guard = self.segments();
        let segments = &mut *guard;
        let Some(node) = self.node(hash, is_key) else { return Vec::new() };
        let tick = self.tick();
        node.touch(tick);
        let before = node.weight.swap(weight, Ordering::Relaxed);
        segments.weight = segments.weight.saturating_sub(before).saturating_add(weight);
        if !node.is_protected.swap(true, Ordering::Relaxed) {
            segments.probation.remove(&node);
            segments.protected.push(node);
        }
        let (limits, mut total) = (self.limits, segments.weight);
        let evicted = segments.protected.evict_until(tick, |segment, last| {
            total = total.saturating_sub(last.map_or(0, |node| node.weight.load(Ordering::Relaxed)));
            segment.len() <= limits.protected && (total <= limits.weight || segment.len() <= 1)
        });
        let evicted = self.remove(segments, evicted);
        drop(guard);
        evicted
    }

    /// Every value, in no order.
    #[cfg(any(test, feature = "metrics"))]
    pub(crate) fn for_each(&self, mut read: impl FnMut(&V)) {
        for shard in self.shards.get().into_iter().flatten() {
            for (_, node) in shard.load().iter().flat_map(|shard| shard.iter()) {
                read(&node.value);
            }
        }
    }

    fn remove(&self, segments: &mut Segments<K, V>, evicted: Vec<Arc<Node<K, V>>>) -> Vec<V> {
        for node in &evicted {
            segments.weight = segments.weight.saturating_sub(node.weight.load(Ordering::Relaxed));
            self.replace_shard(node.hash, |shard| shard.retain(|(_, other)| !Arc::ptr_eq(other, node)));
        }
        evicted.iter().map(|node| node.value.clone()).collect()
    }

    /// Called under the mutex of the segments.
    fn replace_shard(&self, hash: u64, change: impl FnOnce(&mut Shard<K, V>)) {
        let shards = self.shards.get_or_init(|| {
            let entries = self.limits.probation.saturating_add(self.limits.protected);
            let count = (entries / SHARD_LENGTH).clamp(1, MOST_SHARDS).next_power_of_two();
            (0..count).map(|_| ArcSwapOption::empty()).collect()
        });
        let Some(shard) = shards.get(index(hash, shards.len())) else { return };
        let mut copy = Vec::new();
        if let Some(before) = shard.load().as_ref() {
            copy.reserve_exact(before.len() + 1);
            copy.extend(before.iter().cloned());
        }
        change(&mut copy);
        shard.store((!copy.is_empty()).then(|| Arc::new(copy)));
    }

    fn node(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Arc<Node<K, V>>> {
        let shard = self.shard(hash)?.load();
        find(shard.as_ref()?, hash, is_key).cloned()
    }

    #[inline]
    fn shard(&self, hash: u64) -> Option<&ArcSwapOption<Shard<K, V>>> {
        let shards = self.shards.get()?;
        shards.get(index(hash, shards.len()))
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(2, Ordering::Relaxed) + 2
    }

    fn segments(&self) -> MutexGuard<'_, Segments<K, V>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash is spread well: its low bits are as good as any.
#[inline]
fn index(hash: u64, shards: usize) -> usize {
    usize::try_from(hash & (shards as u64 - 1)).unwrap_or_default()
}

#[inline]
fn find<K, V>(shard: &Shard<K, V>, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<&Arc<Node<K, V>>> {
    let mut nodes = shard.iter();
    nodes.find(|(other, node)| *other == hash && is_key(&node.key)).map(|(_, node)| node)
}

impl<K, V> Default for Segments<K, V> {
    fn default() -> Self {
        Self { last_id: 0, weight: 0, probation: Segment::default(), protected: Segment::default() }
    }
}

#[cfg(test)]
mod tests;
