//! One cached value: read without a lock, refreshed by one fetch at a time.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::cache::admission::Party;
use crate::cache::backoff::pause_after;
use crate::cache::entry::CacheEntry;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::refresh::{Cause, Completion, Failure, InFlight, Outcome, Plan, Refresh, current_runtime};
pub(crate) use crate::cache::refresh::{Settings, no_runtime};
use crate::cache::rejections::Rejections;
use crate::cache::sync::{ArcSwapOption, Handle, Mutex, MutexGuard, timeout};
use crate::cache::window::{State as Stage, Window};
use crate::clock::{Clock, Timestamp, nanos};
use crate::error::{Error, ErrorKind};

/// Refreshes after an invalidated value, and fetches after a value that lives for less than this, are at least this far
/// apart: a broken API or a broken issuer must not become a storm of token requests.
const FORCED_INTERVAL: Duration = Duration::from_secs(1);

/// The same for the first two refreshes that a consumer's rejections force when each slot is another party's.
const FORCED_INTERVAL_OF_OTHERS: Duration = Duration::from_secs(60);

/// How long a request waits for the next value while the overdue one is still alive: a server that hangs must not hold
/// up what can be served.
const OVERDUE_PATIENCE: Duration = Duration::from_secs(2);

/// What a request gets when it asks a slot.
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
    /// Only ever holds a value that was good when it came; checked against the clocks at each use.
    current: ArcSwapOption<CacheEntry<V>>,
    state: Mutex<State<V>>,
    rejections: Arc<Rejections>,
    loader: Arc<dyn Loader<V>>,
    settings: Settings,
}

/// What a slot remembers besides its value. Nothing waits, does I/O, emits an event or calls user code under its lock.
#[derive(Debug)]
struct State<V> {
    in_flight: Option<InFlight<V>>,
    /// No waiter joins the refresh in flight after this.
    overdue: Timestamp,
    last_id: u64,
    /// In a row.
    failures: u32,
    /// Until then requests get this error, and nothing is fetched.
    failure: Option<(Timestamp, Error)>,
    has_had_value: bool,
    /// No request leaves before this reading of the monotonic clock.
    not_before: u64,
    /// No request for the sake of an invalidated value leaves before this one.
    next_forced: u64,
    forced: bool,
    /// The value that was rejected, until a refresh takes the news along.
    rejected: Option<Arc<CacheEntry<V>>>,
}

impl<V> Default for State<V> {
    fn default() -> Self {
        Self {
            in_flight: None,
            overdue: Timestamp { monotonic: 0, wall: 0 },
            last_id: 0,
            failures: 0,
            failure: None,
            has_had_value: false,
            not_before: 0,
            next_forced: 0,
            forced: false,
            rejected: None,
        }
    }
}

impl<V> State<V> {
    /// The refresh to wait for, if one is in flight and not overdue.
    fn in_flight(&self, now: Timestamp) -> Option<&InFlight<V>> {
        self.in_flight.as_ref().filter(|_| now.monotonic < self.overdue.monotonic)
    }

    /// The remembered failure, while it counts.
    fn failure(&self, now: Timestamp) -> Option<&Error> {
        self.failure.as_ref().filter(|(until, _)| now.monotonic < until.monotonic).map(|(_, error)| error)
    }

    fn retry_at(&self) -> Option<Timestamp> {
        self.failure.as_ref().map(|(until, _)| *until)
    }

    /// Takes note that the refresh has ended; false when it no longer counts.
    fn end(&mut self, refresh: u64) -> bool {
        self.in_flight.take_if(|in_flight| in_flight.id == refresh).is_some()
    }

    /// Remembers the failure, until the server may be asked again, and gives that time.
    fn fail(&mut self, Failure { error, until }: &Failure, now: Timestamp, jitter: f64) -> Timestamp {
        self.failures = self.failures.saturating_add(1);
        let until = until.unwrap_or_else(|| now.after(pause_after(self.failures, error, jitter)));
        self.failure = Some((until, error.clone()));
        until
    }

    /// The value was invalidated: a refresh begun before is void, and the next one leaves at once unless another was
    /// forced a moment ago.
    fn invalidate(&mut self, value: Arc<CacheEntry<V>>, now: Timestamp) {
        self.in_flight = None;
        self.force(value);
        self.not_before = self.not_before.max(self.next_forced);
        self.next_forced = now.monotonic.max(self.not_before).saturating_add(nanos(FORCED_INTERVAL));
    }

