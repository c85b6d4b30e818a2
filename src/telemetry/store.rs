//! What is told of the store that processes share.

use crate::error::Error;
use crate::telemetry::Telemetry;

impl Telemetry {
    /// What was found in the store that processes share.
    pub(crate) fn store_looked(&self, scope: &str, outcome: &'static str) {
        let Self { client, method, .. } = self;
        tracing::debug!(name: "idaas.store", target: "tower_idaas::store", %client, method, scope, outcome, "store asked");
        #[cfg(feature = "metrics")]
        {
            let mut labels = self.labels(scope);
            labels.push(metrics::Label::new("outcome", outcome));
            metrics::counter!("idaas_store_lookups_total", labels).increment(1);
        }
    }

    /// The store has not done what it was asked for. `closed` says whether that is news.
    pub(crate) fn store_failed(&self, operation: &'static str, error: &Error, closed: bool) {
        let Self { client, method, .. } = self;
        if closed {
            tracing::warn!(
                name: "idaas.store_failed", target: "tower_idaas::store", %client, method, operation, %error,
                "token store left alone for a while"
            );
            self.store_gate(false);
        } else {
            tracing::debug!(
                name: "idaas.store_failed", target: "tower_idaas::store", %client, method, operation, %error,
                "token store still left alone"
            );
        }
        self.store_fault(operation);
    }

    /// The keys of the store cannot be read, and it is not asked. `news` says whether they could be before.
    pub(crate) fn store_keys_failed(&self, error: &Error, news: bool) {
        let Self { client, method, .. } = self;
        let operation = "key";
        if news {
            tracing::warn!(
                name: "idaas.store_failed", target: "tower_idaas::store", %client, method, operation, %error,
                "tokens are not shared until the keys of the token store can be read"
            );
        } else {
            tracing::debug!(
                name: "idaas.store_failed", target: "tower_idaas::store", %client, method, operation, %error,
                "the keys of the token store still cannot be read"
            );
        }
        self.store_fault(operation);
    }

    fn store_fault(&self, operation: &'static str) {
        #[cfg(feature = "metrics")]
        {
            let operation = metrics::Label::new("operation", operation);
            let labels = vec![self.client_label(), metrics::Label::new("method", self.method), operation];
            metrics::counter!("idaas_store_faults_total", labels).increment(1);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = operation;
    }

    /// Whether the store is being asked, or left alone after failures.
    pub(crate) fn store_gate(&self, open: bool) {
        #[cfg(feature = "metrics")]
        {
            let labels = vec![self.client_label(), metrics::Label::new("method", self.method)];
            metrics::gauge!("idaas_store_gate_open", labels).set(u8::from(open));
        }
        #[cfg(not(feature = "metrics"))]
        let _ = open;
    }
}
