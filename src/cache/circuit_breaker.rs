//! A circuit breaker: arithmetic alone, no clock, no lock, no waiting.
//!
//! Closed, it permits all requests, and a failure opens it. Open, it refuses all requests with that failure until a
//! pause is over, which doubles with each failure in a row and is at least as long as the server requests. Half-open,
//! when the pause is over, it permits one request as a probe, and the others wait for its result. A response closes it,
//! a failed probe opens it again, and when a probe ends without either, the next request probes. A request sent before
//! the circuit last opened or closed does not count, except for the pause that the server requests.

use crate::cache::backoff::{pause_after, retry_after};
use crate::clock::Timestamp;
use crate::error::Error;

/// One circuit. Permits are numbered in the order in which they are given.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    open: Option<Open>,
    failures: u32,
    /// The first permit given since the circuit last opened or closed.
    since: u64,
}

#[derive(Debug)]
struct Open {
    until: Timestamp,
    error: Error,
    /// The permit that probes.
    probe: Option<u64>,
}

/// Why a request is refused, and until when.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: Error,
    pub(crate) until: Timestamp,
}

/// A request that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed<'a> {
    pub(crate) permit: u64,
    pub(crate) error: &'a Error,
    /// Whether another attempt under the same permit follows at once.
    pub(crate) again: bool,
    /// Whether a failure under this permit was counted before.
    pub(crate) counted: bool,
}

impl CircuitBreaker {
    pub(crate) fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// The failure, while the pause after it lasts.
    pub(crate) fn refusal(&self, now: Timestamp) -> Option<Refused> {
        let open = self.open.as_ref()?;
        let refused = || Refused { error: open.error.clone(), until: open.until };
        (open.probe.is_none() && now.monotonic < open.until.monotonic).then(refused)
    }

    /// Whether a probe is in flight.
    pub(crate) fn is_probed(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.probe.is_some())
    }

    /// The request is sent. Returns whether it is the probe.
    pub(crate) fn start(&mut self, permit: u64) -> bool {
        let Some(open) = &mut self.open else { return false };
        open.probe = Some(permit);
        true
    }

    /// The request has ended. Returns whether it was the probe and ended without a result.
    pub(crate) fn release(&mut self, permit: u64) -> bool {
        let probe = self.open.as_mut().map(|open| &mut open.probe);
        probe.and_then(|probe| probe.take_if(|probe| *probe == permit)).is_some()
    }

    /// The server responded. `next` is the number of the next permit. Returns whether the circuit was open.
    pub(crate) fn close(&mut self, next: u64) -> bool {
        self.failures = 0;
        let was_open = self.open.take().is_some();
        if was_open {
            self.since = next;
        }
        was_open
    }

    /// The request failed with evidence against the server. Returns the end of the pause if the circuit is open, and
    /// whether this failure opened it.
    pub(crate) fn fail(
        &mut self,
        failed: Failed<'_>,
        next: u64,
        now: Timestamp,
        jitter: f64,
    ) -> Option<(Timestamp, bool)> {
        let Failed { permit, error, again, counted } = failed;
        let probe = self.open.as_ref().and_then(|open| open.probe);
        if permit < self.since && probe != Some(permit) {
            let open = self.open.as_mut()?;
            if let Some(requested) = retry_after(error) {
                open.until = open.until.max(now.after(requested));
            }
            return Some((open.until, false));
        }
        if !counted {
            self.failures = self.failures.saturating_add(1);
        }
        let until = now.after(pause_after(self.failures, error, jitter));
        self.since = next;
        self.open = Some(Open { until, error: error.clone(), probe: again.then_some(permit) });
        Some((until, true))
    }
}
