//! What all flights of a handle know of the issuer: whether it answers, and when to ask it again.
//!
//! A slot backs off by itself; the gate sees to it that sixty slots do not do so at a dead issuer side by
//! side. While the issuer answers, the gate is open and only keeps count: no more than [`ALLOWANCE`]
//! requests go out on trust, and each answer lets as many more go, so that a cold start grows as fast as the
//! issuer answers. After a failure it is closed for all; then one flight probes, and the others wait to hear.

use std::sync::{Arc, PoisonError};

use http::StatusCode;
use tokio::sync::Notify;

use super::backoff::{pause_after, retry_after};
use super::sync::{Mutex, MutexGuard};
use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind};

/// How many requests may be under way that the issuer has not answered since it last answered any.
const ALLOWANCE: u32 = 8;

/// Shared by all slots that ask the same issuer.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Moves with each failure that counts and each recovery: what was sent before says nothing new.
    epoch: u64,
    unanswered: u32,
    failures: u32,
    /// Whose fetch alone has failed in a way that may be its own fault.
    suspect: Option<String>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    opens: Moment,
    error: Error,
    /// Whether a flight is finding out.
    probed: bool,
}

/// Why a flight may not ask.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: Error,
    pub(crate) opens: Moment,
}

/// What the failure of a request means for its flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The issuer is in trouble, and this flight probes on.
    Probe,
    /// The issuer is in trouble until then.
    Closed(Moment),
    /// It concerns this fetch alone.
    Own,
}

/// Whom a failure concerns.
enum Concern {
    /// Everybody: the issuer cannot be reached, or throttles.
    Issuer,
    /// Maybe this fetch alone; everybody, when another fetch fails like that with no answer in between.
    Doubtful,
    /// This fetch alone, and the issuer has answered.
    Answered,
    /// This fetch alone, and the issuer was not asked.
    Unasked,
}

impl Gate {
    /// Waits until it is known whether a request may go.
    ///
    /// # Errors
    ///
    /// The failure for which the gate is closed.
    pub(crate) async fn enter(self: &Arc<Self>, clock: &Clock) -> Result<Pass, Refused> {
        loop {
            let changed = self.changed.notified();
            if let Some(admitted) = self.admit(clock.now()) {
                return admitted;
            }
            changed.await;
        }
    }

    /// `None` when somebody else is finding out.
    fn admit(self: &Arc<Self>, now: Moment) -> Option<Result<Pass, Refused>> {
        let mut state = self.state();
        let State { epoch, unanswered, trouble, .. } = &mut *state;
        match trouble {
            None if *unanswered >= ALLOWANCE => return None,
            None => *unanswered += 1,
            Some(trouble) if trouble.probed => return None,
            Some(trouble) if now.monotonic < trouble.opens.monotonic => {
                return Some(Err(Refused { error: trouble.error.clone(), opens: trouble.opens }));
            }
            Some(trouble) => trouble.probed = true,
        }
        let (epoch, probes) = (*epoch, trouble.is_some());
        drop(state);
        Some(Ok(Pass { gate: Arc::clone(self), epoch, probes, counted: false, settled: false }))
    }

    /// Whether nothing is known against the issuer.
    pub(crate) fn is_open(&self) -> bool {
        self.state().trouble.is_none()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets in as many of those who wait as may go now.
    fn wake(&self, waiters: u32) {
        for _ in 0..waiters {
            self.changed.notify_one();
        }
    }
}

/// Leave to send one request. Dropped without a word, it gives its place to another flight.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    epoch: u64,
    probes: bool,
    /// Whether a failure of this flight was counted.
    counted: bool,
    settled: bool,
}

impl Pass {
    /// The issuer has answered: it is not in trouble.
    pub(crate) fn answered(mut self) {
        self.settled = true;
        self.gate.state().recover();
        self.gate.wake(ALLOWANCE);
    }

    /// The request of this `subject` failed. `again` says whether the flight would try once more at once.
    pub(crate) fn failed(
        &mut self,
        subject: Subject<'_>,
        error: &Error,
        again: bool,
        now: Moment,
        jitter: f64,
    ) -> Verdict {
        let mut state = self.gate.state();
        match concern(error) {
            Concern::Unasked => return Verdict::Own,
            Concern::Answered => {
                self.settled = true;
                state.recover();
                drop(state);
                self.gate.wake(ALLOWANCE);
                return Verdict::Own;
            }
            Concern::Doubtful if !state.corroborates(subject) => return Verdict::Own,
            Concern::Doubtful | Concern::Issuer => {}
        }
        if self.epoch != state.epoch {
            // Sent before others found out more.
            let Some(trouble) = &mut state.trouble else { return Verdict::Own };
            if let Some(asked) = retry_after(error) {
                trouble.opens = trouble.opens.max(now.after(asked));
            }
            return Verdict::Closed(trouble.opens);
        }
        if !self.counted {
            state.failures = state.failures.saturating_add(1);
        }
        let opens = now.after(pause_after(state.failures, error, jitter));
        state.epoch += 1;
        state.trouble = Some(Trouble { opens, error: error.clone(), probed: again });
        (self.epoch, self.counted, self.probes) = (state.epoch, true, again);
        drop(state);
        if again {
            return Verdict::Probe;
        }
        self.settled = true;
        self.gate.changed.notify_waiters();
        Verdict::Closed(opens)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let mut state = self.gate.state();
        let current = self.epoch == state.epoch;
        match &mut state.trouble {
            Some(trouble) if self.probes && current => trouble.probed = false,
            _ => state.unanswered = state.unanswered.saturating_sub(1),
        }
        drop(state);
        self.gate.wake(1);
    }
}

/// Whose request it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// The client's own, for this scope.
    Own(&'a str),
    /// On behalf of somebody, with their token: what is wrong may be wrong with that.
    Exchange,
}

impl State {
    fn recover(&mut self) {
        (self.unanswered, self.failures, self.suspect) = (0, 0, None);
        if self.trouble.take().is_some() {
            self.epoch += 1;
        }
    }

    /// Whether a failure that may be the subject's own fault is the second of its kind in a row, of another
    /// subject than the first.
    fn corroborates(&mut self, subject: Subject<'_>) -> bool {
        if self.trouble.is_some() {
            return true;
        }
        let Subject::Own(name) = subject else { return false };
        match &self.suspect {
            Some(suspect) => suspect != name,
            None => {
                self.suspect = Some(name.to_owned());
                false
            }
        }
    }
}

fn concern(error: &Error) -> Concern {
    match error.kind() {
        ErrorKind::Secret | ErrorKind::Runtime | ErrorKind::Destination => Concern::Unasked,
        _ if !error.is_transient() => Concern::Answered,
        ErrorKind::Unavailable => match error.status() {
            Some(StatusCode::INTERNAL_SERVER_ERROR) => Concern::Doubtful,
            _ => Concern::Issuer,
        },
        ErrorKind::InvalidAnswer => Concern::Doubtful,
        _ => Concern::Issuer,
    }
}

#[cfg(test)]
mod tests;
