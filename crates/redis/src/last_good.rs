//! The last good reading of something that is read again at each use, and stands in while a later reading fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tower_idaas::Error;
use tower_idaas::clock::Timestamp;

/// For so long from the first failed reading: a file that is written anew in place is whole again by then, and a
/// lasting fault is reported.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct LastGood<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    good: Option<Arc<T>>,
    failing_since: Option<Timestamp>,
}

impl<T> Default for LastGood<T> {
    fn default() -> Self {
        Self(Mutex::new(State { good: None, failing_since: None }))
    }
}

impl<T> LastGood<T> {
    /// Keeps a good reading, which ends the failure of earlier ones.
    pub(crate) fn keep(&self, reading: Arc<T>) {
        *self.state() = State { good: Some(reading), failing_since: None };
    }

    /// The last good reading in place of one that fails now, if this is true of it.
    pub(crate) fn stand_in_if(&self, is_of_use: impl FnOnce(&T) -> bool, now: Timestamp) -> Option<Arc<T>> {
        let mut state = self.state();
        let good = state.good.clone().filter(|good| is_of_use(good))?;
        let since = *state.failing_since.get_or_insert(now);
        (now.since(since) < GRACE).then_some(good)
    }

    /// The reading, or what stands in for one that failed.
    pub(crate) fn or_stand_in(&self, reading: Result<T, Error>, now: Timestamp) -> Result<Arc<T>, Error> {
        match reading.map(Arc::new) {
            Ok(good) => {
                self.keep(Arc::clone(&good));
                Ok(good)
            }
            Err(error) => self.stand_in_if(|_| true, now).ok_or(error),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tower_idaas::ErrorKind;

    use super::*;

    const NOW: Timestamp = Timestamp { monotonic: 1_000_000_000_000, wall: 1_700_000_000_000_000_000 };

    fn torn<T>() -> Result<T, Error> {
        Err(Error::new(ErrorKind::Credential, "torn"))
    }

    #[test]
    fn a_good_reading_stands_in_briefly_and_a_lasting_fault_is_reported() {
        let last = LastGood::default();
        assert!(last.or_stand_in(torn::<u8>(), NOW).is_err());
        assert_eq!(*last.or_stand_in(Ok(1), NOW).unwrap(), 1);
        let later = NOW.after(Duration::from_secs(100));
        assert_eq!(*last.or_stand_in(torn(), later).unwrap(), 1);
        assert_eq!(*last.or_stand_in(torn(), later.after(GRACE - Duration::from_nanos(1))).unwrap(), 1);
        assert!(last.or_stand_in(torn(), later.after(GRACE)).is_err());
        // A good one begins anew.
        assert_eq!(*last.or_stand_in(Ok(2), later.after(GRACE * 2)).unwrap(), 2);
        assert_eq!(*last.or_stand_in(torn(), later.after(GRACE * 4)).unwrap(), 2);
    }
}
