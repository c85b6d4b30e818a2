//! One refresh: a fetch with its attempts and pauses, on a task of its own, that any number of waiters wait for.
//!
//! The task is the only one that this crate starts for a value. It belongs to no waiter, and cancelling one does not
//! cancel it. It runs on the runtime of the waiter that began it. When that runtime is shut down, the refresh ends
//! without a result; when it is not driven, the heartbeat stands still and a waiter on another runtime replaces the
//! refresh.

use std::any::Any;
use std::fmt::Debug;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument;

use crate::cache::admission::{Admission, AdmissionRequest, Effect, Party, Permit};
use crate::cache::backoff::{ATTEMPTS, RETRY_BUDGET, pause_between_attempts};
use crate::cache::circuit_breaker::Refused;
use crate::cache::entry::CacheEntry;
use crate::cache::heartbeat::Heartbeat;
use crate::cache::in_flight::{InFlight, Outcome};
use crate::cache::limiter::Priority;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::sync::{Handle, Runtimes, sleep, timeout};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::telemetry::{self, Telemetry};

/// How often a running refresh counts its heartbeat up.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);

/// What all slots of a kind share.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    /// How long a request waits for a value.
    pub(crate) wait: Duration,
    /// How long one attempt may take.
    pub(crate) attempt_timeout: Duration,
    /// Of the server that all these slots load from.
    pub(crate) admission: Arc<Admission>,
    /// The party that the values are for.
    pub(crate) party: Party,
    pub(crate) runtimes: Arc<Runtimes>,
    pub(crate) telemetry: Telemetry,
}

/// Why a refresh was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was no live value.
    Missing,
    /// The value was past its advisory edge, and is served meanwhile.
    Advisory,
    /// The value was past its mandatory edge.
    Mandatory,
    /// The value was rejected or invalidated.
    Invalidated,
}

/// How a refresh failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// When to try again at the earliest, if the admission says it.
    pub(crate) until: Option<Timestamp>,
    /// Whether the refresh made an attempt. If not, the failure says nothing about the slot.
    pub(crate) attempted: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, until: None, attempted: true }
    }
}

/// Where a refresh leaves its result.
pub(crate) trait Completion<V>: Debug + Send + Sync {
    /// Whether the result of the refresh with this id would still count.
    fn is_awaited(&self, refresh: u64) -> bool;

    /// Takes the result of the refresh with this id, and returns what it means for the waiters.
    fn complete(&self, refresh: u64, result: Result<Loaded<V>, Failure>) -> Outcome<V>;

    /// The refresh with this id ended without a result.
    fn lost(&self, refresh: u64);
}

/// What a slot knows when it begins a refresh.
#[derive(Debug)]
pub(crate) struct Plan<V> {
    pub(crate) id: u64,
    pub(crate) cause: Cause,
    /// Whether requests wait and nothing has failed before: then the refresh makes further attempts.
    pub(crate) retries: bool,
    pub(crate) priority: Priority,
    pub(crate) start_delay: Duration,
    /// The value that was rejected, for the loader.
    pub(crate) rejected: Option<Arc<CacheEntry<V>>>,
    pub(crate) now: Timestamp,
}

/// One refresh, begun and not yet completed.
#[derive(Debug)]
pub(crate) struct Refresh<V: Debug + Send + Sync + 'static> {
    plan: Plan<V>,
    loader: Arc<dyn Loader<V>>,
    /// What the loader needs until the refresh ends.
    _guard: Option<Box<dyn Any + Send + Sync>>,
    settings: Settings,
    completion: Arc<dyn Completion<V>>,
    outcome: watch::Sender<Option<Outcome<V>>>,
    heartbeat: Heartbeat,
    /// When it began, after the start delay.
    started: Timestamp,
    /// How many attempts it has made.
    attempt: u32,
    completed: bool,
}

