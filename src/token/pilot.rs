//! Flies one flight: attempts, the pauses between them, and the one log line about it all.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use super::backoff::{ATTEMPTS, RETRY_BUDGET, pause_within_flight};
use super::fetch::{Fetch, Fetched};
use super::gate::{Gate, Pass, Refused, Verdict};
use super::live::Live;
use super::sync::{sleep, timeout};
use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind};
use crate::telemetry::{self, Telemetry};

/// What a flight brings home.
pub(crate) type Flown<V> = Result<Fetched<V>, Failure>;

/// How a flight failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// When to ask again, if the issuer is in trouble; otherwise that is the slot's affair.
    pub(crate) opens: Option<Moment>,
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
    pub(crate) fetch: Arc<dyn Fetch<V>>,
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
    pub(crate) rejected: Option<Arc<Live<V>>>,
}

impl<V: 'static> Pilot<V> {
    pub(crate) async fn fly(self) -> Flown<V> {
        if !self.hold_back.is_zero() {
            sleep(self.hold_back).await;
        }
        if let Some(rejected) = &self.rejected {
            self.fetch.rejected(&rejected.value);
        }
        let started = self.clock.now();
        let mut attempt = 0;
        let span = self.telemetry.span(self.fetch.subject(), self.cause.as_str());
        let flown = self.attempts(started, &mut attempt).instrument(span).await;
        self.report(&flown, attempt, started);
        flown
    }

    async fn attempts(&self, started: Moment, attempt: &mut u32) -> Flown<V> {
        let mut pass = self.enter().await?;
        let mut probes = pass.probes();
        loop {
            *attempt += 1;
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
            let again = *attempt < attempts && now.since(started) < RETRY_BUDGET && may_pass_at_once(&error);
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
                    sleep(pause_within_flight(*attempt, fastrand::f64())).await;
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

    fn report(&self, flown: &Flown<V>, attempt: u32, started: Moment) {
        let outcome = match flown {
            Ok(Fetched { sent, life, from_issuer: false, .. }) => {
                telemetry::Outcome::Shared(life.saturating_sub(self.clock.now().since(*sent)))
            }
            Ok(fetched) => telemetry::Outcome::Fetched(fetched.life),
            Err(Failure { error, .. }) if attempt == 0 => telemetry::Outcome::Refused(error),
            Err(Failure { error, .. }) => telemetry::Outcome::Failed(error),
        };
        self.telemetry.refreshed(&telemetry::Refresh {
            what: self.fetch.what(),
            scope: self.fetch.subject(),
            cause: self.cause.as_str(),
            attempt,
            elapsed: self.clock.now().since(started),
            outcome,
        });
    }
}

/// Whether asking again within the second makes sense: not when it would only double a long wait, and not
/// when the issuer said when to come back.
fn may_pass_at_once(error: &Error) -> bool {
    error.is_transient() && error.kind() != ErrorKind::Timeout && error.retry_after().is_none()
}
