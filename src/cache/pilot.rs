//! Flies one flight: attempts, and the pauses between them.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use crate::cache::backoff::{ATTEMPTS, RETRY_BUDGET, pause_within_flight};
use crate::cache::circuit_breaker::{Gate, Pass, Refused, Verdict};
use crate::cache::entry::CacheEntry;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::sync::{sleep, timeout};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::telemetry::{Outcome, Refresh, Telemetry};

/// What a flight brings home.
pub(crate) type Flown<V> = Result<Loaded<V>, Failure>;

/// How a flight failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// When to ask again, if the issuer is in trouble; otherwise that is the slot's affair.
    pub(crate) opens: Option<Timestamp>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, opens: None }
    }
}

/// Why a flight was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was no live value.
    Missing,
    /// The value was due; nobody waits.
    Advisory,
    /// The value was overdue.
    Mandatory,
    /// The value was withdrawn, for instance after a 401.
    Invalidated,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Advisory => "advisory",
            Self::Mandatory => "mandatory",
            Self::Invalidated => "invalidated",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Pilot<V> {
    pub(crate) fetch: Arc<dyn Loader<V>>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) cause: Cause,
    /// Whether somebody waits and nothing has failed before: then a hiccup is worth another attempt.
    pub(crate) patient: bool,
    pub(crate) hold_back: Duration,
    /// An attempt that takes longer is given up: a source that never answers must not leave a task behind.
    pub(crate) limit: Duration,
    /// A value that turned out to be no good since the flight before.
    pub(crate) rejected: Option<Arc<CacheEntry<V>>>,
    /// When it set out, once it was not held back any more.
    pub(crate) started: Timestamp,
    /// How many attempts it has begun.
    pub(crate) attempt: u32,
}

impl<V: 'static> Pilot<V> {
    pub(crate) async fn fly(&mut self) -> Flown<V> {
        if !self.hold_back.is_zero() {
            sleep(self.hold_back).await;
            self.started = self.clock.now();
        }
        if let Some(rejected) = &self.rejected {
            self.fetch.rejected(&rejected.value);
        }
        let span = self.telemetry.span(self.fetch.subject(), self.cause.as_str());
        self.attempts().instrument(span).await
    }

    async fn attempts(&mut self) -> Flown<V> {
        let mut pass = self.enter().await?;
        let mut probes = pass.probes();
        loop {
            self.attempt += 1;
            // One that finds out for all asks once: other flights have made more attempts before.
            let attempts = if self.patient && !probes { ATTEMPTS } else { 1 };
            let fetched = timeout(self.limit, self.fetch.fetch()).await;
            let error = match fetched.unwrap_or_else(|_elapsed| Err(self.no_answer())) {
                Ok(fetched) if fetched.from_issuer => {
                    pass.answered();
                    self.telemetry.gate(self.gate.is_open());
                    return Ok(fetched);
                }
                // Of the issuer this says nothing: the next one may ask in this one's place.
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            let now = self.clock.now();
            let again =
                self.attempt < attempts && now.since(self.started) < RETRY_BUDGET && may_pass_at_once(&error);
            let verdict = pass.failed(self.fetch.issuer_subject(), &error, again, now, fastrand::f64());
            self.telemetry.gate(self.gate.is_open());
            match verdict {
                Verdict::Closed(opens) if !again => return Err(Failure { error, opens: Some(opens) }),
                Verdict::Own if !again => return Err(error.into()),
                Verdict::Closed(_) => {
                    // Another flight is finding out.
                    drop(pass);
                    pass = self.enter().await?;
                    probes = pass.probes();
                }
                Verdict::Own | Verdict::Probe => {
                    sleep(pause_within_flight(self.attempt, fastrand::f64())).await;
                }
            }
        }
    }

    async fn enter(&self) -> Result<Pass, Failure> {
        match timeout(self.limit, self.gate.enter(&self.clock, self.limit)).await {
            Ok(Ok(pass)) => Ok(pass),
            Ok(Err(Refused { error, opens })) => Err(Failure { error, opens: Some(opens) }),
            Err(_elapsed) => Err(self.no_answer().into()),
        }
    }

    fn no_answer(&self) -> Error {
        let subject = self.fetch.subject();
        let limit = self.limit;
        Error::new(
            ErrorKind::Timeout,
            format!("no answer for {subject} within {limit:?}; the source hangs, it will be asked again"),
        )
    }

    /// Tells what came of the flight, in the one log line about it.
    pub(crate) fn report(&self, outcome: Outcome<'_>, request_id: Option<&str>) {
        self.telemetry.refreshed(&Refresh {
            what: self.fetch.what(),
            scope: self.fetch.subject(),
            cause: self.cause.as_str(),
            attempt: self.attempt,
            elapsed: self.clock.now().since(self.started),
            outcome,
            request_id,
        });
    }
}

/// Whether asking again within the second makes sense: not when it would only double a long wait, and not
/// when the issuer said when to come back.
fn may_pass_at_once(error: &Error) -> bool {
    error.is_transient() && error.kind() != ErrorKind::Timeout && error.retry_after().is_none()
}
