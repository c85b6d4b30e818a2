//! Events and metrics of the store, under names that stay. Never a secret.

use tower_idaas::Error;

/// The labels of all metrics, which are fields of all events.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    /// The client id; empty with a source that is set in code.
    pub(crate) client: String,
    /// The authentication method, as the vendor writes it, or what else tokens come from.
    pub(crate) method: String,
}

impl Telemetry {
    /// The store was looked into.
    pub(crate) fn looked(&self, scope: &str, outcome: &'static str) {
        let Self { client, method } = self;
        tracing::debug!(
            name: "idaas.store", target: "tower_idaas::store", event = "idaas.store", client, method, scope, outcome,
            "looked into the token store"
        );
        #[cfg(feature = "metrics")]
        {
            let mut labels = self.labels();
            labels.push(metrics::Label::new("scope", scope.to_owned()));
            labels.push(metrics::Label::new("outcome", outcome));
            metrics::counter!("idaas_store_lookups_total", labels).increment(1);
        }
    }

    /// A call of the store failed. `news` says whether the circuit breaker was closed before.
    pub(crate) fn failed(&self, operation: &'static str, error: &Error, news: bool) {
        let Self { client, method } = self;
        if news {
            tracing::warn!(
                name: "idaas.store_failed", target: "tower_idaas::store", event = "idaas.store_failed", client, method, operation, %error,
                "the token store is not used for a while"
            );
            self.breaker(false);
        } else {
            tracing::debug!(
                name: "idaas.store_failed", target: "tower_idaas::store", event = "idaas.store_failed", client, method, operation, %error,
                "the token store still fails"
            );
        }
        self.fault(operation);
    }

    /// The keys of the store cannot be read, and it is not used. `news` says whether they could be read before.
    pub(crate) fn keys_failed(&self, error: &Error, news: bool) {
        let Self { client, method } = self;
        let operation = "key";
        if news {
            tracing::warn!(
                name: "idaas.store_failed", target: "tower_idaas::store", event = "idaas.store_failed", client, method, operation, %error,
                "tokens are not shared until the keys of the token store can be read"
            );
        } else {
            tracing::debug!(
                name: "idaas.store_failed", target: "tower_idaas::store", event = "idaas.store_failed", client, method, operation, %error,
                "the keys of the token store still cannot be read"
            );
        }
        self.fault(operation);
    }

    fn fault(&self, operation: &'static str) {
        #[cfg(feature = "metrics")]
        {
            let mut labels = self.labels();
            labels.push(metrics::Label::new("operation", operation));
            metrics::counter!("idaas_store_faults_total", labels).increment(1);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = operation;
    }

    /// Whether the store is used, or not called for a while after failures.
    pub(crate) fn breaker(&self, in_use: bool) {
        #[cfg(feature = "metrics")]
        metrics::gauge!("idaas_store_circuit_closed", self.labels()).set(u8::from(in_use));
        #[cfg(not(feature = "metrics"))]
        let _ = in_use;
    }

    #[cfg(feature = "metrics")]
    fn labels(&self) -> Vec<metrics::Label> {
        vec![
            metrics::Label::new("client", self.client.clone()),
            metrics::Label::new("method", self.method.clone()),
        ]
    }
}

/// Tells exporters that show it what each metric of the store is. [`Idaas::record_metrics`] does the same for the
/// library's own.
///
/// [`Idaas::record_metrics`]: https://docs.rs/tower-idaas/latest/tower_idaas/struct.Idaas.html#method.record_metrics
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub fn describe_metrics() {
    metrics::describe_counter!("idaas_store_lookups_total", "Lookups in the token store, by outcome");
    metrics::describe_counter!("idaas_store_faults_total", "Failures of the token store, by operation");
    metrics::describe_gauge!(
        "idaas_store_circuit_closed",
        "1, or 0 while the token store is not used after failures"
    );
}
