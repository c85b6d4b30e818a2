//! How often the library calls the issuer, by its own account: calls of an issuer that is down count too.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Adds up the attempts in the library's log.
#[derive(Clone, Default)]
pub struct RequestCount(Arc<AtomicU64>);

impl RequestCount {
    /// Listens to all that is logged in this process from now on.
    pub fn start() -> Self {
        let count = Self::default();
        let refreshes = filter_fn(|metadata| metadata.target() == "tower_idaas::refresh");
        tracing_subscriber::registry().with(count.clone().with_filter(refreshes)).init();
        count
    }

    /// Since the last call.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed) as usize
    }
}

impl<S: Subscriber> Layer<S> for RequestCount {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Attempts(&self.0));
    }
}

struct Attempts<'a>(&'a AtomicU64);

impl Visit for Attempts<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "attempt" {
            self.0.fetch_add(value, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
