//! One cached value: read without a lock, refreshed by one fetch at a time.

mod state;
mod wait;

use std::fmt::Debug;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::cache::admission::Party;
use crate::cache::entry::CacheEntry;
use crate::cache::in_flight::{InFlight, Outcome};
use crate::cache::limiter::Priority;
use crate::cache::loader::{Loaded, Loader};
pub(crate) use crate::cache::refresh::Settings;
use crate::cache::refresh::{Cause, Completion, Failure, Plan, Refresh};
use crate::cache::rejections::Rejections;
use crate::cache::slot::state::{FORCED_INTERVAL, State};
use crate::cache::sync::{ArcSwapOption, Handle, Mutex, MutexGuard, no_runtime};
use crate::cache::window::{Stage, Window};
use crate::clock::{Clock, Timestamp, nanos};
use crate::error::Error;

/// [`FORCED_INTERVAL`] of slots that are each another party's, for the first two refreshes that a consumer forces.
const FORCED_INTERVAL_OF_OTHERS: Duration = Duration::from_secs(60);

/// What a request gets from a slot.
#[derive(Debug)]
pub(crate) enum Resolution<V> {
    /// The value, at once.
    Serve(Arc<CacheEntry<V>>),
    /// The result of a refresh, to wait for.
    Wait(InFlight<V>),
    /// A failure that is still remembered.
    Refuse(Error),
}

/// One cached value of a kind.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    /// A value that was live when it was loaded; compared with the clocks at each use.
    current: ArcSwapOption<CacheEntry<V>>,
    state: Mutex<State<V>>,
    rejections: Arc<Rejections>,
    loader: Arc<dyn Loader<V>>,
    settings: Settings,
}

