//! When a value is fresh, due, overdue and dead: arithmetic alone, no clock and no I/O.

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
pub(crate) enum State {
    /// Served; nothing to do.
    Fresh,
    /// Served, while the next one is fetched in the background.
    Advisory,
    /// Requests wait for the next one, and are served this one if that fails.
    Mandatory,
    /// Not served.
    Dead,
}

/// When in its life a value is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// At two thirds of it.
    TwoThirds,
    /// This long before its end; at two thirds of a life that is not at least twice as long.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code, reason = "used by the Alibaba Cloud side"))]
    Before(Duration),
}

impl Renewal {
    /// The age at which a value of this life is due. `jitter`, from 0 to 1, takes up to a fifth off two thirds of a
    /// life, or adds up to a fifth to the time before its end.
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
    pub(crate) dead: Timestamp,
}

impl Window {
    /// The window of a value that was requested at `sent` and lives for `life` from then.
    ///
    /// `jitter`, from 0 to 1, moves the advisory edge earlier, never later, so that instances started together do not
    /// refresh together.
    pub(crate) fn new(sent: Timestamp, life: Duration, renewal: Renewal, jitter: f64) -> Self {
        let life = life.min(LONGEST_LIFE);
        let tenth = life / 10;
        let usable = life.saturating_sub(MARGIN.min(tenth));
        let mandatory = usable.saturating_sub(MANDATORY.min(tenth));
        let advisory = renewal.of(life, jitter.clamp(0.0, 1.0)).min(mandatory);
        Self { advisory: sent.after(advisory), mandatory: sent.after(mandatory), dead: sent.after(usable) }
    }

    /// The later of what the two clocks say: a suspended machine stops one, a clock set back the other.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        let reached = |edge: Timestamp| now.monotonic >= edge.monotonic || now.wall >= edge.wall;
        if reached(self.dead) {
            State::Dead
        } else if reached(self.mandatory) {
            State::Mandatory
        } else if reached(self.advisory) {
            State::Advisory
        } else {
            State::Fresh
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

    fn state_at(life: f64, age: f64) -> State {
        Window::new(SENT, seconds(life), Renewal::TwoThirds, 0.0).state(SENT.after(seconds(age)))
    }

    #[test]
    fn a_twenty_minute_token_is_due_at_two_thirds_and_overdue_in_its_last_minute() {
        for (age, state) in [
            (0.0, State::Fresh),
            (799.9, State::Fresh),
            (800.0, State::Advisory),
            (1138.9, State::Advisory),
            (1139.0, State::Mandatory),
            (1198.9, State::Mandatory),
            (1199.0, State::Dead),
            (1200.0, State::Dead),
        ] {
            assert_eq!(state_at(1200.0, age), state, "at {age} s");
        }
    }

    #[test]
    fn short_tokens_are_cached_too() {
        for life in [300.0, 5.0, 1.0, 0.2] {
            assert_eq!(state_at(life, 0.0), State::Fresh);
            assert_eq!(state_at(life, life * 0.6), State::Fresh);
            assert_eq!(state_at(life, life), State::Dead);
        }
    }

    #[test]
    fn a_credential_of_an_hour_is_due_a_quarter_of_an_hour_before_its_end_and_a_short_one_at_two_thirds() {
        let due = |life: f64| {
            let renewal = Renewal::Before(seconds(900.0));
            Window::new(SENT, seconds(life), renewal, 0.0).advisory.since(SENT).as_secs()
        };
        assert_eq!([due(3600.0), due(1800.0), due(1500.0), due(900.0)], [2700, 900, 1000, 600]);
    }

    #[test]
    fn a_life_of_nothing_is_dead_at_once() {
        assert_eq!(state_at(0.0, 0.0), State::Dead);
    }

    #[test]
    fn a_life_of_centuries_is_cut_to_the_longest_one() {
        let window = Window::new(SENT, Duration::MAX, Renewal::TwoThirds, 0.0);
        assert_eq!(window.state(SENT.after(LONGEST_LIFE)), State::Dead);
    }

    #[test]
    fn a_suspended_machine_and_a_clock_set_back_both_leave_the_token_dead() {
        let window = Window::new(SENT, seconds(1200.0), Renewal::TwoThirds, 0.0);
        let suspended = Timestamp { wall: SENT.after(seconds(7200.0)).wall, ..SENT };
        let set_back = Timestamp { monotonic: SENT.after(seconds(1200.0)).monotonic, wall: SENT.wall - 1 };
        assert_eq!(window.state(suspended), State::Dead);
        assert_eq!(window.state(set_back), State::Dead);
    }

    fn renewals() -> impl Strategy<Value = Renewal> {
        let before = (0u64..10_000).prop_map(|seconds| Renewal::Before(Duration::from_secs(seconds)));
        prop_oneof![Just(Renewal::TwoThirds), before]
    }

    proptest! {
        #[test]
        fn never_alive_at_expiry_by_either_clock(
            life in 0u64..200_000_000_000_000, past in 0u64..1_000_000_000_000, jitter in -1.0f64..2.0,
            renewal in renewals(),
        ) {
            let life = Duration::from_nanos(life);
            let window = Window::new(SENT, life, renewal, jitter);
            let end = SENT.after(life.min(LONGEST_LIFE) + Duration::from_nanos(past));
            let monotonic_only = Timestamp { wall: SENT.wall, ..end };
            let wall_only = Timestamp { monotonic: SENT.monotonic, ..end };
            prop_assert_eq!(window.state(monotonic_only), State::Dead);
            prop_assert_eq!(window.state(wall_only), State::Dead);
        }

        #[test]
        fn jitter_lengthens_a_lead_by_a_fifth_of_it_at_most_and_never_beyond_half_of_the_life(
            life in 2u64..=86_400, share in 0.0f64..=0.5, jitter in 0.0f64..=1.0,
        ) {
            let life = Duration::from_secs(life);
            let before = life.mul_f64(share);
            let window = Window::new(SENT, life, Renewal::Before(before), jitter);
            let (due, overdue) = (window.advisory.since(SENT), window.mandatory.since(SENT));
            let latest = life - before;
            let earliest = latest.saturating_sub(before.mul_f64(0.200_001)).max(life / 2);
            prop_assert!(due <= latest && due >= earliest.min(overdue));
        }

        #[test]
        fn jitter_only_moves_the_advisory_edge_earlier_and_by_a_fifth_at_most(
            life in 1u64..86_400_000, jitter in 0.0f64..=1.0, renewal in renewals(),
        ) {
            let life = Duration::from_millis(life);
            let (plain, moved) = (Window::new(SENT, life, renewal, 0.0), Window::new(SENT, life, renewal, jitter));
            prop_assert!(moved.advisory.monotonic <= plain.advisory.monotonic);
            let (plain_age, moved_age) = (plain.advisory.since(SENT), moved.advisory.since(SENT));
            prop_assert!(moved_age + Duration::from_nanos(1) >= plain_age.mul_f64(0.799_999));
            prop_assert_eq!(plain.dead, moved.dead);
        }

        #[test]
        fn states_only_move_forward(
            life in 0u64..100_000_000,
            mut ages in prop::collection::vec(0u64..100_000_000, 2..20),
            renewal in renewals(),
        ) {
            ages.sort_unstable();
            let window = Window::new(SENT, Duration::from_micros(life), renewal, 0.5);
            let states: Vec<State> =
                ages.iter().map(|age| window.state(SENT.after(Duration::from_micros(*age)))).collect();
            prop_assert!(states.is_sorted());
        }
    }
}
