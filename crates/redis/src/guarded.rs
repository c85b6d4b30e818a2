//! A store that does no harm: each call is time-boxed, counted, and not made while the store is failing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tower_idaas::clock::{Clock, Timestamp};
use tower_idaas::{BoxFuture, Error, ErrorKind};

use crate::lock::Lock;
use crate::telemetry::Telemetry;
use crate::token_store::{StoredValue, TokenStore};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(32);

/// After a failure that waiting does not mend, such as an address that cannot be read.
const DEFINITIVE_PAUSE: Duration = Duration::from_secs(5);

/// The store was not called, or the call failed and was reported.
#[derive(Debug)]
pub(crate) struct Unreachable;

#[derive(Debug)]
pub(crate) struct GuardedStore {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) timeout: Duration,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

impl GuardedStore {
    pub(crate) async fn get(&self, name: &str) -> Result<Option<StoredValue>, Unreachable> {
        self.call("get", false, || self.store.get(name)).await
    }

    pub(crate) async fn put(
        &self,
        name: &str,
        lock: &Lock,
        value: &[u8],
        life: Duration,
    ) -> Result<bool, Unreachable> {
        self.call("put", lock.in_doubt, || self.store.put(name, &lock.owner, value, life)).await
    }

    pub(crate) async fn try_lock(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<bool, Unreachable> {
        self.call("lock", false, || self.store.try_lock(name, owner, lease)).await
    }

    pub(crate) async fn unlock(&self, name: &str, lock: &Lock) -> Result<(), Unreachable> {
        self.call("unlock", lock.in_doubt, || self.store.unlock(name, &lock.owner)).await
    }

    pub(crate) async fn remove(&self, name: &str, value: &[u8]) -> Result<bool, Unreachable> {
        self.call("remove", false, || self.store.remove(name, value)).await
    }

    /// Sets the gauge anew: when its pause is over, the breaker refuses nothing any more, without a call that would set it.
    pub(crate) fn record_state(&self) {
        if let Some(is_closed) = self.breaker.is_closed(self.clock.now()) {
            self.telemetry.breaker(is_closed);
        }
    }

    /// `forced` is for calls that are made while the circuit breaker is open: a lock that is not ended costs all other
    /// processes its lease.
    async fn call<'a, T>(
        &self,
        operation: &'static str,
        forced: bool,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, Error>>,
    ) -> Result<T, Unreachable> {
        let permit = self.breaker.permit(self.clock.now(), self.timeout);
        let permit = permit.or_else(|| forced.then(|| self.breaker.forced_permit())).ok_or(Unreachable)?;
        let called = tokio::time::timeout(self.timeout, call()).await;
        match called.unwrap_or_else(|_elapsed| Err(self.timed_out())) {
            Ok(result) => {
                if self.breaker.succeeded() {
                    self.telemetry.breaker(true);
                }
                Ok(result)
            }
            Err(error) => {
                let opened = self.breaker.failed(permit, &error, self.clock.now(), fastrand::f64());
                self.telemetry.failed(operation, &error, opened);
                Err(Unreachable)
            }
        }
    }

    fn timed_out(&self) -> Error {
        let timeout = self.timeout;
        let message = format!(
            "no response of the token store within {timeout:?}; tokens are fetched without it meanwhile"
        );
        Error::new(ErrorKind::Timeout, message)
    }
}

/// Keeps a failing store from costing each fetch its time-out.
///
/// Closed, it permits each call. A failure opens it for 1, 2, 4 … 32 seconds, each halved at most by chance. After the
/// pause it is half-open: one call is the probe, and others are not permitted for as long as that may take. A success
/// closes it. Of calls that were permitted before a failure, further failures do not count.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Moves with each failure that counts.
    epoch: u64,
    failures: u32,
    /// When the next probe is permitted, unless the breaker is closed.
    probe_at: Option<Timestamp>,
    has_succeeded: bool,
}

/// The right to call the store once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permit {
    epoch: u64,
}

impl CircuitBreaker {
    /// A permit if the breaker is closed, or for the probe.
    fn permit(&self, now: Timestamp, probe_takes: Duration) -> Option<Permit> {
        let mut state = self.state();
        if let Some(probe_at) = state.probe_at {
            if now.monotonic < probe_at.monotonic {
                return None;
            }
            state.probe_at = Some(now.after(probe_takes));
        }
        Some(Permit { epoch: state.epoch })
    }

    /// A permit in any state. A failure under it does not count.
    fn forced_permit(&self) -> Permit {
        Permit { epoch: self.state().epoch.wrapping_sub(1) }
    }

    /// Whether the next call is permitted; `None` before the first has ended.
    fn is_closed(&self, now: Timestamp) -> Option<bool> {
        let state = self.state();
        match state.probe_at {
            Some(probe_at) => Some(now.monotonic >= probe_at.monotonic),
            None => state.has_succeeded.then_some(true),
        }
    }

    /// Returns whether that is news: the first success, or one that closes the breaker.
    fn succeeded(&self) -> bool {
        let mut state = self.state();
        state.failures = 0;
        let had_succeeded = std::mem::replace(&mut state.has_succeeded, true);
        state.probe_at.take().is_some() || !had_succeeded
    }