impl<V: Debug + Send + Sync + 'static> Slot<V> {
    pub(crate) fn new(loader: Arc<dyn Loader<V>>, settings: Settings) -> Self {
        let interval = match settings.party {
            Party::Own => FORCED_INTERVAL,
            Party::Other => FORCED_INTERVAL_OF_OTHERS,
        };
        let rejections = Arc::new(Rejections::new(settings.clock.clone(), interval));
        let (current, state) = (ArcSwapOption::empty(), Mutex::default());
        Self { current, state, rejections, loader, settings }
    }

    /// Caches a value that was not fetched.
    #[cfg(feature = "test-util")]
    pub(crate) fn insert(&self, entry: CacheEntry<V>) {
        self.current.store(Some(Arc::new(entry)));
    }

    pub(crate) fn label(&self) -> &str {
        self.loader.label()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// The runtime of the caller, for a refresh.
    ///
    /// # Errors
    ///
    /// When there is none, or it has no timers.
    pub(crate) fn current_runtime(&self) -> Result<Handle, Error> {
        self.settings.runtimes.current()
    }

    /// Reads the value, if it may be served without a recheck, without counting a reference.
    #[inline]
    pub(crate) fn with_servable<T>(&self, read: impl FnOnce(&Arc<CacheEntry<V>>) -> T) -> Option<T> {
        let current = self.current.load();
        current.as_ref().filter(|entry| entry.is_servable(&self.settings.clock)).map(read)
    }

    /// The value, if it is live. Fetches nothing.
    pub(crate) fn peek(&self) -> Option<Arc<CacheEntry<V>>> {
        let now = self.settings.clock.now();
        self.current.load_full().filter(|entry| entry.is_live(now))
    }

    /// Whether there is a live value, without waiting. A refresh that is due is begun in the background.
    pub(crate) fn is_ready(self: &Arc<Self>) -> bool {
        match self.with_servable(|_| ()) {
            Some(()) => true,
            None => matches!(self.resolve(), Resolution::Serve(_)) || self.peek().is_some(),
        }
    }

    /// Decides what a request gets, by the precise clocks, and begins a refresh where one is due.
    pub(crate) fn resolve(self: &Arc<Self>) -> Resolution<V> {
        let now = self.settings.clock.now();
        let runtime = self.current_runtime();
        let requested = self.rejections.take_request();
        let mut state = self.state();
        let (entry, invalidated) = self.remove_invalidated(&mut state, now);
        if requested && state.in_flight(now).is_none() {
            entry.iter().for_each(|entry| state.force(Arc::clone(entry)));
        }
        let stage = entry.as_ref().map_or(Stage::Expired, |entry| entry.stage(now));
        let mut begun = None;
        let resolution = match (entry, stage) {
            (Some(entry), Stage::Fresh | Stage::Advisory) => {
                let due = stage == Stage::Advisory || state.forced;
                let refresh = due.then(|| self.join(&mut state, now, Cause::Advisory, &runtime));
                let recheck = match &refresh {
                    Some(Err(_)) => state.retry_at().unwrap_or(now),
                    _ if stage == Stage::Fresh => entry.window().advisory,
                    _ => entry.window().mandatory,
                };
                entry.recheck_at(recheck.min(entry.window().mandatory));
                begun = refresh.and_then(|refresh| refresh.ok()?.1);
                Resolution::Serve(entry)
            }
            (entry, _) => {
                if let Some(expired) = entry.as_ref().filter(|_| stage == Stage::Expired) {
                    // Invalidated for good: when a clock is set back, a service that caches the value must not serve it
                    // again.
                    expired.recheck().invalidate();
                    self.current.store(None);
                }
                let mandatory = entry.filter(|_| stage == Stage::Mandatory);
                let cause = if mandatory.is_some() { Cause::Mandatory } else { Cause::Missing };
                match self.join(&mut state, now, cause, &runtime) {
                    Ok((in_flight, refresh)) => {
                        begun = refresh;
                        Resolution::Wait(in_flight)
                    }
                    Err(error) => mandatory.map_or(Resolution::Refuse(error), Resolution::Serve),
                }
            }
        };
        drop(state);
        if invalidated {
            self.settings.telemetry.invalidated(self.loader.label());
        }
        if let (Some(refresh), Ok(runtime)) = (begun, &runtime) {
            refresh.spawn(runtime);
            if let Resolution::Wait(in_flight) = &resolution
                && in_flight.is_lost()
            {
                // The runtime is shutting down, and trying again here would never end.
                return self.peek().map_or_else(|| Resolution::Refuse(no_runtime()), Resolution::Serve);
            }
        }
        resolution
    }

    /// The refresh in flight, or a new one, to be spawned, unless a failure is remembered.
    fn join(
        self: &Arc<Self>,
        state: &mut State<V>,
        now: Timestamp,
        cause: Cause,
        runtime: &Result<Handle, Error>,
    ) -> Result<(InFlight<V>, Option<Refresh<V>>), Error> {
        if let Some(in_flight) = state.in_flight(now) {
            return Ok((in_flight.clone(), None));
        }
        if let Some(error) = state.failure(now) {
            return Err(error.clone());
        }
        if let Err(error) = runtime {
            return Err(error.clone());
        }
        state.last_id += 1;
        let start_delay = Duration::from_nanos(state.not_before.saturating_sub(now.monotonic));
        let plan = Plan {
            id: state.last_id,
            cause: if state.forced { Cause::Invalidated } else { cause },
            retries: cause != Cause::Advisory && state.failures == 0,
            priority: match self.settings.party {
                Party::Own => Priority::Own,
                Party::Other if state.has_had_value => Priority::Renewal,
                Party::Other => Priority::First,
            },
            start_delay,
            rejected: state.rejected.clone(),
            now,
        };
        // A refresh may wait for a place, or for the result of a probe, as long as for a response.
        state.join_until =
            now.after(self.settings.attempt_timeout.saturating_mul(2).saturating_add(start_delay));
        let (loader, settings) = (Arc::clone(&self.loader), self.settings.clone());
        let (refresh, in_flight) = Refresh::begin(plan, loader, settings, Arc::clone(self) as _);
        state.in_flight = Some(in_flight.clone());
        Ok((in_flight, Some(refresh)))
    }

    /// The value, unless it was invalidated: then it is removed, and a refresh begun before is void. Returns whether it
    /// was.
    fn remove_invalidated(&self, state: &mut State<V>, now: Timestamp) -> (Option<Arc<CacheEntry<V>>>, bool) {
        let Some(entry) = self.current.load_full() else { return (None, false) };
        if !entry.recheck().is_invalidated() {
            return (Some(entry), false);
        }
        self.current.store(None);
        state.invalidate(entry, now);
        (None, true)
    }

    /// Gives up a refresh whose runtime is not driven: the next request begins another, and a late result does not
    /// count.
    pub(crate) fn abandon(&self, refresh: u64) {
        self.state().end(refresh);
    }

    /// How long until the slot needs attention: until the value needs a recheck, or the failure of a refresh is
    /// forgotten.
    pub(crate) fn next_recheck(&self) -> Duration {
        let now = self.settings.clock.now();
        let due = self.current.load().as_ref().map(|entry| entry.recheck().due().since(now));
        let retry = || self.state().retry_at().map(|until| until.since(now));
        due.filter(|due| !due.is_zero()).or_else(retry).unwrap_or_default()
    }

    /// Sets the gauge of how long the value lives; without a value, or where no gauge is wanted, does nothing.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_life(&self) {
        let now = self.settings.clock.now();
        let life = self.current.load().as_ref().map(|entry| entry.remaining(now));
        let was_requested = life.is_some() || self.state().last_id > 0;
        if was_requested {
            self.settings.telemetry.expires_in(self.loader.label(), life.unwrap_or_default());
        }
    }

    /// Sets the same gauge when the slot is evicted.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_end(&self) {
        self.settings.telemetry.expires_in(self.loader.label(), Duration::ZERO);
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Debug + Send + Sync + 'static> Completion<V> for Slot<V> {
    fn is_awaited(&self, refresh: u64) -> bool {
        self.state().in_flight.as_ref().is_some_and(|in_flight| in_flight.id == refresh)
    }

    /// Publishes the value, or remembers the failure.
    fn complete(&self, refresh: u64, result: Result<Loaded<V>, Failure>) -> Outcome<V> {
        let now = self.settings.clock.now();
        let watched = self.rejections.is_watching(now);
        let mut state = self.state();
        let (_, invalidated) = self.remove_invalidated(&mut state, now);
        let outcome = match state.end(refresh) {
            false => Outcome::Void,
            true => match result {
                Ok(loaded) => self.publish(&mut state, loaded, watched, now),
                Err(failure) => self.remember(&mut state, failure, now),
            },
        };
        drop(state);
        if invalidated {
            self.settings.telemetry.invalidated(self.loader.label());
        }
        outcome
    }

    /// The next request begins another refresh.
    fn lost(&self, refresh: u64) {
        let now = self.settings.clock.now();
        let mut state = self.state();
        if state.end(refresh) {
            self.recheck_at(&state, now, now);
        }
    }
}

