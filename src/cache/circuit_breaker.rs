//! What all flights of a handle know of the issuer: whether it answers, and when to ask it again.
//!
//! A slot backs off by itself; the gate sees to it that sixty slots do not do so at a dead issuer side by
//! side. While the issuer answers, the gate is open and only keeps count: no more than [`ALLOWANCE`]
//! requests go out on trust, and each answer lets as many more go, so that a cold start grows as fast as the
//! issuer answers. After a failure it is closed for all; then one flight probes, and the others wait to hear.
//! A flight that is not heard of for longer than any can take is counted out: its runtime may stand still.

mod suspects;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Notify;

pub(crate) use self::suspects::Subject;
use self::suspects::Suspects;
use crate::cache::backoff::{LONGEST_FLIGHT_BEYOND_TIMEOUTS, pause_after, retry_after};
use crate::cache::sync::{Mutex, MutexGuard, timeout};
use crate::clock::{Clock, Timestamp};
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
    /// Moves with each failure that counts, each recovery, and when flights are counted out: what was sent
    /// before says nothing new.
    epoch: u64,
    unanswered: u32,
    /// By this reading of the monotonic clock every flight that was let in has ended, unless it stands still.
    overdue: u64,
    failures: u32,
    suspects: Suspects,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    opens: Timestamp,
    error: Error,
    /// Whether a flight is finding out.
    probed: bool,
}

/// Why a flight may not ask.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: Error,
    pub(crate) opens: Timestamp,
}

/// Whether a flight may ask.
#[derive(Debug)]
enum Admission {
    Granted(Pass),
    Refused(Refused),
    /// Others are finding out, for so long at most.
    Later(Duration),
}

/// What the failure of a request means for its flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The issuer is in trouble, and this flight probes on.
    Probe,
    /// The issuer is in trouble until then.
    Closed(Timestamp),
    /// It concerns this fetch alone.
    Own,
}

/// Whom a failure concerns.
enum Concern {
    /// Everybody: the issuer cannot be reached, or throttles.
    Issuer,
    /// Maybe this fetch alone; everybody, when others fail like that with no answer in between.
    Doubtful,
    /// This fetch alone, and the issuer has answered.
    Answered,
    /// This fetch alone, and of the issuer it says nothing.
    Unasked,
}

impl Gate {
    /// Waits until it is known whether a request may go. `limit` is how long an attempt of it may take.
    ///
    /// # Errors
    ///
    /// The failure for which the gate is closed.
    pub(crate) async fn enter(self: &Arc<Self>, clock: &Clock, limit: Duration) -> Result<Pass, Refused> {
        loop {
            let changed = self.changed.notified();
            match self.admit(clock.now(), limit) {
                Admission::Granted(pass) => return Ok(pass),
                Admission::Refused(refused) => return Err(refused),
                // Whether there is news or the time is up: another look tells.
                Admission::Later(most) => drop(timeout(most, changed).await),
            }
        }
    }

    fn admit(self: &Arc<Self>, now: Timestamp, limit: Duration) -> Admission {
        let mut state = self.state();
        let State { epoch, unanswered, overdue, trouble, .. } = &mut *state;
        let busy = match trouble {
            None => *unanswered >= ALLOWANCE,
            Some(trouble) => trouble.probed,
        };
        if busy && now.monotonic < *overdue {
            return Admission::Later(Duration::from_nanos(*overdue - now.monotonic));
        }
        match trouble {
            None if busy => *unanswered = 1,
            None => *unanswered += 1,
            Some(trouble) if now.monotonic < trouble.opens.monotonic => {
                return Admission::Refused(Refused { error: trouble.error.clone(), opens: trouble.opens });
            }
            Some(trouble) => trouble.probed = true,
        }
        *epoch += u64::from(busy);
        *overdue = now.after(limit.saturating_add(LONGEST_FLIGHT_BEYOND_TIMEOUTS)).monotonic;
        let (epoch, probes) = (*epoch, trouble.is_some());
        drop(state);
        Admission::Granted(Pass { gate: Arc::clone(self), epoch, probes, counted: false, settled: false })
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
    /// Whether this request finds out for all whether the issuer still is in trouble.
    pub(crate) fn probes(&self) -> bool {
        self.probes
    }

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
        now: Timestamp,
        jitter: f64,
    ) -> Verdict {
        let mut state = self.gate.state();
        let concern = concern(error);
        match concern {
            Concern::Unasked => return Verdict::Own,
            Concern::Answered => {
                self.settled = true;
                state.recover();
                drop(state);
                self.gate.wake(ALLOWANCE);
                return Verdict::Own;
            }
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
        if matches!(concern, Concern::Doubtful) && state.trouble.is_none() && !state.suspects.add(subject) {
            return Verdict::Own;
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
        if self.epoch != state.epoch {
            return;
        }
        let State { unanswered, trouble, .. } = &mut *state;
        match trouble {
            // All look again: the one who is first probes, or all are refused.
            Some(trouble) => {
                trouble.probed = false;
                drop(state);
                self.gate.changed.notify_waiters();
            }
            None => {
                *unanswered = unanswered.saturating_sub(1);
                drop(state);
                self.gate.wake(1);
            }
        }
    }
}

impl State {
    fn recover(&mut self) {
        (self.unanswered, self.failures, self.suspects) = (0, 0, Suspects::default());
        if self.trouble.take().is_some() {
            self.epoch += 1;
        }
    }
}

fn concern(error: &Error) -> Concern {
    match error.kind() {
        _ if error.is_refusal_of_issuer() => Concern::Answered,
        // A gateway's page, its redirect to one: the issuer itself would do no such thing.
        ErrorKind::InvalidResponse => Concern::Doubtful,
        ErrorKind::Credential | ErrorKind::Runtime | ErrorKind::Destination => Concern::Unasked,
        // Somebody else refuses: a metadata service, an authenticator of the user's.
        _ if !error.is_transient() => Concern::Unasked,
        ErrorKind::Unavailable if error.status() == Some(StatusCode::INTERNAL_SERVER_ERROR) => {
            Concern::Doubtful
        }
        _ => Concern::Issuer,
    }
}

#[cfg(test)]
mod tests;
