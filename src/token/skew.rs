//! How far the issuer's clock is from this machine's, as the `Date` of its answers tells (RFC 9110
//! section 6.6.1).
//!
//! An assertion says when it was made and when it ends, and the issuer judges both by its own clock: a
//! machine whose clock is minutes off would be refused although its key is right.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Nanoseconds that the issuer's clock is ahead; negative when it is behind. Zero until it has answered.
#[derive(Debug, Default)]
pub(crate) struct Skew(AtomicI64);

/// `Date` is cut to whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

impl Skew {
    /// Learns from an answer that was stamped `date` somewhen between `sent` and `received`.
    ///
    /// What the way and the missing fraction of a second may explain is not skew: the clock of a machine
    /// that keeps time is left alone. One that does not is set to a time that is just past for the issuer,
    /// because an assertion from its future is refused.
    pub(crate) fn learn(&self, date: SystemTime, sent: SystemTime, received: SystemTime) {
        let late = sent.duration_since(date).unwrap_or_default();
        let agrees = date <= received && late <= RESOLUTION;
        let skew = match date.duration_since(received) {
            _ if agrees => 0,
            Ok(ahead) => signed(ahead),
            Err(behind) => -signed(behind.duration()),
        };
        self.0.store(skew, Ordering::Relaxed);
    }

    /// This machine's time as the issuer would tell it.
    pub(crate) fn correct(&self, time: SystemTime) -> SystemTime {
        let skew = self.0.load(Ordering::Relaxed);
        let by = Duration::from_nanos(skew.unsigned_abs());
        let corrected = if skew < 0 { time.checked_sub(by) } else { time.checked_add(by) };
        corrected.unwrap_or(time)
    }
}

fn signed(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(millis)
    }

    fn corrected(date: u64, sent: u64, received: u64) -> SystemTime {
        let skew = Skew::default();
        skew.learn(at(date), at(sent), at(received));
        skew.correct(at(1_000_000))
    }

    #[test]
    fn a_clock_that_keeps_time_is_left_alone_however_long_the_answer_takes() {
        assert_eq!(corrected(5_000, 5_900, 6_100), at(1_000_000));
        assert_eq!(corrected(6_000, 5_900, 6_100), at(1_000_000));
        assert_eq!(corrected(9_000, 5_900, 35_900), at(1_000_000));
    }

    #[test]
    fn a_clock_that_is_off_is_corrected() {
        assert_eq!(corrected(605_000, 4_900, 5_100), at(1_599_900));
        assert_eq!(corrected(5_000, 605_900, 606_100), at(398_900));
    }

    #[test]
    fn a_later_answer_corrects_the_correction() {
        let skew = Skew::default();
        skew.learn(at(605_000), at(4_900), at(5_100));
        skew.learn(at(7_000), at(6_900), at(7_100));
        assert_eq!(skew.correct(at(0)), at(0));
    }

    #[test]
    fn a_date_of_another_age_overflows_nothing() {
        for date in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799)] {
            let skew = Skew::default();
            skew.learn(date, at(0), at(1));
            skew.correct(at(0));
            skew.correct(SystemTime::UNIX_EPOCH);
        }
    }

    proptest! {
        #[test]
        fn a_corrected_time_is_never_in_the_issuers_future_nor_further_past_than_the_way_and_a_second(
            offset in -86_400_000i64..86_400_000, sent in 100_000_000u64..200_000_000,
            to in 0u64..30_000, back in 0u64..30_000,
        ) {
            let stamped = (sent + to).saturating_add_signed(offset);
            let date = stamped - stamped % 1000;
            let skew = Skew::default();
            skew.learn(at(date), at(sent), at(sent + to + back));
            let corrected = skew.correct(at(sent + to));
            let way = Duration::from_millis(to + back);
            let alone = skew.correct(at(0)) == at(0);
            prop_assert!(alone || corrected <= at(stamped));
            prop_assert!(corrected + RESOLUTION + way >= at(stamped));
        }
    }
}