    /// The next refresh must bring another value than this one.
    fn force(&mut self, value: Arc<CacheEntry<V>>) {
        self.forced = true;
        self.rejected = Some(value);
    }
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

    /// Puts a value in that was not fetched.
    #[cfg(feature = "test-util")]
    pub(crate) fn hold(&self, entry: CacheEntry<V>) {
        self.current.store(Some(Arc::new(entry)));
    }

    pub(crate) fn label(&self) -> &str {
        self.loader.label()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// Looks at the value, if it may be served without a closer look, without counting a reference.
    #[inline]
    pub(crate) fn with_servable<T>(&self, look: impl FnOnce(&Arc<CacheEntry<V>>) -> T) -> Option<T> {
        let current = self.current.load();
        current.as_ref().filter(|entry| entry.is_servable(&self.settings.clock)).map(look)
    }

    /// The value, if it is alive. Fetches nothing.
    pub(crate) fn peek(&self) -> Option<Arc<CacheEntry<V>>> {
        let now = self.settings.clock.now();
        self.current.load_full().filter(|entry| entry.state(now) < Stage::Dead)
    }

    /// Whether there is a live value; answers at once. A refresh that is due is begun in the background.
    pub(crate) fn is_ready(self: &Arc<Self>) -> bool {
        match self.with_servable(|_| ()) {
            Some(()) => true,
            None => matches!(self.resolve(), Resolution::Serve(_)) || self.peek().is_some(),
        }
    }

    /// Decides what a request gets, by the precise clocks, and begins a refresh where one is due.
    pub(crate) fn resolve(self: &Arc<Self>) -> Resolution<V> {
        let now = self.settings.clock.now();
        let runtime = current_runtime();
        let requested = self.rejections.take_request();
        let mut state = self.state();
        let (entry, invalidated) = self.remove_invalidated(&mut state, now);
        if requested && state.in_flight(now).is_none() {
            entry.iter().for_each(|entry| state.force(Arc::clone(entry)));
        }
        let stage = entry.as_ref().map_or(Stage::Dead, |entry| entry.state(now));
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
            (Some(entry), Stage::Mandatory) => match self.join(&mut state, now, Cause::Mandatory, &runtime) {
                Ok((in_flight, refresh)) => {
                    begun = refresh;
                    Resolution::Wait(in_flight)
                }
                Err(_) => Resolution::Serve(entry),
            },
            (dead, _) => {
                if let Some(dead) = dead {
                    // For good: a clock that is set back does not bring it to life for a service that caches it.
                    dead.recheck().invalidate();
                    self.current.store(None);
                }
                match self.join(&mut state, now, Cause::Missing, &runtime) {
                    Ok((in_flight, refresh)) => {
                        begun = refresh;
                        Resolution::Wait(in_flight)
                    }
                    Err(error) => Resolution::Refuse(error),
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
                // The runtime is shutting down; to try again here would be to try for ever.
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
            cause: if std::mem::take(&mut state.forced) { Cause::Invalidated } else { cause },
            patient: cause != Cause::Advisory && state.failures == 0,
            priority: self.settings.party == Party::Own || state.has_had_value,
            start_delay,
            rejected: state.rejected.take(),
            now,
        };
        // It may wait for a place, or for others to find out whether the server responds, as long as for a response.
        state.overdue =
            now.after(self.settings.attempt_timeout.saturating_mul(2).saturating_add(start_delay));
        let (loader, settings) = (Arc::clone(&self.loader), self.settings.clone());
        let (refresh, in_flight) = Refresh::begin(plan, loader, settings, Arc::clone(self) as _);
        state.in_flight = Some(in_flight.clone());
        Ok((in_flight, Some(refresh)))
    }

    /// The value, unless it was invalidated: then it is removed, and a refresh begun before is void. Says so.
    fn remove_invalidated(&self, state: &mut State<V>, now: Timestamp) -> (Option<Arc<CacheEntry<V>>>, bool) {
        let Some(entry) = self.current.load_full() else { return (None, false) };
        if !entry.recheck().is_invalidated() {
            return (Some(entry), false);
        }
        self.current.store(None);
        state.invalidate(entry, now);
        (None, true)
    }

    /// The value, waiting for it where need be.
    ///
    /// # Errors
    ///
    /// The failure of the refresh, or of the wait for it, when there is no live value either.
    pub(crate) async fn acquire(self: Arc<Self>) -> Result<Arc<CacheEntry<V>>, Error> {
        match self.with_servable(Arc::clone) {
            Some(entry) => Ok(entry),
            None => Arc::clone(&self).wait_for(self.resolve()).await,
        }
    }

    /// What comes of a resolution, within the time that a request waits.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub(crate) async fn wait_for(
        self: Arc<Self>,
        resolution: Resolution<V>,
    ) -> Result<Arc<CacheEntry<V>>, Error> {
        // Without timers there is no limit to the wait but the end of the refresh.
        if current_runtime().is_err() {
            return self.follow(resolution, false).await;
        }
        let waiting = self.settings.telemetry.wait(self.loader.label());
        let wait = self.settings.wait;
        let patience = if self.peek().is_some() { wait.min(OVERDUE_PATIENCE) } else { wait };
        let mut following = pin!(self.follow(resolution, true));
        if let Ok(result) = timeout(patience, following.as_mut()).await {
            waiting.ended(result.as_ref().err());
            return result;
        }
        let result = match self.peek() {
            Some(entry) => Ok(entry),
            None => timeout(wait.saturating_sub(patience), following)
                .await
                .unwrap_or_else(|_elapsed| Err(self.waited_in_vain(waiting.elapsed()))),
        };
        waiting.ended(result.as_ref().err());
        result
    }

    async fn follow(
        self: &Arc<Self>,
        mut resolution: Resolution<V>,
        timers: bool,
    ) -> Result<Arc<CacheEntry<V>>, Error> {
        let mut expired_before = false;
        loop {
            let in_flight = match resolution {
                Resolution::Serve(entry) => return Ok(entry),
                Resolution::Refuse(error) => return Err(error),
                Resolution::Wait(in_flight) => in_flight,
            };
            let id = in_flight.id;
            let outcome = match timers {
                true => in_flight.wait_while_running().await,
                false => Some(in_flight.wait().await),
            };
            match outcome {
                // A waiter that wakes late may find that the value is dead meanwhile.
                Some(Outcome::Cached(entry)) if entry.state(self.settings.clock.now()) < Stage::Dead => {
                    return Ok(entry);
                }
                Some(Outcome::Uncacheable(entry)) => return Ok(self.peek().unwrap_or(entry)),
                Some(Outcome::Failed(error)) => return self.peek().ok_or(error),
                // Once, that was a suspended machine or a clock set ahead; a server so slow is asked again by the
                // next request.
                Some(Outcome::Expired) if expired_before => return self.peek().ok_or_else(|| self.expired()),
                Some(Outcome::Expired) => expired_before = true,
                Some(Outcome::Cached(_) | Outcome::Void) => {}
                // Its runtime is not driven: this waiter's is.
                None => self.abandon(id),
            }
            resolution = self.resolve();
        }
    }

    /// Gives up a refresh whose runtime is not driven: the next request begins another, and what this one brings after
    /// all does not count.
    pub(crate) fn abandon(&self, refresh: u64) {
        self.state().end(refresh);
    }

    /// How long from now until there may be something to do: until the value must be looked at, or the failure of a
    /// refresh is forgotten.
    pub(crate) fn next_look(&self) -> Duration {
        let now = self.settings.clock.now();
        let due = self.current.load().as_ref().map(|entry| entry.recheck().due().since(now));
        let retry = || self.state().retry_at().map(|until| until.since(now));
        due.filter(|due| !due.is_zero()).or_else(retry).unwrap_or_default()
    }

    /// Sets the gauge of how long the value is alive: not at all when there is none, and not when none was asked for.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_life(&self) {
        let now = self.settings.clock.now();
        let life = self.current.load().as_ref().map(|entry| entry.remaining(now));
        let asked_for = life.is_some() || self.state().last_id > 0;
        if asked_for {
            self.settings.telemetry.expires_in(self.loader.label(), life.unwrap_or_default());
        }
    }