impl<V: Debug + Send + Sync + 'static> Slot<V> {
    fn publish(&self, state: &mut State<V>, loaded: Loaded<V>, watched: bool, now: Timestamp) -> Outcome<V> {
        let Loaded { value, recheck, sent, life, refresh_ahead, from_issuer, request_id: _ } = loaded;
        (state.failures, state.failure) = (0, None);
        (state.forced, state.rejected) = (false, None);
        recheck.attach(&self.rejections, watched);
        let entry = Arc::new(CacheEntry::new(
            value,
            Window::new(sent, life, refresh_ahead, fastrand::f64()),
            recheck,
        ));
        let expired = !entry.is_live(now);
        if expired || life < FORCED_INTERVAL {
            // Without a pause, a server that issues short lives would cause a fetch loop.
            state.not_before = now.monotonic.saturating_add(nanos(FORCED_INTERVAL));
        }
        if life.is_zero() && from_issuer {
            return Outcome::Uncacheable(entry);
        }
        if expired {
            return Outcome::Expired;
        }
        state.has_had_value = true;
        if let Some(before) = self.current.swap(Some(Arc::clone(&entry))) {
            // A service that caches the old value comes back to the slot and gets the new one.
            before.recheck().invalidate();
            // The new value is what a rejection of the old one may have requested meanwhile.
            self.rejections.take_request();
        }
        Outcome::Cached(entry)
    }

    fn remember(&self, state: &mut State<V>, failure: Failure, now: Timestamp) -> Outcome<V> {
        let until = state.fail(&failure, now, fastrand::f64());
        self.recheck_at(state, until, now);
        Outcome::Failed(failure.error)
    }

    /// Lets the next refresh begin at this timestamp, where one is due.
    fn recheck_at(&self, state: &State<V>, timestamp: Timestamp, now: Timestamp) {
        if let Some(entry) = self.current.load().as_ref()
            && (entry.stage(now) == Stage::Advisory || state.forced)
        {
            entry.recheck_at(timestamp.min(entry.window().mandatory));
        }
    }
}

#[cfg(test)]
mod tests;
