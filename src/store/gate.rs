//! Keeps a dead store from costing each fetch its time-out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Moment;
use crate::error::Error;
use crate::token::pause_after;

/// Closed after a failure, for 1, 2, 4 … 32 seconds, halved at most by chance; then one call finds out.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    opens: Option<Moment>,
}

impl Gate {
    /// Whether the store may be asked. Who gets leave at a closed gate is the only one for a while.
    pub(super) fn admits(&self, now: Moment, probe_takes: std::time::Duration) -> bool {
        let mut state = self.state();
        match &mut state.opens {
            None => true,
            Some(opens) if now.monotonic < opens.monotonic => false,
            Some(opens) => {
                *opens = now.after(probe_takes);
                true
            }
        }
    }

    /// The store has answered. Tells whether the gate was closed.
    pub(super) fn answered(&self) -> bool {
        let mut state = self.state();
        state.failures = 0;
        state.opens.take().is_some()
    }

    /// The store has failed. Tells whether the gate was open.
    pub(super) fn failed(&self, error: &Error, now: Moment, jitter: f64) -> bool {
        let mut state = self.state();
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
    use std::time::Duration;

    use super::*;
    use crate::error::ErrorKind;

    const NOW: Moment = Moment { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };
    const PROBE: Duration = Duration::from_millis(250);

    fn later(millis: u64) -> Moment {
        NOW.after(Duration::from_millis(millis))
    }

    fn down() -> Error {
        Error::new(ErrorKind::Connect, "down")
    }

    #[test]
    fn a_failure_closes_it_and_one_call_finds_out() {
        let gate = Gate::default();
        assert!(gate.admits(NOW, PROBE) && gate.admits(NOW, PROBE));
        assert!(gate.failed(&down(), NOW, 0.0));
        assert!(!gate.admits(later(999), PROBE));
        assert!(gate.admits(later(1_000), PROBE));
        assert!(!gate.admits(later(1_000), PROBE));
        assert!(gate.answered());
        assert!(gate.admits(later(1_000), PROBE));
    }

    #[test]
    fn pauses_grow_while_it_goes_on_and_start_anew_after_an_answer() {
        let gate = Gate::default();
        gate.failed(&down(), NOW, 0.0);
        assert!(!gate.failed(&down(), NOW, 0.0));
        assert!(!gate.admits(later(1_999), PROBE) && gate.admits(later(2_000), PROBE));
        gate.answered();
        gate.failed(&down(), NOW, 0.0);
        assert!(gate.admits(later(1_000), PROBE));
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_does_not_keep_it_closed() {
        let gate = Gate::default();
        gate.failed(&down(), NOW, 0.0);
        assert!(gate.admits(later(1_000), PROBE));
        assert!(!gate.admits(later(1_249), PROBE));
        assert!(gate.admits(later(1_250), PROBE));
    }
}
