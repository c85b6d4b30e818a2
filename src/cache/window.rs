//! When a value is fresh, advisory, mandatory and expired: arithmetic alone, no clock and no I/O.

use std::time::Duration;

use crate::clock::Timestamp;

/// A life longer than this is taken for a mistake; IDaaS grants 24 hours at most.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The life of a token for which the issuer states none.
pub(crate) const DEFAULT_LIFE: Duration = Duration::from_secs(60);

/// Taken off the end of every life: issuers count in whole seconds, and a request needs time to arrive.
const MARGIN: Duration = Duration::from_secs(1);

/// The longest stretch before the end in which requests wait for the next value.
const MANDATORY: Duration = Duration::from_secs(60);

/// Where in its life a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Served; nothing to do.
    Fresh,
    /// Served, while the next one is fetched in the background.
    Advisory,
    /// Requests wait for the next one, and are served this one if that fails.
    Mandatory,
    /// Not served.
    Expired,
}

/// When in its life a value is refreshed ahead of its end: the advisory edge of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshAhead {
    /// At two thirds of it.
    TwoThirds,
    /// This long before its end; at two thirds of a life that is not at least twice as long.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code, reason = "used by the Alibaba Cloud side"))]
    Before(Duration),
}

impl RefreshAhead {
    /// The age of a value of this life at the advisory edge. `jitter`, from 0 to 1, takes up to a fifth off two thirds
    /// of a life, or adds up to a fifth to the time before its end.
    fn of(self, life: Duration, jitter: f64) -> Duration {
        match self {
            Self::Before(before) if life / 2 >= before => {
                let before = before.mul_f64(1.0 + jitter / 5.0).min(life / 2);
                life.saturating_sub(before)
            }
            Self::Before(_) | Self::TwoThirds => (life * 2 / 3).mul_f64(1.0 - jitter / 5.0),
        }
    }
}

/// The edges of a value's life, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) advisory: Timestamp,
    pub(crate) mandatory: Timestamp,
    pub(crate) expiry: Timestamp,
}

impl Window {
    /// The window of a value that was requested at `sent` and lives for `life` from then.
    ///
    /// `jitter`, from 0 to 1, moves the advisory edge earlier, never later, so that instances started together do not
    /// refresh together.
    pub(crate) fn new(sent: Timestamp, life: Duration, refresh_ahead: RefreshAhead, jitter: f64) -> Self {
        let life = life.min(LONGEST_LIFE);
        let tenth = life / 10;
        let usable = life.saturating_sub(MARGIN.min(tenth));
        let mandatory = usable.saturating_sub(MANDATORY.min(tenth));
        let advisory = refresh_ahead.of(life, jitter.clamp(0.0, 1.0)).min(mandatory);
        Self { advisory: sent.after(advisory), mandatory: sent.after(mandatory), expiry: sent.after(usable) }
    }

    /// Whether it is the window of a life of zero.
    pub(crate) fn is_empty(&self) -> bool {
        self.advisory == self.expiry
    }