    /// Sets the same gauge when the slot makes room for another.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_end(&self) {
        self.settings.telemetry.expires_in(self.loader.label(), Duration::ZERO);
    }

    fn expired(&self) -> Error {
        let message = format!(
            "what came for {} had expired on the way, twice in a row; the issuer is too slow for so short a life, or \
             the clock jumps",
            self.loader.label()
        );
        Error::new(ErrorKind::Timeout, message)
    }

    /// `elapsed` is what the machine's clock says of the wait.
    fn waited_in_vain(&self, elapsed: Duration) -> Error {
        let (label, wait) = (self.loader.label(), self.settings.wait);
        let paused = match elapsed < wait / 2 {
            true => {
                "; the runtime's time ran ahead of the machine's clock: is it paused (`tokio::time::pause`)?"
            }
            false => "",
        };
        let message =
            format!("no response for {label} within {wait:?}; the fetch goes on, try again{paused}");
        Error::new(ErrorKind::Timeout, message)
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Debug + Send + Sync + 'static> Completion<V> for Slot<V> {
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
            self.recheck_if_due(now, now);
        }
    }
}

impl<V: Debug + Send + Sync + 'static> Slot<V> {
    fn publish(&self, state: &mut State<V>, loaded: Loaded<V>, watched: bool, now: Timestamp) -> Outcome<V> {
        let Loaded { value, recheck, sent, life, renewal, from_issuer, request_id: _ } = loaded;
        (state.failures, state.failure) = (0, None);
        recheck.attach(&self.rejections, watched);
        let entry =
            Arc::new(CacheEntry::new(value, Window::new(sent, life, renewal, fastrand::f64()), recheck));
        let dead = entry.state(now) == Stage::Dead;
        if dead || life < FORCED_INTERVAL {
            // No fetch loop, whatever the server hands out.
            state.not_before = now.monotonic.saturating_add(nanos(FORCED_INTERVAL));
        }
        if life.is_zero() && from_issuer {
            return Outcome::Uncacheable(entry);
        }
        if dead {
            return Outcome::Expired;
        }
        state.has_had_value = true;
        if let Some(before) = self.current.swap(Some(Arc::clone(&entry))) {
            // A service that caches the old value comes and gets the new one.
            before.recheck().invalidate();
        }
        Outcome::Cached(entry)
    }

    fn remember(&self, state: &mut State<V>, failure: Failure, now: Timestamp) -> Outcome<V> {
        // A full queue says nothing about the server or the value; the next request finds out how full it is.
        if failure.error.kind() != ErrorKind::Overloaded {
            let until = state.fail(&failure, now, fastrand::f64());
            self.recheck_if_due(until, now);
        }
        Outcome::Failed(failure.error)
    }

    fn recheck_if_due(&self, timestamp: Timestamp, now: Timestamp) {
        if let Some(entry) = self.current.load().as_ref()
            && entry.state(now) == Stage::Advisory
        {
            entry.recheck_at(timestamp.min(entry.window().mandatory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };

    fn later(millis: u64) -> Timestamp {
        NOW.after(Duration::from_millis(millis))
    }

    fn entry() -> Arc<CacheEntry<()>> {
        let window = Window::new(NOW, Duration::from_secs(60), crate::cache::window::Renewal::TwoThirds, 0.0);
        Arc::new(CacheEntry::new((), window, Arc::new(crate::cache::entry::Recheck::new())))
    }

    #[test]
    fn invalidations_in_quick_succession_force_one_fetch_a_second() {
        let mut state = State::<()>::default();
        let mut delay_after = |at: Timestamp| {
            state.invalidate(entry(), at);
            Duration::from_nanos(state.not_before.saturating_sub(at.monotonic)).as_millis()
        };
        assert_eq!([0, 100, 1_100, 60_000].map(|millis| delay_after(later(millis))), [0, 900, 900, 0]);
    }

    #[test]
    fn a_failure_is_forgotten_in_time() {
        let mut state = State::<()>::default();
        let failure = Failure::from(Error::new(ErrorKind::Unavailable, "busy"));
        let until = state.fail(&failure, NOW, 0.0);
        assert!(state.failure(NOW).is_some());
        assert!(state.failure(until).is_none());
        assert_eq!(state.failures, 1);
    }
}
