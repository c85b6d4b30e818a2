//! What a process knows of the tokens and the lock under one name.

use std::collections::VecDeque;
use std::time::Duration;

use tower_idaas::clock::Timestamp;

use crate::record::Digest;

/// How many rejected tokens of a name are remembered: more than an API rejects in one life.
const REJECTED: usize = 16;

/// For how long the lock is not waited for after a wait in vain; doubled after each further one in a row.
const FIRST_REFUSAL: Duration = Duration::from_secs(60);

const MOST_DOUBLINGS: u32 = 6;

#[derive(Debug, Default)]
pub(crate) struct History {
    /// Digests of tokens that an API has rejected: they are not taken from the store again.
    rejected: VecDeque<Digest>,
    /// The token that was last taken from the store or stored.
    last: Option<Digest>,
    /// The owner's name under which this process requested the lock and has not ended it.
    owner: Option<String>,
    /// Waits in vain, in a row.
    vain: u32,
    no_wait_until: Option<Timestamp>,
}

impl History {
    pub(crate) fn reject(&mut self, digest: Digest) {
        // One that is rejected again and again must not push the others out.
        self.rejected.retain(|known| *known != digest);
        self.rejected.truncate(REJECTED - 1);
        self.rejected.push_front(digest);
    }

    pub(crate) fn is_rejected(&self, digest: &Digest) -> bool {
        self.rejected.contains(digest)
    }

    /// Notes that a token was taken from the store, or stored. Returns false when it was so before: then the local
    /// cache had it, and requests a better one.
    pub(crate) fn take(&mut self, digest: Digest) -> bool {
        self.last.replace(digest) != Some(digest)
    }

    /// The name under which to ask for the lock. A fetch that was cancelled, or whose runtime stands still, may have
    /// the lock: the next fetch of this process takes it over at once and does not wait for the end of the lease.
    pub(crate) fn owner(&mut self, unique: impl FnOnce() -> String) -> String {
        self.owner.get_or_insert_with(unique).clone()
    }

    /// The lock of this owner was ended.
    pub(crate) fn ended(&mut self, owner: &str) {
        self.owner.take_if(|last| last == owner);
    }

    /// Whether the lock is waited for. For a while after a wait in vain it is not: its owner may never end it.
    pub(crate) fn may_wait(&self, now: Timestamp) -> bool {
        self.no_wait_until.is_none_or(|until| until.monotonic <= now.monotonic)
    }

    /// A wait for the lock ended without it. Nothing new where the lock was not waited for.
    pub(crate) fn waited_in_vain(&mut self, now: Timestamp) {
        if !self.may_wait(now) {
            return;
        }
        let pause = FIRST_REFUSAL.saturating_mul(1 << self.vain.min(MOST_DOUBLINGS));
        self.vain = self.vain.saturating_add(1);
        self.no_wait_until = Some(now.after(pause));
    }

    /// The lock changed hands, or its owner has stored a token.
    pub(crate) fn lock_works(&mut self) {
        (self.vain, self.no_wait_until) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };

    #[test]
    fn waits_in_vain_grow_rare_until_the_lock_works_again() {
        let mut history = History::default();
        let later = |seconds| NOW.after(Duration::from_secs(seconds));
        assert!(history.may_wait(NOW));
        history.waited_in_vain(NOW);
        assert!(!history.may_wait(later(59)) && history.may_wait(later(60)));
        history.waited_in_vain(later(59));
        assert!(history.may_wait(later(60)));
        history.waited_in_vain(later(60));
        assert!(!history.may_wait(later(179)) && history.may_wait(later(180)));
        for day in 1..100 {
            history.waited_in_vain(later(day * 86_400));
        }
        let last = 99 * 86_400;
        assert!(!history.may_wait(later(last + 3839)) && history.may_wait(later(last + 3840)));
        history.lock_works();
        assert!(history.may_wait(later(last)));
    }

    #[test]
    fn a_lock_that_was_not_ended_is_requested_by_the_same_owner() {
        let mut history = History::default();
        assert_eq!(history.owner(|| "first".to_owned()), "first");
        assert_eq!(history.owner(|| "second".to_owned()), "first");
        history.ended("another");
        assert_eq!(history.owner(|| "third".to_owned()), "first");
        history.ended("first");
        assert_eq!(history.owner(|| "fourth".to_owned()), "fourth");
    }

    #[test]
    fn a_token_that_is_rejected_again_and_again_pushes_no_other_one_out() {
        let mut history = History::default();
        let [one, another] = ["one", "another"].map(crate::record::digest_of);
        history.reject(one);
        (0..2 * REJECTED).for_each(|_| history.reject(another));
        assert!(history.is_rejected(&one) && history.is_rejected(&another));
    }
}
