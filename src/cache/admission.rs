//! Whether a request may be sent to the server now. All slots that load from the same server share one [`Admission`].
//!
//! It has two circuit breakers. The one for connections opens when no connection can be made, and refuses all requests.
//! The one for the handle's own requests opens when the server does not respond to them, or cannot serve them, and
//! refuses own requests alone. The response to a request for another party, or the lack of one, opens neither: it says
//! something about that party only, and only its slot backs off. So does one of several labels of own requests that
//! fails alone. The limiter bounds how many requests are in flight.

use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::cache::circuit_breaker::{CircuitBreaker, Failed, Label, Refused};
use crate::cache::heartbeat::Heartbeat;
use crate::cache::limiter::{Counts, DEFAULT_LIMIT, Limiter, Priority};
use crate::cache::loader::Evidence;
use crate::cache::sync::{Mutex, MutexGuard, timeout};
use crate::clock::{Clock, Timestamp, nanos};
use crate::error::{Error, ErrorKind};
use crate::telemetry::{Gauged, Telemetry};

/// How often queued requests check whether requests in flight have stalled.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The party that a request is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Party {
    /// For the handle itself.
    #[default]
    Own,
    /// For another party, a different one for each slot.
    Other,
}

/// What the admission needs to know of a request.
#[derive(Debug)]
pub(crate) struct AdmissionRequest<'a> {
    pub(crate) priority: Priority,
    /// What it is for: see [`Loader::label`](crate::cache::loader::Loader::label).
    pub(crate) label: &'a str,
    pub(crate) heartbeat: &'a Heartbeat,
}

/// Shared by all slots that load from the same server.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<State>,
    own: Notify,
    renewals: Notify,
    first: Notify,
}

#[derive(Debug)]
struct State {
    connection: CircuitBreaker,
    own: CircuitBreaker,
    /// The label of the first own request, and whether there has been one for another label.
    first_label: Option<Label>,
    several_labels: bool,
    limiter: Limiter,
    /// The next check for stalled requests, on the monotonic clock.
    next_check: u64,
    next_permit: u64,
}

#[derive(Debug)]
enum Decision {
    Granted(Permit),
    Refused(Refused),
    Wait,
}

