//! The circuits whose gauge was set once. A circuit changes by time alone as well: when its pause is over, it refuses
//! nothing any more, and without a request nothing else would set the gauge again.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Which circuits: the address of what holds them, and whether requests of the handle itself depend on them.
pub(super) type CircuitId = (usize, bool);

/// Whether requests are sent now; `None` once the circuits are gone.
type IsClosed = dyn Fn() -> Option<bool> + Send + Sync;

/// The circuits of one handle.
#[derive(Default)]
pub(super) struct Circuits(Mutex<Vec<Circuit>>);

struct Circuit {
    /// The label of the gauge.
    method: &'static str,
    id: CircuitId,
    is_closed: Box<IsClosed>,
}

impl Circuits {
    pub(super) fn add(
        &self,
        method: &'static str,
        id: CircuitId,
        is_closed: impl Fn() -> Option<bool> + Send + Sync + 'static,
    ) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !circuits.iter().any(|circuit| (circuit.method, circuit.id) == (method, id)) {
            circuits.push(Circuit { method, id, is_closed: Box::new(is_closed) });
        }
    }

    /// Whether all circuits under a label are closed, for each label.
    pub(super) fn closed(&self) -> Vec<(&'static str, bool)> {
        let mut labels: Vec<(&'static str, bool)> = Vec::new();
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.retain(|Circuit { method, is_closed, .. }| {
            let state = is_closed();
            let closed = state.unwrap_or(true);
            match labels.iter_mut().find(|(label, _)| label == method) {
                Some((_, all)) => *all &= closed,
                None => labels.push((method, closed)),
            }
            state.is_some()
        });
        labels
    }
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuits").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_label_is_closed_while_all_of_its_circuits_are_and_those_that_are_gone_count_no_more() {
        let circuits = Circuits::default();
        let [first, second] = [1, 2].map(|id| {
            let state = Arc::new(AtomicBool::new(true));
            let weak = Arc::downgrade(&state);
            circuits.add("a", (id, true), move || Some(weak.upgrade()?.load(Ordering::Relaxed)));
            state
        });
        circuits.add("b", (1, true), || Some(false));
        assert_eq!(circuits.closed(), [("a", true), ("b", false)]);
        first.store(false, Ordering::Relaxed);
        assert_eq!(circuits.closed(), [("a", false), ("b", false)]);
        drop(first);
        assert_eq!(circuits.closed(), [("a", true), ("b", false)]);
        drop(second);
        assert_eq!(circuits.closed(), [("a", true), ("b", false)], "reported once more");
        assert_eq!(circuits.closed(), [("b", false)]);
    }

    #[cfg(feature = "metrics")]
    #[test]
    fn a_circuit_that_is_gone_shows_as_closed_whichever_label_is_reported_next() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let gauge_of = |label: &str| {
            let text = shown.render();
            let line =
                text.lines().find(|line| line.starts_with("idaas_circuit_closed") && line.contains(label));
            line.unwrap().rsplit(' ').next().unwrap().to_owned()
        };
        metrics::with_local_recorder(&recorder, || {
            let tokens = crate::telemetry::Telemetry::new("app", "TOKENS");
            let state = Arc::new(());
            let weak = Arc::downgrade(&state);
            tokens.circuit((1, true), move || weak.upgrade().map(|_| false));
            assert_eq!(gauge_of("TOKENS"), "0");
            drop(state);
            tokens.of("OTHERS").circuit((2, true), || Some(true));
            assert_eq!([gauge_of("TOKENS"), gauge_of("OTHERS")], ["1", "1"]);
        });
    }
}