    /// Returns whether the failure opens a closed breaker.
    fn failed(&self, permit: Permit, error: &Error, now: Timestamp, jitter: f64) -> bool {
        let mut state = self.state();
        if permit.epoch != state.epoch {
            return false;
        }
        state.epoch += 1;
        state.failures = state.failures.saturating_add(1);
        let probe_at = now.after(pause(state.failures, error, jitter));
        state.probe_at.replace(probe_at).is_none()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the store is not called after `failures` in a row, of which `error` is the last. `jitter`, from 0 to 1,
/// shortens the pause by up to half.
fn pause(failures: u32, error: &Error, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = match error.is_transient() {
        true => FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE),
        false => DEFINITIVE_PAUSE,
    };
    pause.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };
    const PROBE: Duration = Duration::from_millis(250);

    fn later(millis: u64) -> Timestamp {
        NOW.after(Duration::from_millis(millis))
    }

    fn down() -> Error {
        Error::new(ErrorKind::Connect, "down")
    }

    #[test]
    fn a_failure_opens_it_and_one_probe_finds_out() {
        let breaker = CircuitBreaker::default();
        let permit = breaker.permit(NOW, PROBE).unwrap();
        assert!(breaker.permit(NOW, PROBE).is_some());
        assert!(breaker.failed(permit, &down(), NOW, 0.0));
        assert!(breaker.permit(later(999), PROBE).is_none());
        assert!(breaker.permit(later(1_000), PROBE).is_some());
        assert!(breaker.permit(later(1_000), PROBE).is_none());
        assert!(breaker.succeeded() && !breaker.succeeded());
        assert!(breaker.permit(later(1_000), PROBE).is_some());
    }

    #[test]
    fn it_counts_as_closed_while_the_next_call_is_permitted_and_as_nothing_before_the_first() {
        let breaker = CircuitBreaker::default();
        assert_eq!(breaker.is_closed(NOW), None);
        breaker.failed(breaker.permit(NOW, PROBE).unwrap(), &down(), NOW, 0.0);
        assert_eq!([0, 999, 1_000].map(|at| breaker.is_closed(later(at))), [false, false, true].map(Some));
        // The probe is on its way.
        breaker.permit(later(1_000), PROBE).unwrap();
        assert_eq!(breaker.is_closed(later(1_000)), Some(false));
        breaker.succeeded();
        assert_eq!(breaker.is_closed(later(1_000)), Some(true));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_a_definitive_failure_pauses_for_seconds() {
        let pauses: Vec<u64> = (1..=8).map(|failures| pause(failures, &down(), 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(pause(1, &down(), 1.0), Duration::from_millis(500));
        let definitive = Error::new(ErrorKind::Credential, "no address");
        assert_eq!([1, 1000].map(|failures| pause(failures, &definitive, 0.0)), [DEFINITIVE_PAUSE; 2]);
    }

    #[test]
    fn pauses_grow_with_failures_in_a_row_and_start_anew_after_a_success() {
        let breaker = CircuitBreaker::default();
        let fail = |at| breaker.failed(breaker.permit(at, PROBE).unwrap(), &down(), at, 0.0);
        assert!(fail(NOW));
        assert!(!fail(later(1_000)));
        assert!(breaker.permit(later(2_999), PROBE).is_none());
        assert!(breaker.permit(later(3_000), PROBE).is_some());
        breaker.succeeded();
        fail(later(3_000));
        assert!(breaker.permit(later(4_000), PROBE).is_some());
    }

    #[test]
    fn a_forced_call_may_close_it_and_does_not_prolong_its_pause() {
        let breaker = CircuitBreaker::default();
        breaker.failed(breaker.permit(NOW, PROBE).unwrap(), &down(), NOW, 0.0);
        assert!(!breaker.failed(breaker.forced_permit(), &down(), later(999), 0.0));
        assert!(breaker.permit(later(1_000), PROBE).is_some());
    }

    #[test]
    fn the_first_success_is_news() {
        let breaker = CircuitBreaker::default();
        assert!(breaker.succeeded() && !breaker.succeeded());
    }

    #[test]
    fn calls_that_fail_side_by_side_are_one_failure() {
        let breaker = CircuitBreaker::default();
        let permits: Vec<_> = (0..5).map(|_| breaker.permit(NOW, PROBE).unwrap()).collect();
        let news = permits.into_iter().filter(|permit| breaker.failed(*permit, &down(), NOW, 0.0)).count();
        assert_eq!(news, 1);
        assert!(breaker.permit(later(1_000), PROBE).is_some());
    }

    #[test]
    fn a_probe_that_is_cancelled_does_not_keep_it_open() {
        let breaker = CircuitBreaker::default();
        breaker.failed(breaker.permit(NOW, PROBE).unwrap(), &down(), NOW, 0.0);
        assert!(breaker.permit(later(1_000), PROBE).is_some());
        assert!(breaker.permit(later(1_249), PROBE).is_none());
        assert!(breaker.permit(later(1_250), PROBE).is_some());
    }
}
