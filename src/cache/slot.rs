//! One cached value: read without a lock, fetched by one flight at a time.

use std::fmt::Debug;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::cache::circuit_breaker::Gate;
use crate::cache::control::{Control, FORCED_INTERVAL};
use crate::cache::entry::CacheEntry;
use crate::cache::flight::{Arrival, Outcome, channel};
use crate::cache::landing::{Landing, Launch};
use crate::cache::loader::{Loaded, Loader};
use crate::cache::pilot::{Cause, Flown, Pilot};
use crate::cache::sync::{ArcSwapOption, Handle, Mutex, MutexGuard};
use crate::cache::window::{State, Window};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::telemetry::Telemetry;

/// What all slots of a handle share.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    /// How long a request waits for a value.
    pub(crate) wait: Duration,
    /// How long an attempt of a flight may take before it is given up for lost.
    pub(crate) flight: Duration,
    /// Of the issuer that all slots ask.
    pub(crate) gate: Arc<Gate>,
    pub(crate) telemetry: Telemetry,
}

/// What a request gets when it asks a slot.
#[derive(Debug)]
pub(crate) enum Resolution<V> {
    /// The value, at once.
    Serve(Arc<CacheEntry<V>>),
    /// The arrival of a flight.
    Wait(Arrival<V>),
    /// A failure that is still remembered.
    Refuse(Error),
}

/// One cached value of a kind.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    /// Only ever holds a value that was good when it came; checked against the clocks at each use.
    live: ArcSwapOption<CacheEntry<V>>,
    control: Mutex<Control<V>>,
    pub(crate) fetch: Arc<dyn Loader<V>>,
    pub(crate) settings: Settings,
}

