//! A circuit breaker: arithmetic alone, no clock, no lock, no waiting.
//!
//! Closed, it permits all requests, and a failure opens it. Open, it refuses all requests with that failure until a
//! pause is over, which doubles with each failure in a row and is at least as long as the server requests. Half-open,
//! when the pause is over, it permits one request as a probe, and the others wait for its result. A response closes it,
//! a failed probe opens it again, and when a probe ends without either, the next request probes. A request sent before
//! the circuit last opened or closed does not count, except for the pause that the server requests.
//!
//! Labels that fail must not keep out one that would not: once per pause, a request for a label that has not failed
//! since the last response is exempt, and need not wait, neither for the end of the pause nor for the probe. When it
//! fails, the pause begins again, at its full length: a dead server gets no more requests than without it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::cache::backoff::{pause_after, retry_after};
use crate::clock::Timestamp;
use crate::error::Error;

/// How many labels that fail are known. Beyond that no label precedes the others.
const LABELS: usize = 1_024;

/// One circuit. Permits are numbered in the order in which they are given.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    open: Option<Open>,
    failures: u32,
    /// The first permit given since the circuit last opened or closed.
    since: u64,
    /// The labels whose requests have failed since the server last responded.
    failed: HashSet<Label>,
    /// The latest end of a pause that the server has requested since, on the monotonic clock.
    requested: u64,
}

/// A hash of what a request is for. It compares two labels without a copy of either; a collision does little harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Label(u64);

impl Label {
    pub(crate) fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[derive(Debug)]
struct Open {
    until: Timestamp,
    error: Error,
    /// The permit that probes.
    probe: Option<u64>,
    /// Whether that one belongs to the refresh whose failure opened the circuit, and which tries again at once.
    continues: bool,
    exempt: Exempt,
}

/// The exempt request of one pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exempt {
    NotYet,
    InFlight(u64),
    Failed,
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
    pub(crate) label: Label,
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
        let open = self.open.as_ref().filter(|_| !self.is_probed())?;
        let refused = || Refused { error: open.error.clone(), until: open.until };
        (now.monotonic < open.until.monotonic).then(refused)
    }

    /// Whether a probe, or an exempt request, is in flight.
    pub(crate) fn is_probed(&self) -> bool {
        let is_probed = |open: &Open| open.probe.is_some() || matches!(open.exempt, Exempt::InFlight(_));
        self.open.as_ref().is_some_and(is_probed)
    }

    /// Whether a request for this label need not wait, although the circuit is open. A pause that the server requests of
    /// one label is that label's; two of them show that it is meant for all. A refresh that tries again within the
    /// second is waited for.
    pub(crate) fn exempts(&self, label: Label, now: Timestamp) -> bool {
        let is_requested = self.failed.len() > 1 && now.monotonic < self.requested;
        let is_possible = |open: &Open| open.exempt == Exempt::NotYet && !open.continues;
        self.open.as_ref().is_some_and(is_possible)
            && !is_requested
            && self.failed.len() < LABELS
            && !self.failed.contains(&label)
    }

    /// The request is sent. Returns whether it is the probe, or exempt.
    pub(crate) fn start(&mut self, permit: u64, now: Timestamp) -> bool {
        let Some(open) = &mut self.open else { return false };
        if open.probe.is_some() || now.monotonic < open.until.monotonic {
            open.exempt = Exempt::InFlight(permit);
        } else {
            (open.probe, open.continues) = (Some(permit), false);
            // The next pause begins with its failure.
            if open.exempt == Exempt::Failed {
                open.exempt = Exempt::NotYet;
            }
        }
        true
    }

    /// The request has ended. Returns whether it was the probe, or exempt, and ended without a result.
    pub(crate) fn release(&mut self, permit: u64) -> bool {
        let Some(open) = &mut self.open else { return false };
        if open.exempt == Exempt::InFlight(permit) {
            open.exempt = Exempt::NotYet;
            return true;
        }
        open.probe.take_if(|probe| *probe == permit).is_some()
    }

    /// The server responded. `next` is the number of the next permit. Returns whether the circuit was open.
    pub(crate) fn close(&mut self, next: u64) -> bool {
        self.failures = 0;
        self.failed.clear();
        self.requested = 0;
        let was_open = self.open.take().is_some();
        if was_open {
            self.since = next;
        }
        was_open
    }

    /// Notes the label of a request that failed. Returns whether it is the only one that has failed since the server
    /// last responded.
    pub(crate) fn note(&mut self, label: Label, error: &Error, now: Timestamp) -> bool {
        if self.failed.len() < LABELS {
            self.failed.insert(label);
        }
        let requested = retry_after(error).map_or(0, |pause| now.after(pause).monotonic);
        self.requested = self.requested.max(requested);
        self.failed.len() == 1
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
        let Failed { permit, label, error, again, counted } = failed;
        self.note(label, error, now);
        let requested = Duration::from_nanos(self.requested.saturating_sub(now.monotonic));
        let before = self.open.as_ref().map(|open| (open.probe, open.exempt, open.until));
        let (probe, exempt, until_before) = before.unwrap_or((None, Exempt::NotYet, now));
        let is_exempt = exempt == Exempt::InFlight(permit);
        if permit < self.since && probe != Some(permit) && !is_exempt {
            let open = self.open.as_mut()?;
            open.until = open.until.max(now.after(requested));
            return Some((open.until, false));
        }
        if !counted {
            self.failures = self.failures.saturating_add(1);
        }
        let jitter = if is_exempt { 0.0 } else { jitter };
        let mut until = now.after(pause_after(self.failures, error, jitter).max(requested));
        if is_exempt && let Some(open) = self.open.as_mut().filter(|open| open.probe.is_some()) {
            // Others wait for the probe beside it.
            (open.until, open.exempt) = (until, Exempt::Failed);
            return Some((until, false));
        }
        if exempt == Exempt::Failed {
            // The pause that the exempt request began is not shortened.
            until = until.max(until_before);
        }
        let exempt = if is_exempt { Exempt::Failed } else { exempt };
        self.since = next;
        let probe = again.then_some(permit);
        self.open = Some(Open { until, error: error.clone(), probe, continues: again, exempt });
        Some((until, true))
    }

    /// The failure for which the circuit is open.
    pub(crate) fn error(&self) -> Option<&Error> {
        self.open.as_ref().map(|open| &open.error)
    }
}