    /// The later of what the two clocks say: a suspended machine stops one, a clock set back the other.
    pub(crate) fn stage(&self, now: Timestamp) -> Stage {
        let reached = |edge: Timestamp| now.monotonic >= edge.monotonic || now.wall >= edge.wall;
        if reached(self.expiry) {
            Stage::Expired
        } else if reached(self.mandatory) {
            Stage::Mandatory
        } else if reached(self.advisory) {
            Stage::Advisory
        } else {
            Stage::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: Timestamp = Timestamp { monotonic: 5_000_000_000, wall: 1_700_000_000_000_000_000 };

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn stage_at(life: f64, age: f64) -> Stage {
        Window::new(SENT, seconds(life), RefreshAhead::TwoThirds, 0.0).stage(SENT.after(seconds(age)))
    }

    #[test]
    fn a_twenty_minute_token_is_advisory_from_two_thirds_and_mandatory_in_its_last_minute() {
        for (age, stage) in [
            (0.0, Stage::Fresh),
            (799.9, Stage::Fresh),
            (800.0, Stage::Advisory),
            (1138.9, Stage::Advisory),
            (1139.0, Stage::Mandatory),
            (1198.9, Stage::Mandatory),
            (1199.0, Stage::Expired),
            (1200.0, Stage::Expired),
        ] {
            assert_eq!(stage_at(1200.0, age), stage, "at {age} s");
        }
    }

    #[test]
    fn short_tokens_are_cached_too() {
        for life in [300.0, 5.0, 1.0, 0.2] {
            assert_eq!(stage_at(life, 0.0), Stage::Fresh);
            assert_eq!(stage_at(life, life * 0.6), Stage::Fresh);
            assert_eq!(stage_at(life, life), Stage::Expired);
        }
    }

    #[test]
    fn a_credential_of_an_hour_is_refreshed_a_quarter_of_an_hour_before_its_end_and_a_short_one_at_two_thirds()
     {
        let advisory = |life: f64| {
            let refresh_ahead = RefreshAhead::Before(seconds(900.0));
            Window::new(SENT, seconds(life), refresh_ahead, 0.0).advisory.since(SENT).as_secs()
        };
        assert_eq!([3600.0, 1800.0, 1500.0, 900.0].map(advisory), [2700, 900, 1000, 600]);
    }

    #[test]
    fn a_life_of_nothing_has_expired_at_once() {
        assert_eq!(stage_at(0.0, 0.0), Stage::Expired);
        let is_empty = |life| Window::new(SENT, life, RefreshAhead::TwoThirds, 0.0).is_empty();
        assert!(is_empty(Duration::ZERO) && !is_empty(Duration::from_millis(1)));
    }

    #[test]
    fn a_life_of_centuries_is_cut_to_the_longest_one() {
        let window = Window::new(SENT, Duration::MAX, RefreshAhead::TwoThirds, 0.0);
        assert_eq!(window.stage(SENT.after(LONGEST_LIFE)), Stage::Expired);
    }

    #[test]
    fn a_suspended_machine_and_a_clock_set_back_both_let_the_token_expire() {
        let window = Window::new(SENT, seconds(1200.0), RefreshAhead::TwoThirds, 0.0);
        let suspended = Timestamp { wall: SENT.after(seconds(7200.0)).wall, ..SENT };
        let set_back = Timestamp { monotonic: SENT.after(seconds(1200.0)).monotonic, wall: SENT.wall - 1 };
        assert_eq!(window.stage(suspended), Stage::Expired);
        assert_eq!(window.stage(set_back), Stage::Expired);
    }

    fn refresh_aheads() -> impl Strategy<Value = RefreshAhead> {
        let before = (0u64..10_000).prop_map(|seconds| RefreshAhead::Before(Duration::from_secs(seconds)));
        prop_oneof![Just(RefreshAhead::TwoThirds), before]
    }

    proptest! {
        #[test]
        fn a_value_has_expired_at_its_end_by_either_clock(
            life in 0u64..200_000_000_000_000, past in 0u64..1_000_000_000_000, jitter in -1.0f64..2.0,
            refresh_ahead in refresh_aheads(),
        ) {
            let life = Duration::from_nanos(life);
            let window = Window::new(SENT, life, refresh_ahead, jitter);
            let end = SENT.after(life.min(LONGEST_LIFE) + Duration::from_nanos(past));
            let monotonic_only = Timestamp { wall: SENT.wall, ..end };
            let wall_only = Timestamp { monotonic: SENT.monotonic, ..end };
            prop_assert_eq!(window.stage(monotonic_only), Stage::Expired);
            prop_assert_eq!(window.stage(wall_only), Stage::Expired);
        }

        #[test]
        fn jitter_lengthens_a_lead_by_a_fifth_of_it_at_most_and_never_beyond_half_of_the_life(
            life in 2u64..=86_400, share in 0.0f64..=0.5, jitter in 0.0f64..=1.0,
        ) {
            let life = Duration::from_secs(life);
            let before = life.mul_f64(share);
            let window = Window::new(SENT, life, RefreshAhead::Before(before), jitter);
            let (advisory, mandatory) = (window.advisory.since(SENT), window.mandatory.since(SENT));
            let latest = life - before;
            let earliest = latest.saturating_sub(before.mul_f64(0.200_001)).max(life / 2);
            prop_assert!(advisory <= latest && advisory >= earliest.min(mandatory));
        }

        #[test]
        fn jitter_only_moves_the_advisory_edge_earlier_and_by_a_fifth_at_most(
            life in 1u64..86_400_000, jitter in 0.0f64..=1.0, refresh_ahead in refresh_aheads(),
        ) {
            let life = Duration::from_millis(life);
            let [plain, moved] = [0.0, jitter].map(|jitter| Window::new(SENT, life, refresh_ahead, jitter));
            prop_assert!(moved.advisory.monotonic <= plain.advisory.monotonic);
            let (plain_age, moved_age) = (plain.advisory.since(SENT), moved.advisory.since(SENT));
            prop_assert!(moved_age + Duration::from_nanos(1) >= plain_age.mul_f64(0.799_999));
            prop_assert_eq!(plain.expiry, moved.expiry);
        }

        #[test]
        fn stages_only_move_forward(
            life in 0u64..100_000_000,
            mut ages in prop::collection::vec(0u64..100_000_000, 2..20),
            refresh_ahead in refresh_aheads(),
        ) {
            ages.sort_unstable();
            let window = Window::new(SENT, Duration::from_micros(life), refresh_ahead, 0.5);
            let stages: Vec<Stage> =
                ages.iter().map(|age| window.stage(SENT.after(Duration::from_micros(*age)))).collect();
            prop_assert!(stages.is_sorted());
        }
    }
}
