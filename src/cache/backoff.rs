//! How long to wait after a failure: arithmetic alone, no clock and no I/O.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after transient failures. Jitter halves it at most, so a dead issuer gets four requests a minute
/// at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(32);

/// A definitive failure is remembered for this long: short enough that a mended secret is found soon.
const DEFINITIVE_PAUSE: Duration = Duration::from_secs(5);

/// The pause after a failure to read something on this machine: a half-written file is complete soon after. Jitter
/// halves it at most.
const LOCAL_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that a server may request.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// The pause before the second attempt of one refresh; the third waits twice as long.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How many attempts one refresh makes when requests wait for it and nothing has failed before.
pub(crate) const ATTEMPTS: u32 = 3;

/// A refresh that is older than this makes no further attempt.
pub(crate) const RETRY_BUDGET: Duration = Duration::from_secs(2);

/// How much longer than its last attempt's time-outs a refresh can take: the attempts before, and a margin for a busy
/// machine.
pub(crate) const BEYOND_TIMEOUTS: Duration = Duration::from_secs(5);

/// The pause after the `failures`th failure in a row, with `error`.
///
/// `jitter`, from 0 to 1, shortens the pause by up to half, but never below what the server requests.
pub(crate) fn pause_after(failures: u32, error: &Error, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let chosen = match error.is_transient() {
        true if error.kind() == ErrorKind::Credential => LOCAL_PAUSE,
        true => FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE),
        false => DEFINITIVE_PAUSE,
    };
    let chosen = chosen.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
    chosen.max(retry_after(error).unwrap_or_default())
}

/// The pause that the server requests, up to a limit; none after a refusal, which waiting does not mend.
pub(crate) fn retry_after(error: &Error) -> Option<Duration> {
    error.retry_after().filter(|_| error.is_transient()).map(|requested| requested.min(LONGEST_RETRY_AFTER))
}

/// The pause before the next attempt within one refresh, after `attempt` of them. `jitter` shortens it by up to half.
pub(crate) fn pause_between_attempts(attempt: u32, jitter: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    RETRY_PAUSE.saturating_mul(1 << doublings).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transient() -> Error {
        Error::new(ErrorKind::Unavailable, "busy")
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<u64> =
            (1..=8).map(|failures| pause_after(failures, &transient(), 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 32, 32]);
    }

    #[test]
    fn a_definitive_failure_is_remembered_for_seconds_however_often_it_comes() {
        let refused = Error::new(ErrorKind::Refused, "no");
        assert_eq!(pause_after(1, &refused, 0.0), DEFINITIVE_PAUSE);
        assert_eq!(pause_after(1_000, &refused, 0.0), DEFINITIVE_PAUSE);
        let requested = refused.with_retry_after(Duration::from_secs(300));
        assert_eq!(pause_after(1, &requested, 0.0), DEFINITIVE_PAUSE);
    }

    #[test]
    fn a_local_fault_that_may_pass_is_tried_again_within_200_ms_however_often_it_comes() {
        let torn = Error::new(ErrorKind::Credential, "empty").with_transient(true);
        for failures in [1, 10, 1_000] {
            assert_eq!(pause_after(failures, &torn, 0.0), Duration::from_millis(200));
            assert_eq!(pause_after(failures, &torn, 1.0), Duration::from_millis(100));
        }
    }

    #[test]
    fn retry_after_is_honoured_and_capped() {
        let requested = |seconds| transient().with_retry_after(Duration::from_secs(seconds));
        assert_eq!(pause_after(1, &requested(60), 1.0), Duration::from_secs(60));
        assert_eq!(pause_after(1, &requested(86_400), 1.0), Duration::from_secs(300));
        assert_eq!(pause_after(1, &requested(0), 0.0), FIRST_PAUSE);
    }

    #[test]
    fn the_attempts_of_one_refresh_are_200_and_400_ms_apart_and_half_of_that_with_full_jitter() {
        let pauses = |jitter| [1, 2].map(|attempt| pause_between_attempts(attempt, jitter).as_millis());
        assert_eq!([pauses(0.0), pauses(0.5), pauses(1.0)], [[200, 400], [150, 300], [100, 200]]);
    }

    /// Requests that a dead server gets from one process in `seconds`, when each fails at once.
    fn requests_within(seconds: u64, jitter: f64) -> u32 {
        let (mut now, mut failures, mut requests) = (Duration::ZERO, 0, ATTEMPTS - 1);
        while now < Duration::from_secs(seconds) {
            failures += 1;
            requests += 1;
            now += pause_after(failures, &transient(), jitter);
        }
        requests
    }

    proptest! {
        #[test]
        fn a_dead_issuer_gets_twenty_requests_in_the_first_minute_at_most_and_then_four_a_minute(
            jitter in 0.0f64..=1.0,
        ) {
            let (first, hour) = (requests_within(60, jitter), requests_within(3600, jitter));
            prop_assert!(first <= 20, "{first} in the first minute");
            prop_assert!(hour - first <= 59 * 4, "{hour} in the first hour");
        }

        #[test]
        fn nothing_overflows(failures in any::<u32>(), jitter in any::<f64>(), requested in any::<u64>()) {
            let error = transient().with_retry_after(Duration::from_secs(requested));
            prop_assert!(pause_after(failures, &error, jitter) <= LONGEST_RETRY_AFTER);
            pause_between_attempts(failures, jitter);
        }
    }
}
