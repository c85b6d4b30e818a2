//! What a process knows of the tokens under one name.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::record::Digest;

/// How many rejected tokens of a name are told from others: more than an API rejects in one life.
const REJECTED: usize = 16;

/// For how long nobody is waited for after a wait in vain; twice as long after each further one.
const FIRST_IMPATIENCE: Duration = Duration::from_secs(60);

const MOST_DOUBLINGS: u32 = 6;

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Refused by an API: it is not taken from the store again, whoever may put it there.
    rejected: VecDeque<Digest>,
    /// Taken from the store last.
    taken: Option<Digest>,
    /// Waits in vain, in a row.
    vain: u32,
    impatient_until: Option<Timestamp>,
}

impl Known {
    pub(super) fn reject(&mut self, digest: Digest) {
        self.rejected.truncate(REJECTED - 1);
        self.rejected.push_front(digest);
    }

    pub(super) fn is_rejected(&self, digest: &Digest) -> bool {
        self.rejected.contains(digest)
    }

    /// Notes that a token was taken, or left. False when it was so before: then the cache had it, and comes for a
    /// better one.
    pub(super) fn take(&mut self, digest: Digest) -> bool {
        self.taken.replace(digest) != Some(digest)
    }

    /// Whether it is worth waiting for who holds the lock. Not for a while after nobody has let go of it in time:
    /// it may be in bad hands.
    pub(super) fn is_patient(&self, now: Timestamp) -> bool {
        self.impatient_until.is_none_or(|until| until.monotonic <= now.monotonic)
    }

    /// Nobody has let go of the lock. Without patience that says nothing new.
    pub(super) fn waited_in_vain(&mut self, now: Timestamp) {
        if !self.is_patient(now) {
            return;
        }
        let pause = FIRST_IMPATIENCE.saturating_mul(1 << self.vain.min(MOST_DOUBLINGS));
        self.vain = self.vain.saturating_add(1);
        self.impatient_until = Some(now.after(pause));
    }

    pub(super) fn had_its_turn(&mut self) {
        (self.vain, self.impatient_until) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };

    #[test]
    fn patience_wears_out_and_comes_back_with_a_turn() {
        let mut known = Known::default();
        let later = |seconds| NOW.after(Duration::from_secs(seconds));
        assert!(known.is_patient(NOW));
        known.waited_in_vain(NOW);
        assert!(!known.is_patient(later(59)) && known.is_patient(later(60)));
        known.waited_in_vain(later(59));
        assert!(known.is_patient(later(60)));
        known.waited_in_vain(later(60));
        assert!(!known.is_patient(later(179)) && known.is_patient(later(180)));
        for day in 1..100 {
            known.waited_in_vain(later(day * 86_400));
        }
        let last = 99 * 86_400;
        assert!(!known.is_patient(later(last + 3839)) && known.is_patient(later(last + 3840)));
        known.had_its_turn();
        assert!(known.is_patient(later(last)));
    }
}
