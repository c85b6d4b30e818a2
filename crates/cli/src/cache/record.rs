//! The content of a sealed file: what was fetched, and when.

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What is left of a life when the cache no longer stands in for IDaaS, at most.
const LONGEST_REST: Duration = Duration::from_secs(60);

#[derive(Deserialize, Serialize)]
pub(super) struct Record<T> {
    pub(super) requested_at: SystemTime,
    pub(super) expires_at: SystemTime,
    pub(super) value: T,
}

impl<T: Serialize> Record<T> {
    pub(super) fn write(&self) -> Option<Zeroizing<Vec<u8>>> {
        serde_json::to_vec(self).ok().map(Zeroizing::new)
    }
}

impl<T: DeserializeOwned> Record<T> {
    /// `None` for what another version has written.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

impl<T> Record<T> {
    /// Whether it is used instead of a new one: in the first two thirds of its life, as in a service.
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        self.times(now).is_some_and(|(life, age)| age < life / 3 * 2)
    }

    /// Whether it can stand in while IDaaS does not respond.
    pub(super) fn is_usable(&self, now: SystemTime) -> bool {
        self.times(now).is_some_and(|(life, age)| life.saturating_sub(age) > LONGEST_REST.min(life / 10))
    }

    /// Life and age. `None` when the wall clock was set back since, after which nothing is known of its age.
    fn times(&self, now: SystemTime) -> Option<(Duration, Duration)> {
        let life = self.expires_at.duration_since(self.requested_at).ok()?;
        Some((life, now.duration_since(self.requested_at).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is fresh and usable so many seconds after it was requested.
    fn state(life: u64, age: i64) -> (bool, bool) {
        let requested_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let record = Record { requested_at, expires_at: requested_at + Duration::from_secs(life), value: () };
        let difference = Duration::from_secs(age.unsigned_abs());
        let now = if age < 0 { requested_at - difference } else { requested_at + difference };
        (record.is_fresh(now), record.is_usable(now))
    }

    #[test]
    fn it_is_fresh_for_two_thirds_of_its_life_and_stands_in_nearly_to_its_end() {
        assert_eq!(state(1_200, 0), (true, true));
        assert_eq!(state(1_200, 799), (true, true));
        assert_eq!(state(1_200, 800), (false, true));
        assert_eq!(state(1_200, 1_139), (false, true));
        assert_eq!(state(1_200, 1_140), (false, false));
        assert_eq!(state(30, 26), (false, true));
        assert_eq!(state(30, 27), (false, false));
        assert_eq!(state(1_200, 9_999), (false, false));
        assert_eq!(state(0, 0), (false, false));
    }

    #[test]
    fn after_the_clock_was_set_back_it_is_not_used() {
        assert_eq!(state(1_200, -1), (false, false));
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else_is() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let record = Record { requested_at: now, expires_at: now, value: "text".to_owned() };
        let text = record.write().unwrap();
        let read = Record::<String>::read(&text).unwrap();
        assert_eq!((read.requested_at, read.value.as_str()), (now, "text"));
        assert!(Record::<u64>::read(&text).is_none() && Record::<String>::read(b"{}").is_none());
    }
}