/// What the failure of a request means for its refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It concerns this refresh alone.
    Isolated,
    /// A circuit is open until this timestamp.
    Open(Timestamp),
    /// A circuit is open, and the next attempt of this refresh is its probe.
    Probe,
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Admission {
    /// At most this many requests are in flight at a time.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            connection: CircuitBreaker::default(),
            own: CircuitBreaker::default(),
            first_label: None,
            several_labels: false,
            limiter: Limiter::new(limit),
            next_check: 0,
            next_permit: 1,
        };
        let state = Mutex::new(state);
        Self { state, own: Notify::new(), renewals: Notify::new(), first: Notify::new() }
    }

    /// Waits for a permit to send the request.
    ///
    /// # Errors
    ///
    /// The failure for which a circuit is open, or [`ErrorKind::Overloaded`] when too many requests wait already.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        request: AdmissionRequest<'_>,
        clock: &Clock,
        telemetry: &Telemetry,
    ) -> Result<Permit, Refused> {
        let mut in_queue = None;
        loop {
            // Registered before the decision, so that a place freed in between is not missed.
            let mut freed = pin!(self.notify(request.priority).notified());
            freed.as_mut().enable();
            match self.decide(&request, in_queue.is_some(), clock.now()) {
                Decision::Granted(mut permit) => {
                    drop(in_queue);
                    permit.in_flight = Some(telemetry.in_flight());
                    return Ok(permit);
                }
                Decision::Refused(refused) => {
                    if refused.error.kind() == ErrorKind::Overloaded {
                        telemetry.refused();
                    }
                    return Err(refused);
                }
                Decision::Wait => {}
            }
            let position = || InQueue { admission: self, priority: request.priority, queued: None };
            // The recorder of metrics is the user's code and may panic: the guard exists before it is called.
            in_queue.get_or_insert_with(position).queued.get_or_insert_with(|| telemetry.queued());
            // The same registration is waited for again and again: a new one would go to the end of the queue. A place
            // that is free although this request was not woken is one for which another was, on a runtime that is not
            // driven: this request takes it.
            while timeout(CHECK_INTERVAL, freed.as_mut()).await.is_err() {
                self.remove_stalled(clock.now());
                if self.state().limiter.has_room(request.priority) {
                    break;
                }
            }
        }
    }

    /// The failure of a request that has waited for its turn in vain.
    pub(crate) fn waited_in_vain(&self, priority: Priority, limit: Duration) -> Error {
        let state = self.state();
        let own = || state.own.error().filter(|_| priority == Priority::Own);
        let error = state.connection.error().or_else(own).cloned();
        drop(state);
        error.unwrap_or_else(|| {
            let message = format!(
                "too many requests are in flight and this one was not sent: it waited {limit:?} for its turn; try \
                 again later, or raise the limit of requests in flight"
            );
            Error::new(ErrorKind::Overloaded, message)
        })
    }

    /// Removes stalled requests, and gives their places to queued ones. One check serves all queued requests.
    fn remove_stalled(&self, now: Timestamp) {
        let mut state = self.state();
        if now.monotonic < state.next_check {
            return;
        }
        state.next_check = now.monotonic.saturating_add(nanos(CHECK_INTERVAL));
        let permits = state.limiter.remove_stalled(now);
        let freed = permits.len();
        let probe_lost = permits.into_iter().fold(false, |lost, permit| state.release(permit) | lost);
        let admissible = state.limiter.admissible(freed);
        drop(state);
        self.wake(probe_lost, admissible);
    }

    fn decide(self: &Arc<Self>, request: &AdmissionRequest<'_>, queued: bool, now: Timestamp) -> Decision {
        let AdmissionRequest { priority, label, heartbeat } = *request;
        let (label, is_own) = (Label::of(label), priority == Priority::Own);
        let mut state = self.state();
        let State { connection, own, first_label, several_labels, limiter, next_permit, .. } = &mut *state;
        *several_labels |= is_own && *first_label.get_or_insert(label) != label;
        // What the circuit of own requests says to this one, if it depends on it.
        let depends_on_own = is_own && !own.exempts(label, now);
        let own_refusal = || if depends_on_own { own.refusal(now) } else { None };
        if let Some(refused) = connection.refusal(now).or_else(own_refusal) {
            return Decision::Refused(refused);
        }
        let probed = connection.is_probed() || (depends_on_own && own.is_probed());
        // Queued requests precede new ones.
        let has_room =
            if queued { limiter.has_room(priority) } else { limiter.has_room_beside_queue(priority) };
        if probed || !has_room {
            if queued || limiter.enqueue(priority) {
                return Decision::Wait;
            }
            return Decision::Refused(Refused { error: overloaded(), until: now });
        }
        let id = *next_permit;
        *next_permit += 1;
        let probes = connection.start(id, now) | (is_own && own.start(id, now));
        limiter.acquire(id, priority, heartbeat);
        drop(state);
        let admission = Arc::clone(self);
        let party = if is_own { Party::Own } else { Party::Other };
        Decision::Granted(Permit {
            admission,
            id,
            party,
            label,
            probes,
            counted: false,
            frees: 1,
            in_flight: None,
        })
    }

    /// Whether the circuits that requests for this party depend on admit one now: they are closed, or half-open
    /// without a probe in flight.
    #[cfg(feature = "metrics")]
    pub(crate) fn admits(&self, party: Party, now: Timestamp) -> bool {
        let state = self.state();
        let admits = |circuit: &CircuitBreaker| !circuit.is_probed() && circuit.refusal(now).is_none();
        admits(&state.connection) && (party == Party::Other || admits(&state.own))
    }

    /// Whether requests are queued.
    pub(crate) fn is_busy(&self) -> bool {
        self.state().limiter.has_queue()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self, priority: Priority) -> &Notify {
        match priority {
            Priority::Own => &self.own,
            Priority::Renewal => &self.renewals,
            Priority::First => &self.first,
        }
    }

    /// Wakes as many queued requests as there are places now, or all of them, so that each decides again.
    fn wake(&self, all: bool, mut admissible: Counts) {
        for priority in Priority::ALL {
            let notify = self.notify(priority);
            if all {
                notify.notify_waiters();
            } else {
                (0..*admissible.of(priority)).for_each(|_| notify.notify_one());
            }
        }
    }
}

