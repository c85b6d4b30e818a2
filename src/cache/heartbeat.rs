//! Whether a refresh is alive: its runtime drives it, or a worker is busy with it now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The sign of life of one refresh, shared by its waiters and by the admission.
///
/// A refresh that waits is counted up several times a second; on a runtime that is not driven the count stands still. A
/// refresh that is being polled is alive whatever the count: user code in it may block the worker for seconds, and
/// another refresh would block the next worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeat(Arc<Pulse>);

#[derive(Debug, Default)]
struct Pulse {
    beats: AtomicU64,
    polled: AtomicBool,
}

impl Heartbeat {
    pub(crate) fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the refresh is being polled; stays true when a panic ends the poll.
    pub(crate) fn is_polled(&self) -> bool {
        self.0.polled.load(Ordering::Relaxed)
    }

    pub(crate) fn set_polled(&self, polled: bool) {
        self.0.polled.store(polled, Ordering::Relaxed);
    }

    /// The count, or `None` while the refresh is being polled.
    pub(crate) fn count(&self) -> Option<u64> {
        (!self.is_polled()).then(|| self.0.beats.load(Ordering::Relaxed))
    }
}
