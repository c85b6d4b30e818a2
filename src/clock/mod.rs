//! The only place that reads a clock.
//!
//! A token's life is measured on two clocks at once: setting the wall clock back does not affect the monotonic one, and
//! suspending the machine does not stop the wall clock.

#[cfg(feature = "test-util")]
mod manual;

use std::time::{Duration, SystemTime};

#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub use self::manual::ManualClock;

/// A reading of both clocks, in nanoseconds: since an arbitrary origin, and since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// The monotonic clock, since an arbitrary origin.
    pub monotonic: u64,
    /// The wall clock, since the Unix epoch.
    pub wall: u64,
}

impl Timestamp {
    /// Both readings moved ahead; saturates instead of overflowing.
    pub fn after(self, duration: Duration) -> Self {
        let nanos = nanos(duration);
        Self { monotonic: self.monotonic.saturating_add(nanos), wall: self.wall.saturating_add(nanos) }
    }

    /// Both readings moved back; `None` before a clock's origin.
    pub fn before(self, duration: Duration) -> Option<Self> {
        let nanos = nanos(duration);
        Some(Self { monotonic: self.monotonic.checked_sub(nanos)?, wall: self.wall.checked_sub(nanos)? })
    }

    /// The earlier reading of each clock.
    pub(crate) fn min(self, other: Self) -> Self {
        Self { monotonic: self.monotonic.min(other.monotonic), wall: self.wall.min(other.wall) }
    }

    /// The later reading of each clock.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { monotonic: self.monotonic.max(other.monotonic), wall: self.wall.max(other.wall) }
    }

    /// The time since `earlier` on the monotonic clock; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.monotonic.saturating_sub(earlier.monotonic))
    }

    /// The wall clock's reading as a type of the standard library.
    pub fn system_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.wall)
    }

    /// Whole seconds of the wall clock since the Unix epoch.
    pub fn unix_seconds(self) -> u64 {
        self.wall / 1_000_000_000
    }
}

/// A duration in whole nanoseconds; longer ones saturate at five centuries.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The source of the time: the machine, or a test.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The clocks of the machine.
    #[default]
    System,
    #[cfg(feature = "test-util")]
    /// A clock set by a test.
    Manual(ManualClock),
}

impl Clock {
    /// Whether the coarse clocks return the same reading many times in a row, so that caching one pays.
    pub(crate) const HAS_TICKS: bool = cfg!(target_os = "linux");

    /// Both clocks, to the nanosecond.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system::now(),
            #[cfg(feature = "test-util")]
            Self::Manual(clock) => clock.now(),
        }
    }

    /// Returns when this much time has passed on the monotonic clock. Needs a Tokio runtime.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => tokio::time::sleep(duration).await,
            #[cfg(feature = "test-util")]
            Self::Manual(clock) => clock.sleep(duration).await,
        }
    }

    /// The monotonic clock for the hit path: up to one scheduler tick (about 4 ms) behind [`now`](Self::now).
    ///
    /// Precise enough for "is it time to look closer?", but not for "is it still live?".
    #[inline]
    pub(crate) fn coarse_monotonic(&self) -> u64 {
        match self {
            Self::System => system::coarse_monotonic(),
            #[cfg(feature = "test-util")]
            Self::Manual(clock) => clock.now().monotonic,
        }
    }

    /// The wall clock for the hit path; as coarse as [`coarse_monotonic`](Self::coarse_monotonic).
    #[inline]
    pub(crate) fn coarse_wall(&self) -> u64 {
        match self {
            Self::System => system::coarse_wall(),
            #[cfg(feature = "test-util")]
            Self::Manual(clock) => clock.now().wall,
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::time::{ClockId, clock_gettime};

    use super::Timestamp;

    pub(super) fn now() -> Timestamp {
        Timestamp { monotonic: read(ClockId::Monotonic), wall: read(ClockId::Realtime) }
    }

    #[inline]
    pub(super) fn coarse_monotonic() -> u64 {
        read(ClockId::MonotonicCoarse)
    }

    #[inline]
    pub(super) fn coarse_wall() -> u64 {
        read(ClockId::RealtimeCoarse)
    }

    /// A time before the origin reads as the origin.
    #[inline]
    fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    #![allow(clippy::disallowed_methods)] // the one place that may

    use std::sync::LazyLock;
    use std::time::{Instant, SystemTime};

    use super::{Timestamp, nanos};

    /// `Instant` has no epoch: the first reading serves as one.
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn now() -> Timestamp {
        Timestamp { monotonic: coarse_monotonic(), wall: coarse_wall() }
    }

    pub(super) fn coarse_monotonic() -> u64 {
        nanos(Instant::now().saturating_duration_since(*ORIGIN))
    }

    pub(super) fn coarse_wall() -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clocks_follow_the_precise_ones_from_behind() {
        const LAG: u64 = 1_000_000_000;
        let clock = Clock::System;
        for _ in 0..1_000 {
            let before = clock.now();
            let coarse = (clock.coarse_monotonic(), clock.coarse_wall());
            let after = clock.now();
            assert!(coarse.0 <= after.monotonic);
            assert!(coarse.0 + LAG >= before.monotonic);
            // A wall clock that was set meanwhile proves nothing.
            if before.wall <= after.wall && after.wall - before.wall < LAG {
                assert!((before.wall - LAG..=after.wall).contains(&coarse.1));
            }
        }
    }

    #[test]
    fn a_timestamp_past_the_end_of_time_stops_there() {
        let timestamp = Timestamp { monotonic: 5, wall: 7 }.after(Duration::MAX);
        assert_eq!((timestamp.monotonic, timestamp.wall), (u64::MAX, u64::MAX));
    }
}