impl<V: Debug + Send + Sync + 'static> Refresh<V> {
    pub(crate) fn begin(
        plan: Plan<V>,
        loader: Arc<dyn Loader<V>>,
        settings: Settings,
        completion: Arc<dyn Completion<V>>,
    ) -> (Self, InFlight<V>) {
        let (outcome, heartbeat, in_flight) = InFlight::new(plan.id);
        let refresh = Self {
            started: plan.now,
            plan,
            _guard: loader.guard(),
            loader,
            settings,
            completion,
            outcome,
            heartbeat,
            attempt: 0,
            completed: false,
        };
        (refresh, in_flight)
    }

    /// Runs it as a task. Not to be called under a lock: a runtime that is shutting down drops the task at once, which
    /// ends the refresh.
    pub(crate) fn spawn(self, runtime: &Handle) {
        let span = self.settings.telemetry.refresh_span(self.loader.label(), self.cause());
        let heartbeat = self.heartbeat.clone();
        let mut run = Box::pin(self.run().instrument(span));
        runtime.spawn(poll_fn(move |context| {
            heartbeat.set_polled(true);
            let poll = run.as_mut().poll(context);
            heartbeat.set_polled(false);
            poll
        }));
    }

    async fn run(mut self) {
        let heartbeat = self.heartbeat.clone();
        let result = {
            let mut fetch = pin!(self.fetch());
            loop {
                match timeout(HEARTBEAT_INTERVAL, fetch.as_mut()).await {
                    Ok(result) => break result,
                    Err(_elapsed) => heartbeat.beat(),
                };
            }
        };
        self.complete(result);
    }

    async fn fetch(&mut self) -> Result<Loaded<V>, Failure> {
        if !self.plan.start_delay.is_zero() {
            sleep(self.plan.start_delay).await;
            self.started = self.settings.clock.now();
        }
        if let Some(rejected) = self.plan.rejected.take() {
            self.loader.rejected(&rejected.value);
        }
        let party = self.settings.party;
        let mut permit = self.acquire_permit().await?;
        // A probe is one attempt: other refreshes have already made more.
        let mut attempts = if self.plan.retries && !permit.probes() { ATTEMPTS } else { 1 };
        loop {
            self.attempt += 1;
            let loaded = timeout(self.settings.attempt_timeout, self.loader.load()).await;
            let error = match loaded.unwrap_or_else(|_elapsed| Err(self.no_response())) {
                Ok(loaded) => {
                    // A value from a store says nothing about the server; the next request may go in its place.
                    if loaded.from_issuer {
                        permit.responded();
                        self.report_circuit();
                    }
                    return Ok(loaded);
                }
                Err(error) => error,
            };
            let now = self.settings.clock.now();
            let again = self.attempt < attempts
                && now.since(self.started) < RETRY_BUDGET
                && is_retryable(&error)
                && self.is_awaited()
                // Requests for different parties do not wait for each other's further attempts.
                && !(party == Party::Other && self.settings.admission.is_busy());
            let effect = permit.failed(&error, again, now, fastrand::f64());
            self.report_circuit();
            match effect {
                Effect::Open(until) if !again => {
                    return Err(Failure { error, until: Some(until), attempted: true });
                }
                Effect::Isolated if !again => return Err(error.into()),
                Effect::Open(_) => {
                    // Another refresh probes.
                    drop(permit);
                    permit = self.acquire_permit().await?;
                    attempts = if permit.probes() { 1 } else { attempts };
                }
                Effect::Isolated | Effect::Probe => {
                    sleep(pause_between_attempts(self.attempt, fastrand::f64())).await;
                }
            }
        }
    }

    /// Whether the slot has not replaced this refresh.
    fn is_awaited(&self) -> bool {
        self.completion.is_awaited(self.plan.id)
    }

    /// Waits for a permit. A refresh that was replaced meanwhile sends no request: its result would not count.
    async fn acquire_permit(&self) -> Result<Permit, Failure> {
        let Settings { clock, telemetry, attempt_timeout, admission, .. } = &self.settings;
        let (priority, label) = (self.plan.priority, self.loader.label());
        let request = AdmissionRequest { priority, label, heartbeat: &self.heartbeat };
        let attempted = self.attempt > 0;
        match timeout(*attempt_timeout, admission.acquire(request, clock, telemetry)).await {
            Ok(Ok(permit)) if self.is_awaited() => Ok(permit),
            Ok(Ok(_)) => {
                Err(Error::new(ErrorKind::Timeout, "replaced by another refresh while it waited").into())
            }
            Ok(Err(Refused { error, until })) => Err(Failure { error, until: Some(until), attempted }),
            Err(_elapsed) => {
                let error = admission.waited_in_vain(priority, *attempt_timeout);
                Err(Failure { error, until: Some(clock.now()), attempted })
            }
        }
    }

    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self))]
    fn report_circuit(&self) {
        #[cfg(feature = "metrics")]
        {
            let Settings { admission, party, clock, telemetry, .. } = &self.settings;
            let id = (Arc::as_ptr(admission).addr(), *party == Party::Own);
            let (admission, party, clock) = (Arc::downgrade(admission), *party, clock.clone());
            telemetry.circuit(id, move || Some(admission.upgrade()?.admits(party, clock.now())));
        }
    }

    fn no_response(&self) -> Error {
        let (label, limit) = (self.loader.label(), self.settings.attempt_timeout);
        let message = format!(
            "no response for {label} within {limit:?}; the source hangs, and the next request after a pause tries again"
        );
        Error::new(ErrorKind::Timeout, message)
    }

    fn complete(mut self, result: Result<Loaded<V>, Failure>) {
        self.completed = true;
        let now = self.settings.clock.now();
        let (event, request_id) = match &result {
            Err(Failure { error, .. }) => {
                let refused = self.attempt == 0;
                let event = if refused { telemetry::Outcome::Refused } else { telemetry::Outcome::Failed };
                (event(error.clone()), error.request_id().map(str::to_owned))
            }
            Ok(Loaded { life, sent, from_issuer, request_id, .. }) => {
                let event = match from_issuer {
                    true => telemetry::Outcome::Loaded(*life),
                    false => telemetry::Outcome::Shared(life.saturating_sub(now.since(*sent))),
                };
                (event, request_id.clone())
            }
        };
        // A request that failed is reported as failed even when its result no longer counts.
        let failed = result.is_err() && self.attempt > 0;
        let outcome = self.completion.complete(self.plan.id, result);
        let void = matches!(outcome, Outcome::Void) && !failed;
        let event = if void { telemetry::Outcome::Void } else { event };
        self.report(&event, request_id.as_deref());
        self.outcome.send_replace(Some(outcome));
    }

    fn report(&self, outcome: &telemetry::Outcome, request_id: Option<&str>) {
        self.settings.telemetry.refreshed(&telemetry::Refreshed {
            what: self.loader.what(),
            scope: self.loader.label(),
            cause: self.cause(),
            attempt: self.attempt,
            started: self.started,
            ended: self.settings.clock.now(),
            outcome,
            request_id,
        });
    }

    /// The same where a panic must not leave: the panic's own message has gone to the panic hook.
    fn report_caught(&self, outcome: &telemetry::Outcome) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.report(outcome, None)));
    }

    fn cause(&self) -> &'static str {
        match self.plan.cause {
            Cause::Missing => "missing",
            Cause::Advisory => "advisory",
            Cause::Mandatory => "mandatory",
            Cause::Invalidated => "invalidated",
        }
    }
}

