//! What the outside is told: log events and metrics, under names that stay. Never a secret, and nothing on
//! the hit path.
//!
//! The names are listed in the crate's documentation, under "Observability".

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// Who it is that speaks: labels of all metrics, fields of all events.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    /// The client id; empty where tokens come from a source of the user's own.
    client: Arc<str>,
    /// The authentication method, as the vendor writes it, or what else tokens come from.
    method: &'static str,
    /// The same of whatever first had the gate that is told of: exchanges share that of the handle's own tokens.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code))]
    gate_of: &'static str,
    /// Whether a gauge tells how long what is cached lives: for a handle's own tokens, one for each scope, which
    /// [`Idaas::record_metrics`](crate::Idaas::record_metrics) brings up to date.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code))]
    gauges_lives: bool,
}

/// What a fetch came to.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// Something that lives for so long.
    Loaded(Duration),
    /// The same, that another process has fetched.
    Shared(Duration),
    /// Nothing.
    Failed(&'a Error),
    /// Nothing, because another fetch has found out that there is nothing to be had now.
    Refused(&'a Error),
    /// Nothing: an authenticator or source of the user's panicked.
    Panicked(&'a Error),
    /// Something that was asked for before the one in use was withdrawn, or by a fetch that was given up: it is
    /// not kept.
    Void,
    /// Nothing, because its runtime went away.
    Lost,
}

/// A fetch that has ended.
#[derive(Debug)]
pub(crate) struct Refresh<'a> {
    /// `token`, or what else was fetched.
    pub(crate) what: &'static str,
    pub(crate) scope: &'a str,
    pub(crate) cause: &'static str,
    pub(crate) attempt: u32,
    pub(crate) elapsed: Duration,
    pub(crate) outcome: Outcome<'a>,
    /// What the issuer calls the request that it answered last, if it says so.
    pub(crate) request_id: Option<&'a str>,
}

impl Telemetry {
    pub(crate) fn new(client: &str, method: &'static str) -> Self {
        Self { client: client.into(), method, gate_of: method, gauges_lives: true }
    }

    /// The same client with something else than tokens, behind a gate of its own.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code))]
    pub(crate) fn of(&self, method: &'static str) -> Self {
        Self { client: Arc::clone(&self.client), method, gate_of: method, gauges_lives: false }
    }

    /// The same client with tokens on others' behalf, behind the same gate. They have no life in common.
    pub(crate) fn of_exchanges(&self) -> Self {
        Self { method: "token exchange", gauges_lives: false, ..self.clone() }
    }

    /// The span that a fetch runs in.
    pub(crate) fn span(&self, scope: &str, cause: &'static str) -> tracing::Span {
        let Self { client, method, .. } = self;
        tracing::debug_span!(target: "tower_idaas::refresh", "idaas.refresh", %client, method, scope, cause)
    }

    /// One line for each fetch.
    pub(crate) fn refreshed(&self, refresh: &Refresh<'_>) {
        let Self { client, method, .. } = self;
        let Refresh { what, scope, cause, attempt, elapsed, outcome, request_id } = refresh;
        let (seconds, name) = (elapsed.as_secs_f64(), outcome.as_str());
        match outcome {
            Outcome::Loaded(life) | Outcome::Shared(life) => tracing::debug!(
                name: "idaas.refresh", target: "tower_idaas::refresh", %client, method, scope, cause, attempt,
                elapsed = seconds, outcome = name, request_id, expires_in = life.as_secs_f64(), "{what} fetched"
            ),
            Outcome::Failed(error) | Outcome::Panicked(error) => tracing::warn!(
                name: "idaas.refresh", target: "tower_idaas::refresh", %client, method, scope, cause, attempt,
                elapsed = seconds, outcome = name, request_id, %error, "{what} not fetched"
            ),
            Outcome::Refused(error) => tracing::debug!(
                name: "idaas.refresh", target: "tower_idaas::refresh", %client, method, scope, cause, attempt,
                elapsed = seconds, outcome = name, request_id, %error, "{what} not asked for"
            ),
            Outcome::Void | Outcome::Lost => tracing::debug!(
                name: "idaas.refresh", target: "tower_idaas::refresh", %client, method, scope, cause, attempt,
                elapsed = seconds, outcome = name, request_id, "{what} not kept"
            ),
        }
        #[cfg(feature = "metrics")]
        self.count(refresh);
    }

    #[cfg(feature = "metrics")]
    fn count(&self, refresh: &Refresh<'_>) {
        let Refresh { scope, cause, attempt, elapsed, outcome, .. } = refresh;
        let labels = |more: &[(&'static str, String)]| {
            let own = self.labels(scope).into_iter();
            own.chain(more.iter().map(|(name, value)| metrics::Label::new(*name, value.clone())))
                .collect::<Vec<_>>()
        };
        let outcome_label = ("outcome", outcome.as_str().to_owned());
        let by_cause = labels(&[outcome_label.clone(), ("cause", (*cause).to_owned())]);
        metrics::counter!("idaas_refreshes_total", by_cause).increment(1);
        if *attempt > 0 {
            metrics::histogram!("idaas_refresh_seconds", labels(&[outcome_label]))
                .record(elapsed.as_secs_f64());
        }
        if let Outcome::Loaded(life) | Outcome::Shared(life) = outcome {
            self.expires_in(scope, *life);
        }
    }

    /// How long the token that is cached for this scope lives.
    #[cfg(feature = "metrics")]
    pub(crate) fn expires_in(&self, scope: &str, life: Duration) {
        if !self.gauges_lives {
            return;
        }
        metrics::gauge!("idaas_expires_in_seconds", self.labels(scope)).set(life.as_secs_f64());
    }

    /// Whether the issuer is being asked, or left alone after failures.
    pub(crate) fn gate(&self, open: bool) {
        #[cfg(feature = "metrics")]
        {
            let labels = vec![self.client_label(), metrics::Label::new("method", self.gate_of)];
            metrics::gauge!("idaas_gate_open", labels).set(u8::from(open));
        }
        #[cfg(not(feature = "metrics"))]
        let _ = open;
    }

    /// A value was withdrawn, for instance after a 401, before it was due.
    pub(crate) fn withdrawn(&self, scope: &str) {
        let Self { client, method, .. } = self;
        tracing::debug!(name: "idaas.withdrawn", target: "tower_idaas::refresh", %client, method, scope, "rejected, not served any more");
        #[cfg(feature = "metrics")]
        metrics::counter!("idaas_withdrawn_total", self.labels(scope)).increment(1);
    }

    /// Counts a waiter until the guard is dropped.
    pub(crate) fn waits(&self, scope: &str) -> Waiter {
        #[cfg(feature = "metrics")]
        {
            let gauge = metrics::gauge!("idaas_waiters", self.labels(scope));
            gauge.increment(1);
            Waiter(gauge)
        }
        #[cfg(not(feature = "metrics"))]
        {
            let _ = scope;
            Waiter
        }
    }

    #[cfg(feature = "metrics")]
    fn client_label(&self) -> metrics::Label {
        metrics::Label::new("client", self.client.to_string())
    }

    #[cfg(feature = "metrics")]
    fn labels(&self, scope: &str) -> Vec<metrics::Label> {
        let (method, scope) =
            (metrics::Label::new("method", self.method), metrics::Label::new("scope", scope.to_owned()));
        vec![self.client_label(), method, scope]
    }
}

impl Outcome<'_> {
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

/// Somebody who waits.
#[cfg(feature = "metrics")]
#[derive(Debug)]
pub(crate) struct Waiter(metrics::Gauge);

#[cfg(feature = "metrics")]
impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Somebody who waits, whom nobody counts.
#[cfg(not(feature = "metrics"))]
#[derive(Debug)]
pub(crate) struct Waiter;

/// An API has answered 401 to a request with our token.
pub(crate) fn unauthorized() {
    #[cfg(feature = "metrics")]
    metrics::counter!("idaas_unauthorized_total").increment(1);
}

/// Says of each metric what it is, for exporters that tell.
#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    use metrics::Unit;

    metrics::describe_counter!("idaas_refreshes_total", "Fetches, by outcome and cause");
    metrics::describe_histogram!("idaas_refresh_seconds", Unit::Seconds, "How long fetches took, by outcome");
    metrics::describe_gauge!(
        "idaas_expires_in_seconds",
        Unit::Seconds,
        "How long the cached token still lives"
    );
    metrics::describe_gauge!("idaas_gate_open", "1, or 0 while the issuer is left alone after failures");
    metrics::describe_gauge!("idaas_waiters", "Requests that wait for a token");
    metrics::describe_counter!("idaas_withdrawn_total", "Tokens withdrawn before they were due");
    metrics::describe_counter!("idaas_unauthorized_total", "Responses 401 to requests with our token");
}
