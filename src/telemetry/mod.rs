//! Events and metrics, under stable names. They hold no secret, and cost nothing on the hit path. Nothing here is
//! called under a lock, because a subscriber may call back.
//!
//! The names are listed in the crate's documentation, under "Observability". The field `event` repeats an event's name,
//! because formatted logs show it.

#[cfg(feature = "metrics")]
mod circuits;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::error::Error;
#[cfg(feature = "metrics")]
use crate::telemetry::circuits::{CircuitId, Circuits};

/// A failure that is repeated within this time is not warned of again.
const WARNED_FOR: Duration = Duration::from_secs(1);

/// How many different failures are warned of within that time.
const WARNINGS: usize = 16;

/// What events and metrics are about: labels of all metrics, fields of all events.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    /// The client id; empty where tokens come from a user's own source.
    client: Arc<str>,
    /// The authentication method, as the vendor writes it, or another origin of the tokens.
    method: &'static str,
    /// Whether a gauge reports how long cached tokens live: for a handle's own tokens, one for each scope, which
    /// [`Idaas::record_metrics`](crate::Idaas::record_metrics) brings up to date.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code))]
    gauges_lives: bool,
    warnings: Arc<Warnings>,
    /// Of the whole handle.
    #[cfg(feature = "metrics")]
    circuits: Arc<Circuits>,
}

/// Recent failures: one that repeats, or that many callers meet, does not fill the log.
#[derive(Debug, Default)]
struct Warnings(Mutex<Vec<Warning>>);

#[derive(Debug)]
struct Warning {
    /// Of the scope and the message.
    hash: u64,
    until: Timestamp,
}

impl Warnings {
    /// Whether this failure is logged as a warning, and not at a lower level.
    fn is_due(&self, scope: &str, error: &Error, now: Timestamp) -> bool {
        let mut hasher = DefaultHasher::new();
        (scope, error.to_string()).hash(&mut hasher);
        let hash = hasher.finish();
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.retain(|warning| now.monotonic < warning.until.monotonic);
        let due = warnings.len() < WARNINGS && warnings.iter().all(|warning| warning.hash != hash);
        if due {
            warnings.push(Warning { hash, until: now.after(WARNED_FOR) });
        }
        due
    }
}

/// How a refresh ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With a value of this life.
    Loaded(Duration),
    /// With a value of this life that another process has fetched.
    Shared(Duration),
    /// With an error.
    Failed(Error),
    /// With an error before anything was sent: a circuit is open, or too many requests wait.
    Refused(Error),
    /// A user's authenticator or source panicked.
    Panicked(Error),
    /// With a value that is not cached: the current one was invalidated meanwhile, or the refresh was replaced.
    Void,
    /// Without a result: its runtime was shut down.
    Lost,
}

/// A refresh that has ended.
#[derive(Debug)]
pub(crate) struct Refreshed<'a> {
    /// `token`, or what else was fetched.
    pub(crate) what: &'static str,
    pub(crate) scope: &'a str,
    pub(crate) cause: &'static str,
    pub(crate) attempt: u32,
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) outcome: &'a Outcome,
    /// The issuer's id of the last request that it responded to.
    pub(crate) request_id: Option<&'a str>,
}

const REFRESH: &str = "idaas.refresh";

impl Telemetry {
    pub(crate) fn new(client: &str, method: &'static str) -> Self {
        Self {
            client: client.into(),
            method,
            gauges_lives: true,
            warnings: Arc::default(),
            #[cfg(feature = "metrics")]
            circuits: Arc::default(),
        }
    }

    /// The same client, for something else than tokens.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code))]
    pub(crate) fn of(&self, method: &'static str) -> Self {
        Self { method, gauges_lives: false, warnings: Arc::default(), ..self.clone() }
    }

    /// The same client, for exchanged tokens. Their lives differ, so no gauge reports them.
    pub(crate) fn of_exchanges(&self) -> Self {
        self.of("token exchange")
    }

    /// The span that a refresh runs in. It follows from the request that began it, whose own span may end before.
    pub(crate) fn refresh_span(&self, scope: &str, cause: &'static str) -> tracing::Span {
        let Self { client, method, .. } = self;
        let span = tracing::debug_span!(
            target: "tower_idaas::refresh", parent: None, "idaas.refresh", %client, method, scope, cause
        );
        span.follows_from(tracing::Span::current());
        span
    }