impl State {
    /// Takes the probe from a permit, and returns whether it had one.
    fn release(&mut self, permit: u64) -> bool {
        let (connection, own) = (self.connection.release(permit), self.own.release(permit));
        connection || own
    }

    /// The server responded to a request for this party. Returns whether a circuit was open.
    fn responded(&mut self, party: Party) -> bool {
        let next = self.next_permit;
        let was_open = self.connection.close(next);
        if party == Party::Other {
            return was_open;
        }
        self.own.close(next) || was_open
    }
}

/// A position in the queue, given up when dropped.
struct InQueue<'a> {
    admission: &'a Admission,
    priority: Priority,
    queued: Option<Gauged>,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.admission.state().limiter.dequeue(self.priority);
    }
}

/// The permit to have one request in flight. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    id: u64,
    party: Party,
    label: Label,
    probes: bool,
    /// Whether a failure under this permit was counted.
    counted: bool,
    /// How many places dropping it frees: its own, and those by which its response has widened the window.
    frees: usize,
    in_flight: Option<Gauged>,
}

impl Permit {
    /// Whether this request is the probe of a half-open circuit: other requests wait for its result.
    pub(crate) fn probes(&self) -> bool {
        self.probes
    }

    /// The server has responded.
    pub(crate) fn responded(mut self) {
        let mut state = self.admission.state();
        let grown = state.limiter.grow();
        let was_open = state.responded(self.party);
        drop(state);
        self.frees += grown;
        if was_open {
            self.admission.wake(true, Counts::default());
        }
    }

    /// The request failed. `again` says whether the refresh would make another attempt at once.
    pub(crate) fn failed(&mut self, error: &Error, again: bool, now: Timestamp, jitter: f64) -> Effect {
        let evidence = Evidence::of(error);
        let mut guard = self.admission.state();
        let state = &mut *guard;
        let next = state.next_permit;
        let mut was_open = false;
        // Not by a user's own source that cannot connect for this label.
        let reached = !error.is_unreachable();
        let breaker = match (evidence, self.party) {
            (Evidence::Nothing, _) => return Effect::Isolated,
            (Evidence::Unreachable, _) => Some(&mut state.connection),
            (Evidence::Responds, _) | (Evidence::Doubtful, Party::Other) => {
                self.frees += state.limiter.grow();
                was_open = state.responded(self.party);
                None
            }
            (Evidence::Unavailable, Party::Other) => {
                was_open = reached && state.connection.close(next);
                None
            }
            (Evidence::Doubtful | Evidence::Unavailable, Party::Own) => {
                was_open = reached && state.connection.close(next);
                let alone = state.own.note(self.label, error, now) && state.own.is_closed();
                let isolated = alone && (state.several_labels || evidence == Evidence::Doubtful);
                (!isolated).then_some(&mut state.own)
            }
        };
        let Self { id: permit, label, counted, .. } = *self;
        let failed = Failed { permit, label, error, again, counted };
        let result = breaker.and_then(|breaker| breaker.fail(failed, next, now, jitter));
        let opened = matches!(result, Some((_, true)));
        if opened {
            state.limiter.reset();
            (self.counted, self.probes) = (true, again);
        }
        drop(guard);
        // Queued requests may be sent once a circuit is closed, and are refused once one is open.
        if was_open || (opened && !again) {
            self.admission.wake(true, Counts::default());
        }
        match result {
            None => Effect::Isolated,
            Some((_, true)) if again => Effect::Probe,
            Some((until, _)) => Effect::Open(until),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.limiter.release(self.id);
        let probe_lost = state.release(self.id);
        let admissible = state.limiter.admissible(self.frees);
        drop(state);
        self.admission.wake(probe_lost, admissible);
    }
}

fn overloaded() -> Error {
    let message = "too many requests are in flight and queued already, so this one was not sent; try again later, \
                   or raise the limit of requests in flight";
    Error::new(ErrorKind::Overloaded, message)
}

#[cfg(test)]
mod tests;
