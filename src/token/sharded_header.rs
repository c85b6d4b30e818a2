//! A token's header value, sharded by core.
//!
//! Cloning a `HeaderValue` counts a reference, and two cores that count in the same cache line wait for each other:
//! several times the cost of the clone itself. So the header of a token that several cores use has several shards, each
//! with counters in cache lines of its own, and a thread keeps to one shard. A token that only one core uses has one.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderValue;

use crate::cache::recheck::Recheck;

/// The largest number of shards that is worth its memory.
const MOST: usize = 32;

/// Stands for a first shard that no thread has claimed.
const UNCLAIMED: usize = usize::MAX;

/// Every shard of one token's header.
pub(crate) struct ShardedHeader {
    first: Arc<HeaderShard>,
    /// The number, among the shards, of the threads that use the first shard: those that claimed it.
    first_number: AtomicUsize,
    /// One shard for each number; made when a thread with that number needs it.
    others: OnceLock<Box<[OnceLock<Arc<HeaderShard>>]>>,
    /// The count of shards less one, a mask of bits.
    mask: usize,
    budget: Option<ShardBudget>,
}

/// One shard, with the means to invalidate the token when the API rejects it. Aligned so that neither its own
/// reference count nor what it holds shares a cache line, or a pair of them, with another shard.
#[repr(align(128))]
pub(crate) struct HeaderShard {
    authorization: HeaderValue,
    recheck: Arc<Recheck>,
}

/// The text of one shard; the alignment keeps the reference count that `Bytes` puts beside it apart.
#[repr(align(128))]
struct Text(Box<[u8]>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// How many shards many tokens may have together, besides their first ones. Once it is used up, a token serves all
/// cores from its first shard: as correct, but slower.
#[derive(Clone, Debug)]
pub(crate) struct ShardBudget(Arc<AtomicUsize>);

impl ShardBudget {
    pub(crate) fn new(shards: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(shards)))
    }

    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, shards: usize) {
        self.0.fetch_add(shards, Ordering::Relaxed);
    }
}

impl ShardedHeader {
    #[cfg(test)]
    pub(crate) fn new(authorization: &HeaderValue, recheck: &Arc<Recheck>) -> Self {
        Self::within(authorization, recheck, None)
    }

    /// A header whose further shards come out of the budget, as far as it reaches when they are needed.
    pub(crate) fn within(
        authorization: &HeaderValue,
        recheck: &Arc<Recheck>,
        budget: Option<ShardBudget>,
    ) -> Self {
        Self::with_mask(authorization, recheck, shard_count() - 1, budget)
    }

    fn with_mask(
        authorization: &HeaderValue,
        recheck: &Arc<Recheck>,
        mask: usize,
        budget: Option<ShardBudget>,
    ) -> Self {
        Self {
            first: shard(authorization, recheck),
            first_number: AtomicUsize::new(UNCLAIMED),
            others: OnceLock::new(),
            mask,
            budget,
        }
    }

    /// This thread's shard.
    #[inline]
    pub(crate) fn mine(&self) -> &Arc<HeaderShard> {
        let number = thread_number() & self.mask;
        if self.first_number.load(Ordering::Relaxed) == number {
            return &self.first;
        }
        let others = self.others.get();
        match others.and_then(|others| others.get(number)).and_then(OnceLock::get) {
            Some(shard) => shard,
            None => self.claim(number),
        }
    }

    /// The first shard, if no other thread has claimed it; else one of the thread's own, if the budget allows.
    #[cold]
    fn claim(&self, number: usize) -> &Arc<HeaderShard> {
        let (order, unclaimed) = (Ordering::Relaxed, UNCLAIMED);
        match self.first_number.compare_exchange(unclaimed, number, order, order) {
            Ok(_) => return &self.first,
            Err(other) if other == number => return &self.first,
            Err(_) => {}
        }
        let others = self.others.get_or_init(|| (0..=self.mask).map(|_| OnceLock::new()).collect());
        let Some(mine) = others.get(number) else { return &self.first };
        let make = || shard(&self.first.authorization, &self.first.recheck);
        match &self.budget {
            None => mine.get_or_init(make),
            Some(budget) if budget.take() => {
                let mut made = false;
                let shard = mine.get_or_init(|| {
                    made = true;
                    make()
                });
                if !made {
                    budget.give_back(1);
                }
                shard
            }
            Some(_) => &self.first,
        }
    }
}

