//! Flies one flight: attempts, the pauses between them, and the one log line about it all.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::{ATTEMPTS, RETRY_BUDGET, pause_within_flight};
use super::fetch::{Fetch, Fetched};
use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind};

/// What a flight brings home.
pub(crate) type Flown<V> = Result<Fetched<V>, Error>;

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
    pub(crate) clock: Clock,
    pub(crate) cause: Cause,
    /// Whether somebody waits and nothing has failed before: then a hiccup is worth another attempt.
    pub(crate) patient: bool,
    pub(crate) hold_back: Duration,
    /// An attempt that takes longer is given up: a source that never answers must not leave a task behind.
    pub(crate) limit: Duration,
}

impl<V: 'static> Pilot<V> {
    pub(crate) async fn fly(self) -> Flown<V> {
        if !self.hold_back.is_zero() {
            tokio::time::sleep(self.hold_back).await;
        }
        let started = self.clock.now();
        let attempts = if self.patient { ATTEMPTS } else { 1 };
        let mut attempt = 1;
        loop {
            let flown = tokio::time::timeout(self.limit, self.fetch.fetch()).await;
            let flown = flown.unwrap_or_else(|_elapsed| Err(self.no_answer()));
            let again = attempt < attempts
                && self.clock.now().since(started) < RETRY_BUDGET
                && flown.as_ref().err().is_some_and(may_pass_at_once);
            if !again {
                self.report(&flown, attempt, started);
                return flown;
            }
            tokio::time::sleep(pause_within_flight(attempt, fastrand::f64())).await;
            attempt += 1;
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

    /// One line per refresh; never the value.
    fn report(&self, flown: &Flown<V>, attempts: u32, started: Moment) {
        let (subject, what) = (self.fetch.subject(), self.fetch.what());
        let cause = self.cause.as_str();
        let elapsed = self.clock.now().since(started);
        match flown {
            Ok(fetched) => {
                let expires_in = fetched.life.as_secs_f64();
                tracing::debug!(target: "tower_idaas::refresh", subject, cause, attempts, ?elapsed, expires_in, "{what} fetched");
            }
            Err(error) => {
                let request_id = error.request_id();
                tracing::warn!(target: "tower_idaas::refresh", subject, cause, attempts, ?elapsed, request_id, %error, "{what} not fetched");
            }
        }
    }
}

/// Whether asking again within the second makes sense: not when it would only double a long wait, and not
/// when the issuer said when to come back.
fn may_pass_at_once(error: &Error) -> bool {
    error.is_transient() && error.kind() != ErrorKind::Timeout && error.retry_after().is_none()
}
