//! How far a server's clock is from this machine's, as the `Date` of its responses says (RFC 9110 section 6.6.1).
//!
//! An assertion or a signature states when it was made, and the server judges it by its own clock: a machine whose
//! clock is minutes off would be refused although its key is right. But a `Date` may be a proxy's, or a cache's. So it
//! is evidence, not truth: nothing is corrected before a refusal, the next attempt is made with the time that the
//! refusal suggests, and the correction is kept only if that attempt is accepted.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use crate::error::Error;

/// A difference that servers tolerate.
const TOLERATED: Duration = Duration::from_secs(20);

/// The correction that was confirmed last.
#[derive(Debug, Default)]
pub(crate) struct Skew(AtomicI64);

/// How many nanoseconds the server's clock is ahead of this machine's; negative when it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Correction(i64);

impl Correction {
    /// This machine's time, corrected to the server's clock.
    pub(crate) fn apply(self, time: SystemTime) -> SystemTime {
        let by = Duration::from_nanos(self.0.unsigned_abs());
        let corrected = if self.0 < 0 { time.checked_sub(by) } else { time.checked_add(by) };
        corrected.filter(|time| *time >= SystemTime::UNIX_EPOCH).unwrap_or(time)
    }
}

impl Skew {
    /// The correction to begin with: none until one was confirmed.
    pub(crate) fn confirmed(&self) -> Correction {
        Correction(self.0.load(Ordering::Relaxed))
    }

    /// The correction that is worth another attempt after one with `used` was refused; `None` when the response does
    /// not show that the time was at fault. A response without a time suggests a correction of zero: this machine's
    /// clock may have been set right since `used` was confirmed.
    pub(crate) fn observe(&self, refused: &Error, used: Correction) -> Option<Correction> {
        let observed = refused.clock_offset().unwrap_or_default();
        (observed.abs_diff(used.0) > u64::try_from(TOLERATED.as_nanos()).unwrap_or(u64::MAX))
            .then_some(Correction(observed))
    }

    /// An attempt with this correction was accepted after one without it was refused.
    pub(crate) fn confirm(&self, correction: Correction) {
        self.0.store(correction.0, Ordering::Relaxed);
    }

    /// Makes an attempt, and another one with the server's time when the first is refused for its time.
    #[cfg(feature = "aliyun")]
    pub(crate) async fn corrected<T, F>(
        &self,
        blames_clock: impl Fn(&Error) -> bool,
        attempt: impl Fn(Correction) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let confirmed = self.confirmed();
        let refused = match attempt(confirmed).await {
            Err(error) if blames_clock(&error) => error,
            result => return result,
        };
        let Some(observed) = self.observe(&refused, confirmed) else { return Err(refused) };
        match attempt(observed).await {
            Ok(value) => {
                self.confirm(observed);
                Ok(value)
            }
            Err(error) if blames_clock(&error) => {
                self.discard();
                Err(refused)
            }
            Err(error) => Err(error),
        }
    }

    /// Neither the confirmed correction nor another one helps: the next attempt begins with none.
    pub(crate) fn discard(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const MINUTE: i64 = 60_000_000_000;

    fn refused(offset: Option<i64>) -> Error {
        Error::new(ErrorKind::Refused, "no").with_clock_offset(offset)
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_corrected_before_a_refusal_nor_by_one_alone() {
        let skew = Skew::default();
        let observed = skew.observe(&refused(Some(10 * MINUTE)), skew.confirmed()).unwrap();
        assert_eq!(observed.apply(at(0)), at(600));
        assert_eq!(skew.confirmed(), Correction::default());
        skew.confirm(observed);
        assert_eq!(skew.confirmed().apply(at(0)), at(600));
        skew.discard();
        assert_eq!(skew.confirmed().apply(at(1_000)), at(1_000));
    }

    #[test]
    fn a_difference_that_servers_forgive_is_none() {
        let skew = Skew::default();
        for offset in [None, Some(0), Some(MINUTE / 3), Some(-MINUTE / 3)] {
            assert_eq!(skew.observe(&refused(offset), Correction(0)), None, "{offset:?}");
        }
        assert!(skew.observe(&refused(Some(-MINUTE)), Correction(0)).is_some());
    }

    #[test]
    fn a_correction_that_no_longer_helps_is_doubted_even_if_the_response_has_no_date() {
        let skew = Skew::default();
        let used = Correction(10 * MINUTE);
        assert_eq!(skew.observe(&refused(None), used), Some(Correction(0)));
        assert_eq!(skew.observe(&refused(Some(10 * MINUTE)), used), None);
    }

    #[test]
    fn a_date_of_another_age_overflows_nothing() {
        for offset in [i64::MIN, i64::MIN + 1, i64::MAX] {
            let observed =
                Skew::default().observe(&refused(Some(offset)), Correction(-offset.saturating_add(1)));
            if let Some(observed) = observed {
                observed.apply(at(0));
                observed.apply(at(1_700_000_000));
            }
        }
    }
}