impl Drop for ShardedHeader {
    fn drop(&mut self) {
        if let (Some(budget), Some(others)) = (&self.budget, self.others.get()) {
            budget.give_back(others.iter().filter(|other| other.get().is_some()).count());
        }
    }
}

fn shard(authorization: &HeaderValue, recheck: &Arc<Recheck>) -> Arc<HeaderShard> {
    let text = Bytes::from_owner(Text(authorization.as_bytes().into()));
    // The text of a header value is valid as one; if it were not, the shared value is as correct, but slower.
    let mut copy = HeaderValue::from_maybe_shared(text).unwrap_or_else(|_invalid| authorization.clone());
    copy.set_sensitive(true);
    Arc::new(HeaderShard { authorization: copy, recheck: Arc::clone(recheck) })
}

impl HeaderShard {
    #[inline]
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// The API at this origin, identified by a hash, rejected the token. True when the next request gets another token,
    /// so that a replay makes sense; false when this one is still served.
    pub(crate) fn reject(&self, origin: u64) -> bool {
        self.recheck.reject(origin)
    }

    /// Whether it matters which API accepts the token, because it was rejected lately.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.recheck.is_watched()
    }

    /// The API at this origin accepted the token. Costs one atomic load unless the token was rejected lately.
    #[inline]
    pub(crate) fn accept(&self, origin: u64) {
        self.recheck.accept(origin);
    }
}

/// How many shards something that each request uses has: a power of two.
pub(crate) fn shard_count() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.next_power_of_two().min(MOST)
}

/// The number of this thread; consecutive for threads started one after the other.
#[inline]
pub(crate) fn thread_number() -> usize {
    thread_local!(static NUMBER: usize = number_of_standard_library());
    NUMBER.try_with(|number| *number).unwrap_or_default()
}

/// The standard library numbers threads but exposes the number only through `Hash`.
fn number_of_standard_library() -> usize {
    struct LastNumber(u64);
    impl Hasher for LastNumber {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte));
            }
        }
        fn write_u64(&mut self, number: u64) {
            self.0 = number;
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut number = LastNumber(0);
    std::thread::current().id().hash(&mut number);
    usize::try_from(number.finish() & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A header as on a machine of eight cores.
    fn header(recheck: &Arc<Recheck>, budget: Option<ShardBudget>) -> ShardedHeader {
        ShardedHeader::with_mask(&HeaderValue::from_static("Bearer x"), recheck, 7, budget)
    }

    fn shards(header: &ShardedHeader) -> usize {
        1 + header.others.get().into_iter().flatten().filter(|other| other.get().is_some()).count()
    }

    /// How many shards a hundred threads use.
    fn read_by_a_hundred_threads(header: &ShardedHeader) -> usize {
        let read = || {
            let shard = header.mine();
            assert_eq!(shard.authorization(), "Bearer x");
            assert!(shard.authorization().is_sensitive());
            assert!(Arc::ptr_eq(shard, header.mine()), "a thread keeps to its shard");
            Arc::as_ptr(shard).addr()
        };
        let seen: HashSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100).map(|_| scope.spawn(read)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        seen.len()
    }

    #[test]
    fn one_thread_makes_no_shard_and_many_make_one_for_each_core() {
        let header = header(&Arc::new(Recheck::new()), None);
        for _ in 0..10 {
            assert!(Arc::ptr_eq(header.mine(), &header.first));
        }
        assert_eq!(shards(&header), 1);
        assert_eq!(read_by_a_hundred_threads(&header), 8);
        assert_eq!(shards(&header), 8);
    }

    #[test]
    fn many_tokens_together_have_no_more_shards_than_their_budget_and_give_them_back() {
        let (recheck, budget) = (Arc::new(Recheck::new()), ShardBudget::new(10));
        let headers: Vec<_> = (0..20).map(|_| header(&recheck, Some(budget.clone()))).collect();
        for header in &headers {
            read_by_a_hundred_threads(header);
        }
        assert_eq!(headers.iter().map(shards).sum::<usize>(), 20 + 10);
        drop(headers);
        assert_eq!(budget.0.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn a_thread_keeps_its_number_and_no_other_thread_has_it() {
        let threads = (0..20).map(|_| std::thread::spawn(thread_number).join().unwrap());
        assert_eq!(threads.collect::<HashSet<usize>>().len(), 20);
        assert_eq!(thread_number(), thread_number());
    }

    #[test]
    fn invalidating_through_a_shard_reaches_the_value() {
        let recheck = Arc::new(Recheck::new());
        assert!(header(&recheck, None).mine().reject(0));
        assert!(recheck.is_invalidated());
    }
}