impl<V: Debug + Send + Sync + 'static> Drop for Refresh<V> {
    /// A task that is dropped with its runtime is no failure: the next waiter begins another refresh. A panic in a
    /// user's authenticator or source is an error like any other. `std::thread::panicking` cannot distinguish them: a
    /// panic elsewhere may be what drops the runtime. In both cases the thread may unwind already, and a second panic,
    /// in a user's recorder of metrics or subscriber, would end the process.
    fn drop(&mut self) {
        if self.completed {
            return;
        }
        if self.heartbeat.is_polled() {
            let message =
                format!("the fetch of {} panicked; the panic's own message says where", self.loader.label());
            let error = Error::new(ErrorKind::Runtime, message);
            let complete = || self.completion.complete(self.plan.id, Err(error.clone().into()));
            let outcome = catch_unwind(AssertUnwindSafe(complete));
            let outcome = outcome.unwrap_or_else(|_| Outcome::Failed(error.clone()));
            self.report_caught(&telemetry::Outcome::Panicked(error));
            self.outcome.send_replace(Some(outcome));
        } else {
            self.completion.lost(self.plan.id);
            self.report_caught(&telemetry::Outcome::Lost);
        }
    }
}

/// Whether another attempt within the second makes sense: not where it would only double a long wait, or where the
/// server requests a pause.
fn is_retryable(error: &Error) -> bool {
    error.is_transient() && error.kind() != ErrorKind::Timeout && error.retry_after().is_none()
}