impl<V: Debug + Send + Sync + 'static> Slot<V> {
    pub(crate) fn new(fetch: Arc<dyn Loader<V>>, settings: Settings) -> Self {
        Self { live: ArcSwapOption::empty(), control: Mutex::default(), fetch, settings }
    }

    /// Puts a value in that was not fetched.
    #[cfg(feature = "test-util")]
    pub(crate) fn hold(&self, live: CacheEntry<V>) {
        self.live.store(Some(Arc::new(live)));
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// Looks at the value, if it may be served without a closer look, without counting a reference.
    #[inline]
    pub(crate) fn with_servable<T>(&self, look: impl FnOnce(&Arc<CacheEntry<V>>) -> T) -> Option<T> {
        let live = self.live.load();
        live.as_ref().filter(|live| live.is_servable(&self.settings.clock)).map(look)
    }

    /// The value, if it is alive. Fetches nothing.
    pub(crate) fn peek(&self) -> Option<Arc<CacheEntry<V>>> {
        let now = self.settings.clock.now();
        self.live.load_full().filter(|live| live.state(now) < State::Dead)
    }

    /// Decides what a request gets, by the precise clocks, and starts a flight where one is due.
    pub(crate) fn resolve(self: &Arc<Self>) -> Resolution<V> {
        let now = self.settings.clock.now();
        let mut control = self.control();
        let live = self.clear_withdrawn(&mut control, now);
        let state = live.as_ref().map_or(State::Dead, |live| live.state(now));
        let (resolution, launch) = match (live, state) {
            (Some(live), State::Fresh) => (Resolution::Serve(live), None),
            (Some(live), State::Advisory) => {
                let launch = match self.flight(&mut control, now, Cause::Advisory) {
                    Ok((_, launch)) => {
                        live.settle_while_due(None);
                        launch
                    }
                    Err(_) => {
                        live.settle_while_due(control.opens().or(Some(now)));
                        None
                    }
                };
                (Resolution::Serve(live), launch)
            }
            (Some(live), State::Mandatory) => match self.flight(&mut control, now, Cause::Mandatory) {
                Ok((arrival, launch)) => (Resolution::Wait(arrival), launch),
                Err(_) => (Resolution::Serve(live), None),
            },
            (dead, _) => {
                if let Some(dead) = dead {
                    // For good: a clock that is set back does not bring it to life for those who hold on to it.
                    dead.recheck().invalidate();
                    self.live.store(None);
                }
                match self.flight(&mut control, now, Cause::Missing) {
                    Ok((arrival, launch)) => (Resolution::Wait(arrival), launch),
                    Err(error) => (Resolution::Refuse(error), None),
                }
            }
        };
        // Without the lock: a runtime that is shutting down drops the task at once, which takes it.
        drop(control);
        if let Some(launch) = launch {
            launch.go();
            if let Resolution::Wait(arrival) = &resolution
                && arrival.is_lost()
            {
                // To try again here would be to try for ever.
                return self.peek().map_or_else(|| Resolution::Refuse(no_runtime()), Resolution::Serve);
            }
        }
        resolution
    }

    /// The flight under way, or a new one, to be launched, when the gate is open.
    fn flight(
        self: &Arc<Self>,
        control: &mut Control<V>,
        now: Timestamp,
        cause: Cause,
    ) -> Result<(Arrival<V>, Option<Launch<V>>), Error> {
        if let Some(arrival) = control.under_way(now) {
            return Ok((arrival.clone(), None));
        }
        if let Some(error) = control.refusal(now) {
            return Err(error.clone());
        }
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        let (announcer, arrival) = channel();
        let hold_back = control.hold_back(now);
        let forced = control.take_forced();
        // Up to one such time it waits for others to find out whether the issuer answers.
        let longest = self.settings.flight.saturating_mul(2).saturating_add(hold_back);
        let id = control.depart(now.after(longest), arrival.clone());
        let pilot = Pilot {
            fetch: Arc::clone(&self.fetch),
            gate: Arc::clone(&self.settings.gate),
            clock: self.settings.clock.clone(),
            telemetry: self.settings.telemetry.clone(),
            cause: if forced { Cause::Invalidated } else { cause },
            patient: cause != Cause::Advisory && control.is_untroubled(),
            hold_back,
            limit: self.settings.flight,
            rejected: control.take_rejected(),
            started: now,
            attempt: 0,
        };
        let landing = Landing::new(pilot, Arc::clone(self), id, announcer);
        Ok((arrival, Some(Launch { runtime, landing })))
    }

    /// Records what a flight brought: publishes the value, or closes the gate.
    pub(crate) fn record(&self, id: u64, flown: Flown<V>) -> Outcome<V> {
        let now = self.settings.clock.now();
        let mut control = self.control();
        self.clear_withdrawn(&mut control, now);
        if !control.arrive(id) {
            return Outcome::Void;
        }
        match flown {
            Ok(Loaded { value, recheck, sent, life, renewal, from_issuer, request_id: _ }) => {
                control.succeeded();
                let window = Window::new(sent, life, renewal, fastrand::f64());
                let live = Arc::new(CacheEntry::new(value, window, recheck));
                let dead = live.state(now) == State::Dead;
                if dead || life < FORCED_INTERVAL {
                    // No fetch loop, whatever the issuer hands out.
                    control.space_out(now);
                }
                if life.is_zero() && from_issuer {
                    return Outcome::DeadOnArrival(live);
                }
                if dead {
                    return Outcome::Expired;
                }
                if let Some(before) = self.live.swap(Some(Arc::clone(&live))) {
                    // Whoever holds on to the old value for speed comes and gets the new one.
                    before.recheck().invalidate();
                }
                Outcome::Landed(live)
            }
            Err(failure) => {
                let opens = control.failed(&failure, now, fastrand::f64());
                if let Some(live) = self.live.load().as_ref()
                    && live.state(now) == State::Advisory
                {
                    live.settle_while_due(Some(opens));
                }
                Outcome::Failed(failure.error)
            }
        }
    }

    /// The value, unless it was withdrawn: then it is forgotten, and a flight begun before is void.
    fn clear_withdrawn(&self, control: &mut Control<V>, now: Timestamp) -> Option<Arc<CacheEntry<V>>> {
        let live = self.live.load_full()?;
        if live.recheck().is_invalidated() {
            self.live.store(None);
            control.invalidate(now);
            control.reject(live);
            self.settings.telemetry.withdrawn(self.fetch.subject());
            return None;
        }
        Some(live)
    }

    /// A flight that was dropped on the way: the next request starts another.
    pub(crate) fn lose(&self, id: u64) {
        let now = self.settings.clock.now();
        let mut control = self.control();
        if control.arrive(id)
            && let Some(live) = self.live.load().as_ref()
            && live.state(now) == State::Advisory
        {
            live.settle_while_due(Some(now));
        }
    }

    /// How long from now until there may be something to do: until the value wants recheck, or the failure
    /// of a fetch is forgotten.
    pub(crate) fn next_look(&self) -> Duration {
        let now = self.settings.clock.now();
        let due = self.live.load().as_ref().map(|live| live.recheck().due().since(now));
        let opens = || self.control().opens().map(|opens| opens.since(now));
        due.filter(|due| !due.is_zero()).or_else(opens).unwrap_or_default()
    }

    /// Tells how long the value still lives: not at all when there is none and nobody has asked for one.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_life(&self) {
        let now = self.settings.clock.now();
        let life = self.live.load().as_ref().map(|live| live.remaining(now));
        if life.is_some() || self.control().has_flown() {
            self.settings.telemetry.expires_in(self.fetch.subject(), life.unwrap_or_default());
        }
    }

    /// Tells that the value is not cached any more.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_end(&self) {
        self.settings.telemetry.expires_in(self.fetch.subject(), Duration::ZERO);
    }

    pub(crate) fn subject(&self) -> &str {
        self.fetch.subject()
    }

    fn control(&self) -> MutexGuard<'_, Control<V>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn no_runtime() -> Error {
    Error::new(ErrorKind::Runtime, "a token can be fetched only within a tokio runtime; call from one")
}