    /// One event for each refresh: a warning when it failed, unless the same failure was warned of a moment ago.
    pub(crate) fn refreshed(&self, refreshed: &Refreshed<'_>) {
        let Self { client, method, warnings, .. } = self;
        let Refreshed { what, scope, cause, attempt, started, ended, outcome, request_id } = refreshed;
        let (seconds, name) = (ended.since(*started).as_secs_f64(), outcome.as_str());
        match outcome {
            Outcome::Loaded(life) | Outcome::Shared(life) => tracing::debug!(
                name: "idaas.refresh", target: "tower_idaas::refresh", event = REFRESH, %client, method, scope, cause,
                attempt, elapsed = seconds, outcome = name, request_id, expires_in = life.as_secs_f64(), "{what} fetched"
            ),
            Outcome::Failed(error) | Outcome::Panicked(error) if warnings.is_due(scope, error, *ended) => {
                tracing::warn!(
                    name: "idaas.refresh", target: "tower_idaas::refresh", event = REFRESH, %client, method, scope, cause,
                    attempt, elapsed = seconds, outcome = name, request_id, %error, "{what} not fetched"
                );
            }
            Outcome::Failed(error) | Outcome::Panicked(error) => tracing::debug!(
                name: "idaas.refresh", target: "tower_idaas::refresh", event = REFRESH, %client, method, scope, cause,
                attempt, elapsed = seconds, outcome = name, request_id, %error, "{what} not fetched"
            ),
            Outcome::Refused(error) => tracing::debug!(
                name: "idaas.refresh", target: "tower_idaas::refresh", event = REFRESH, %client, method, scope, cause,
                attempt, elapsed = seconds, outcome = name, request_id, %error, "{what} not requested"
            ),
            Outcome::Void | Outcome::Lost => tracing::debug!(
                name: "idaas.refresh", target: "tower_idaas::refresh", event = REFRESH, %client, method, scope, cause,
                attempt, elapsed = seconds, outcome = name, request_id, "{what} not cached"
            ),
        }
        #[cfg(feature = "metrics")]
        self.count(refreshed);
    }

    #[cfg(feature = "metrics")]
    fn count(&self, refreshed: &Refreshed<'_>) {
        let Refreshed { scope, cause, attempt, started, ended, outcome, .. } = refreshed;
        let labels = |more: &[(&'static str, &'static str)]| {
            let own = self.labels(scope).into_iter();
            own.chain(more.iter().map(|(name, value)| metrics::Label::new(*name, *value))).collect::<Vec<_>>()
        };
        let outcome_label = ("outcome", outcome.as_str());
        let by_cause = labels(&[outcome_label, ("cause", cause)]);
        metrics::counter!("idaas_refreshes_total", by_cause).increment(1);
        if *attempt > 0 {
            metrics::histogram!("idaas_refresh_seconds", labels(&[outcome_label]))
                .record(ended.since(*started).as_secs_f64());
        }
        if let Outcome::Loaded(life) | Outcome::Shared(life) = outcome {
            self.expires_in(scope, *life);
        }
    }

    /// How long the token that is cached for this scope lives.
    #[cfg(feature = "metrics")]
    pub(crate) fn expires_in(&self, scope: &str, life: Duration) {
        if self.gauges_lives {
            metrics::gauge!("idaas_expires_in_seconds", self.labels(scope)).set(life.as_secs_f64());
        }
    }

    /// Whether requests go to the issuer, or are refused after failures; `None` once there is nothing to tell. `id`
    /// distinguishes circuits under one label. [`record_circuits`](Self::record_circuits) asks again.
    #[cfg(feature = "metrics")]
    pub(crate) fn circuit(
        &self,
        id: CircuitId,
        is_closed: impl Fn() -> Option<bool> + Send + Sync + 'static,
    ) {
        self.circuits.add(self.method, id, is_closed);
        self.record_circuits();
    }

