//! A token's header value, once per core.
//!
//! Cloning a `HeaderValue` counts a reference, and two cores that count in the same cache line wait for
//! each other: several times the cost of the clone itself. So each token has its header in several copies,
//! each with counters in cache lines of their own, and a thread keeps to one copy.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use crate::cache::entry::Recheck;

/// More copies than this are not worth their memory.
const MOST: usize = 32;

/// Every copy of one token's header.
pub(crate) struct ShardedHeader {
    first: Arc<HeaderShard>,
    others: Box<[Arc<HeaderShard>]>,
}

/// One copy, with the means to withdraw the token when the API rejects it. Aligned so that neither its own
/// reference count nor what it holds shares a cache line, or a pair of them, with another copy.
#[repr(align(128))]
pub(crate) struct HeaderShard {
    authorization: HeaderValue,
    recheck: Arc<Recheck>,
}

/// The text of one copy; the alignment keeps the reference count that `Bytes` puts beside it apart.
#[repr(align(128))]
struct Text(Box<[u8]>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl ShardedHeader {
    pub(crate) fn new(authorization: &HeaderValue, recheck: &Arc<Recheck>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = cores.next_power_of_two().min(MOST);
        let copy = || {
            let text = Bytes::from_owner(Text(authorization.as_bytes().into()));
            // What was a header value once is one again; the shared value is as right, only slower.
            let mut copy =
                HeaderValue::from_maybe_shared(text).unwrap_or_else(|_invalid| authorization.clone());
            copy.set_sensitive(true);
            Arc::new(HeaderShard { authorization: copy, recheck: Arc::clone(recheck) })
        };
        Self { first: copy(), others: (1..count).map(|_| copy()).collect() }
    }

    /// This thread's copy.
    #[inline]
    pub(crate) fn mine(&self) -> &Arc<HeaderShard> {
        // All of them are a power of two in number, and all but the first one less: a mask.
        let seat = seat() & self.others.len();
        self.others.get(seat.wrapping_sub(1)).unwrap_or(&self.first)
    }
}

impl HeaderShard {
    #[inline]
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// The API at this origin, told apart by a hash, rejected the token. True when the next request gets another
    /// token, so that a replay makes sense; false when this one is still served.
    pub(crate) fn reject(&self, origin: u64) -> bool {
        self.recheck.reject(origin)
    }

    /// Whether it matters which API accepts the token: a rejection is being looked into.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.recheck.is_watched()
    }

    /// The API at this origin accepted the token. Costs one atomic load unless a rejection is being looked into.
    #[inline]
    pub(crate) fn accept(&self, origin: u64) {
        self.recheck.accept(origin);
    }
}

/// The number of this thread; consecutive for threads started one after the other.
#[inline]
fn seat() -> usize {
    thread_local!(static SEAT: usize = thread_number());
    SEAT.try_with(|seat| *seat).unwrap_or_default()
}

/// The standard library numbers threads but only lets the number out through `Hash`.
fn thread_number() -> usize {
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

    #[test]
    fn every_copy_says_the_same_and_is_sensitive() {
        let copies = ShardedHeader::new(&HeaderValue::from_static("Bearer x"), &Arc::new(Recheck::new()));
        for copy in copies.others.iter().chain([&copies.first]) {
            assert_eq!(copy.authorization(), "Bearer x");
            assert!(copy.authorization().is_sensitive());
        }
    }

    #[test]
    fn a_thread_keeps_its_seat_and_no_other_thread_has_it() {
        let seats: HashSet<usize> = (0..20).map(|_| std::thread::spawn(seat).join().unwrap()).collect();
        assert_eq!(seats.len(), 20);
        assert_eq!(seat(), seat());
    }

    #[test]
    fn withdrawing_through_a_copy_reaches_the_value() {
        let recheck = Arc::new(Recheck::new());
        let copies = ShardedHeader::new(&HeaderValue::from_static("Bearer x"), &recheck);
        assert!(copies.mine().reject(0));
        assert!(recheck.is_invalidated());
    }
}
