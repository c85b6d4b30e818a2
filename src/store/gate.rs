//! Keeps a dead store from costing each fetch its time-out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cache::backoff::pause_after;
use crate::clock::Timestamp;
use crate::error::Error;

/// Closed after a failure, for 1, 2, 4 … 32 seconds, halved at most by chance; then one call finds out.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Moves with each failure that counts: what was asked before says nothing new.
    epoch: u64,
    failures: u32,
    opens: Option<Timestamp>,
    has_answered: bool,
}

/// Leave to ask the store once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    epoch: u64,
}

impl Gate {
    /// Whether the store may be asked. Who gets leave at a closed gate is the only one for as long as asking takes.
    pub(super) fn admit(&self, now: Timestamp, asking_takes: Duration) -> Option<Leave> {
        let mut state = self.state();
        if let Some(opens) = state.opens {
            if now.monotonic < opens.monotonic {
                return None;
            }
            state.opens = Some(now.after(asking_takes));
        }
        Some(Leave { epoch: state.epoch })
    }

    /// Leave to ask at a closed gate. A failure says nothing new.
    pub(super) fn insist(&self) -> Leave {
        Leave { epoch: self.state().epoch.wrapping_sub(1) }
    }

    /// The store has answered. Tells whether that is news: for the first time, or the gate was closed.
    pub(super) fn answered(&self) -> bool {
        let mut state = self.state();
        state.failures = 0;
        let had_answered = std::mem::replace(&mut state.has_answered, true);
        state.opens.take().is_some() || !had_answered
    }

    /// The store has failed. Tells whether the gate was open.
    pub(super) fn failed(&self, leave: Leave, error: &Error, now: Timestamp, jitter: f64) -> bool {
        let mut state = self.state();
        if leave.epoch != state.epoch {
            // Others have found out meanwhile.
            return false;
        }
        state.epoch += 1;
        state.failures = state.failures.saturating_add(1);
        let opens = now.after(pause_after(state.failures, error, jitter));
        state.opens.replace(opens).is_none()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };
    const PROBE: Duration = Duration::from_millis(250);

    fn later(millis: u64) -> Timestamp {
        NOW.after(Duration::from_millis(millis))
    }

    fn down() -> Error {
        Error::new(ErrorKind::Connect, "down")
    }

    #[test]
    fn a_failure_closes_it_and_one_call_finds_out() {
        let gate = Gate::default();
        let leave = gate.admit(NOW, PROBE).unwrap();
        assert!(gate.admit(NOW, PROBE).is_some());
        assert!(gate.failed(leave, &down(), NOW, 0.0));
        assert!(gate.admit(later(999), PROBE).is_none());
        assert!(gate.admit(later(1_000), PROBE).is_some());
        assert!(gate.admit(later(1_000), PROBE).is_none());
        assert!(gate.answered() && !gate.answered());
        assert!(gate.admit(later(1_000), PROBE).is_some());
    }

    #[test]
    fn pauses_grow_while_it_goes_on_and_start_anew_after_an_answer() {
        let gate = Gate::default();
        let fail = |at| gate.failed(gate.admit(at, PROBE).unwrap(), &down(), at, 0.0);
        assert!(fail(NOW));
        assert!(!fail(later(1_000)));
        assert!(gate.admit(later(2_999), PROBE).is_none());
        assert!(gate.admit(later(3_000), PROBE).is_some());
        gate.answered();
        fail(later(3_000));
        assert!(gate.admit(later(4_000), PROBE).is_some());
    }

    #[test]
    fn who_insists_may_find_it_well_but_no_worse() {
        let gate = Gate::default();
        gate.failed(gate.admit(NOW, PROBE).unwrap(), &down(), NOW, 0.0);
        assert!(!gate.failed(gate.insist(), &down(), later(999), 0.0));
        assert!(gate.admit(later(1_000), PROBE).is_some());
    }

    #[test]
    fn the_first_answer_is_news() {
        let gate = Gate::default();
        assert!(gate.answered() && !gate.answered());
    }

    #[test]
    fn calls_that_fail_side_by_side_are_one_failure() {
        let gate = Gate::default();
        let leaves: Vec<_> = (0..5).map(|_| gate.admit(NOW, PROBE).unwrap()).collect();
        let news = leaves.into_iter().filter(|leave| gate.failed(*leave, &down(), NOW, 0.0)).count();
        assert_eq!(news, 1);
        assert!(gate.admit(later(1_000), PROBE).is_some());
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_does_not_keep_it_closed() {
        let gate = Gate::default();
        gate.failed(gate.admit(NOW, PROBE).unwrap(), &down(), NOW, 0.0);
        assert!(gate.admit(later(1_000), PROBE).is_some());
        assert!(gate.admit(later(1_249), PROBE).is_none());
        assert!(gate.admit(later(1_250), PROBE).is_some());
    }
}
