//! The content of a sealed file: what was fetched, and when.

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What is left of a life when the cache no longer stands in for IDaaS, at most.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// From a failed fetch to the next one, while the value can be used.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

#[derive(Deserialize, Serialize)]
pub(super) struct Record<T> {
    pub(super) requested_at: SystemTime,
    pub(super) expires_at: SystemTime,
    /// After a failed fetch: when the next one is due.
    pub(super) retry_at: Option<SystemTime>,
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
    /// Whether it is used without a fetch: while it is fresh, and for a while after a fetch has failed.
    pub(super) fn is_served(&self, now: SystemTime) -> bool {
        // A time further away was written before the wall clock was set back.
        let left = self.retry_at.and_then(|retry_at| retry_at.duration_since(now).ok());
        let is_put_off = left.is_some_and(|left| !left.is_zero() && left <= RETRY_INTERVAL);
        self.is_fresh(now) || is_put_off && self.is_usable(now)
    }

    /// After a failed fetch.
    pub(super) fn put_off_fetch(&mut self, now: SystemTime) {
        self.retry_at = Some(now + RETRY_INTERVAL);
    }

    /// In the first two thirds of its life, as in a service.
    fn is_fresh(&self, now: SystemTime) -> bool {
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
        let expires_at = requested_at + Duration::from_secs(life);
        let record = Record { requested_at, expires_at, retry_at: None, value: () };
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
    fn after_a_failed_fetch_it_is_served_until_the_next_one_is_due_or_its_own_end() {
        let requested_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let at = |age| requested_at + Duration::from_secs(age);
        let served = |failed_at, age| {
            let mut record = Record { requested_at, expires_at: at(1_200), retry_at: None, value: () };
            record.put_off_fetch(at(failed_at));
            record.is_served(at(age))
        };
        assert_eq!([900, 929, 930].map(|age| served(900, age)), [true, true, false]);
        assert_eq!([1_139, 1_140].map(|age| served(1_120, age)), [true, false]);
        assert!(!served(1_000, 900), "the clock was set back");
    }

    #[test]
    fn after_the_clock_was_set_back_it_is_not_used() {
        assert_eq!(state(1_200, -1), (false, false));
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else_is() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let record =
            Record { requested_at: now, expires_at: now, retry_at: Some(now), value: "text".to_owned() };
        let text = record.write().unwrap();
        let read = Record::<String>::read(&text).unwrap();
        assert_eq!((read.requested_at, read.retry_at, read.value.as_str()), (now, Some(now), "text"));
        assert!(Record::<u64>::read(&text).is_none() && Record::<String>::read(b"{}").is_none());
    }
}