    /// Brings the gauge of each circuit of the handle up to date, if it was set before.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_circuits(&self) {
        // Of each label: a circuit that is gone is reported once more, and by this call alone.
        for (method, closed) in self.circuits.closed() {
            let labels = Self { method, ..self.clone() }.client_labels();
            metrics::gauge!("idaas_circuit_closed", labels).set(u8::from(closed));
        }
    }

    /// A token was invalidated, for instance after a 401, before it was due.
    pub(crate) fn invalidated(&self, scope: &str) {
        let Self { client, method, .. } = self;
        tracing::debug!(
            name: "idaas.invalidated", target: "tower_idaas::refresh", event = "idaas.invalidated", %client, method,
            scope, "rejected, not served any more"
        );
        #[cfg(feature = "metrics")]
        metrics::counter!("idaas_invalidated_total", self.labels(scope)).increment(1);
    }

    /// A live token was evicted. `warn` is the count of such tokens since the last warning, when one is due.
    pub(crate) fn evicted_while_alive(&self, scope: &str, setting: &str, warn: Option<u64>) {
        let Self { client, method, .. } = self;
        if let Some(evicted) = warn {
            tracing::warn!(
                name: "idaas.evicted", target: "tower_idaas::cache", event = "idaas.evicted", %client, method, scope, evicted,
                "a live token was evicted for another one, and its next request fetches it again; raise `{setting}`"
            );
        }
        #[cfg(feature = "metrics")]
        metrics::counter!("idaas_evicted_live_total", self.client_labels()).increment(1);
    }

    /// A request was refused because too many are in flight and queued.
    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self))]
    pub(crate) fn refused(&self) {
        #[cfg(feature = "metrics")]
        metrics::counter!("idaas_requests_refused_total", self.client_labels()).increment(1);
    }

    /// Counts a request to the issuer until the guard is dropped.
    pub(crate) fn in_flight(&self) -> Gauged {
        self.gauged("idaas_requests_in_flight")
    }

    /// Counts a queued request until the guard is dropped.
    pub(crate) fn queued(&self) -> Gauged {
        self.gauged("idaas_requests_queued")
    }

    #[cfg_attr(not(feature = "metrics"), allow(clippy::unused_self))]
    fn gauged(&self, name: &'static str) -> Gauged {
        #[cfg(feature = "metrics")]
        {
            let gauge = metrics::gauge!(name, self.client_labels());
            gauge.increment(1);
            Gauged(gauge)
        }
        #[cfg(not(feature = "metrics"))]
        {
            let _ = name;
            Gauged
        }
    }

    /// A request waits for a token.
    pub(crate) fn wait<'a>(&'a self, scope: &'a str) -> Wait<'a> {
        #[cfg(feature = "metrics")]
        let _waiting = {
            let gauge = metrics::gauge!("idaas_waiters", self.labels(scope));
            gauge.increment(1);
            Gauged(gauge)
        };
        #[cfg(not(feature = "metrics"))]
        let _waiting = Gauged;
        Wait { telemetry: self, scope, started: Clock::System.now(), _waiting }
    }

    #[cfg(feature = "metrics")]
    fn client_labels(&self) -> Vec<metrics::Label> {
        vec![
            metrics::Label::new("client", self.client.to_string()),
            metrics::Label::new("method", self.method),
        ]
    }

    #[cfg(feature = "metrics")]
    fn labels(&self, scope: &str) -> Vec<metrics::Label> {
        let mut labels = self.client_labels();
        labels.push(metrics::Label::new("scope", scope.to_owned()));
        labels
    }
}

impl Outcome {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Loaded(_) => "fetched",
            Self::Shared(_) => "shared",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
            Self::Panicked(_) => "panicked",
            Self::Void => "void",
            Self::Lost => "lost",
        }
    }
}

/// What a gauge counts while it exists.
#[cfg(feature = "metrics")]
pub(crate) struct Gauged(metrics::Gauge);

#[cfg(feature = "metrics")]
impl Drop for Gauged {
    /// The guard may be dropped while a panic unwinds the thread, and a second one, in the user's gauge, would end the
    /// process.
    fn drop(&mut self) {
        let decrement = || self.0.decrement(1);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decrement));
    }
}

/// What a gauge would count.
#[cfg(not(feature = "metrics"))]
pub(crate) struct Gauged;

impl std::fmt::Debug for Gauged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauged")
    }
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    telemetry: &'a Telemetry,
    scope: &'a str,
    /// By the machine's clock.
    started: Timestamp,
    _waiting: Gauged,
}

impl Wait<'_> {
    pub(crate) fn elapsed(&self) -> Duration {
        Clock::System.now().since(self.started)
    }

    /// One event for each request that had to wait, when it has its token or an error.
    pub(crate) fn ended(&self, error: Option<&Error>) {
        let Telemetry { client, method, .. } = self.telemetry;
        let (scope, waited) = (self.scope, self.elapsed().as_secs_f64());
        let error = error.map(tracing::field::display);
        tracing::debug!(
            name: "idaas.wait", target: "tower_idaas::wait", event = "idaas.wait", %client, method, scope, waited,
            error, "waited for a token"
        );
    }
}

/// An API has responded 401 to a request with our token.
pub(crate) fn unauthorized() {
    #[cfg(feature = "metrics")]
    metrics::counter!("idaas_unauthorized_total").increment(1);
}

/// Describes each metric, for exporters that show it.
#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    use metrics::Unit::{Count, Seconds};
    use metrics::{describe_counter, describe_gauge, describe_histogram};

    describe_counter!("idaas_refreshes_total", Count, "Refreshes, by outcome and cause");
    describe_histogram!("idaas_refresh_seconds", Seconds, "How long refreshes took, by outcome");
    describe_gauge!("idaas_expires_in_seconds", Seconds, "How long the cached token is still alive");
    describe_gauge!("idaas_circuit_closed", Count, "1, or 0 while requests are refused after failures");
    describe_gauge!("idaas_waiters", Count, "Requests that wait for a token");
    describe_gauge!("idaas_requests_in_flight", Count, "Token requests in flight");
    describe_gauge!("idaas_requests_queued", Count, "Token requests that wait for their turn");
    describe_counter!(
        "idaas_requests_refused_total",
        Count,
        "Token requests not sent, because too many waited"
    );
    describe_counter!("idaas_invalidated_total", Count, "Tokens invalidated before they were due");
    describe_counter!("idaas_evicted_live_total", Count, "Live tokens that made room in the cache");
    describe_counter!("idaas_unauthorized_total", Count, "Responses 401 to requests with our token");
}
