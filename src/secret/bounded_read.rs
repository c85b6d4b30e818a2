//! Reads with a bound on time: a file system that hangs occupies one thread for each path, and nothing else.
//!
//! A read that hangs cannot be stopped, so it has a thread of its own, which is left behind when the time is over. Until
//! it ends, further reads of the path fail at once.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// The paths that are being read. This list keeps nothing alive; it belongs to the process because a hanging file system
/// does: two handles, or two lookups one after the other, that read one path must not leave two threads behind.
static IN_FLIGHT: Mutex<Option<HashMap<PathBuf, Weak<Place>>>> = Mutex::new(None);

/// Reads `path` with `read`, one read of a path at a time. Blocks for `limit` at most; a name that is no path may stand
/// for several files that are read together.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] after the limit, or at once when an earlier read of the path has not ended within it.
pub(crate) fn bounded<T: Send + 'static>(
    path: &Path,
    limit: Duration,
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let began = Clock::System.now();
    let turn = Place::of(path).take(began, limit).ok_or(io::ErrorKind::TimedOut)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().name("idaas-file".to_owned()).spawn(move || {
        let result = read();
        // The next read of the path may begin before this result is looked at.
        drop(turn);
        let _ = sender.send(result);
    })?;
    match receiver.recv_timeout(limit.saturating_sub(Clock::System.now().since(began))) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the reading thread ended early")),
    }
}

/// A path that is read, by one thread at a time.
#[derive(Debug, Default)]
struct Place {
    /// When the read in flight began.
    reading_since: Mutex<Option<Timestamp>>,
    free: Condvar,
}

/// The right to read a path; it ends with the read, also when that panics.
struct Turn(Arc<Place>);

impl Place {
    fn of(path: &Path) -> Arc<Self> {
        let mut in_flight = IN_FLIGHT.lock().unwrap_or_else(PoisonError::into_inner);
        let places = in_flight.get_or_insert_default();
        if let Some(place) = places.get(path).and_then(Weak::upgrade) {
            return place;
        }
        places.retain(|_, place| place.strong_count() > 0);
        let place = Arc::default();
        places.insert(path.to_owned(), Arc::downgrade(&place));
        place
    }

    /// Waits until the path is not being read, for `limit` from `began` at most, and no longer than a read that is not
    /// hanging takes.
    fn take(self: Arc<Self>, began: Timestamp, limit: Duration) -> Option<Turn> {
        let mut reading_since = self.reading_since();
        loop {
            let now = Clock::System.now();
            let Some(since) = *reading_since else {
                *reading_since = Some(now);
                drop(reading_since);
                return Some(Turn(self));
            };
            let left = limit.saturating_sub(now.since(since)).min(limit.saturating_sub(now.since(began)));
            if left.is_zero() {
                return None;
            }
            let waited = self.free.wait_timeout(reading_since, left);
            reading_since = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn reading_since(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.reading_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.reading_since() = None;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);
    /// For reads that end.
    const AMPLE: Duration = Duration::from_secs(30);

    /// A file system that hangs until it is dropped, and how many reads of it were begun.
    struct Hanging {
        path: PathBuf,
        begun: Arc<AtomicUsize>,
        hangs: Option<mpsc::Sender<()>>,
        hanging: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    impl Hanging {
        fn new(name: &str) -> Self {
            let (hangs, hanging) = mpsc::channel();
            let (begun, hanging) = (Arc::default(), Arc::new(Mutex::new(hanging)));
            Self { path: PathBuf::from(name), begun, hangs: Some(hangs), hanging }
        }

        fn read(&self) -> io::Result<()> {
            let (begun, hanging) = (Arc::clone(&self.begun), Arc::clone(&self.hanging));
            bounded(&self.path, LIMIT, move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = hanging.lock().unwrap().recv();
                Ok(())
            })
        }
    }

    fn since(began: Timestamp) -> Duration {
        Clock::System.now().since(began)
    }

    #[test]
    fn a_read_that_hangs_leaves_one_thread_behind_and_is_reported_at_once_from_then_on() {
        let hanging = Hanging::new("a path that hangs");
        let began = Clock::System.now();
        assert_eq!(hanging.read().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(since(began) >= LIMIT);
        let began = Clock::System.now();
        for _ in 0..100 {
            assert_eq!(hanging.read().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        assert!(since(began) < 10 * LIMIT, "{:?}", since(began));
        assert_eq!(hanging.begun.load(Ordering::SeqCst), 1);
        // Other paths are read meanwhile.
        assert_eq!(bounded(Path::new("another path"), AMPLE, || Ok(7)).unwrap(), 7);
    }

    #[test]
    fn a_path_is_read_again_once_the_read_that_hung_has_ended() {
        let mut hanging = Hanging::new("a path that hangs for a while");
        hanging.read().unwrap_err();
        hanging.hangs = None;
        while hanging.read().is_err() {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(hanging.begun.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn callers_that_come_while_a_read_hangs_wait_no_longer_than_its_limit() {
        let hanging = Hanging::new("a path that many read");
        let began = Clock::System.now();
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| hanging.read().unwrap_err());
            }
        });
        assert!(since(began) < 10 * LIMIT, "{:?}", since(began));
        assert_eq!(hanging.begun.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_read_that_panics_is_an_error_and_the_path_can_be_read_again() {
        let path = Path::new("a path that panics");
        let panicked: io::Result<()> = bounded(path, AMPLE, || panic!("a panic of the test"));
        assert_eq!(panicked.unwrap_err().kind(), io::ErrorKind::Other);
        bounded(path, AMPLE, || Ok(())).unwrap();
    }

    #[test]
    fn paths_that_are_no_longer_read_are_forgotten() {
        for number in 0..100 {
            bounded(Path::new(&format!("path {number}")), AMPLE, || Ok(())).unwrap();
        }
        let in_flight = IN_FLIGHT.lock().unwrap();
        assert!(in_flight.as_ref().unwrap().len() < 50);
    }
}
