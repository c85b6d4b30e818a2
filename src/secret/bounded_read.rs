//! Reads with a bound on time: a file system that hangs occupies one thread for each path, and nothing else.
//!
//! A read that hangs cannot be stopped, so it has a thread of its own, which is left behind when the time is over. Until
//! it ends, further reads of the path fail at once.
//!
//! Callers that come meanwhile wait, and share the next read, which begins after they came: hundreds of handles with one
//! file wait for two reads, and each gets what the file holds then.

use std::any::Any;
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
static IN_FLIGHT: Mutex<Option<HashMap<PathBuf, Weak<PathLock>>>> = Mutex::new(None);

/// Reads `path` with `read`, one read of a path at a time. Blocks for `limit` at most; a name that is no path may stand
/// for several files that are read together. `read` gets `known`, what the caller knows of the path; the result is
/// shared with those callers that wait and know the same.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] after the limit, or at once when an earlier read of the path has not ended within it.
pub(crate) fn bounded<K, T>(
    path: &Path,
    known: K,
    limit: Duration,
    read: impl FnOnce(&K) -> io::Result<T> + Send + 'static,
) -> io::Result<T>
where
    K: PartialEq + Send + 'static,
    T: Clone + Send + 'static,
{
    let began = Clock::System.now();
    let permit = match PathLock::of(path).acquire(&known, began, limit) {
        Admission::Read(permit) => permit,
        Admission::Shared(result) => return result,
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().name("idaas-file".to_owned()).spawn(move || {
        let result = read(&known);
        // The next read of the path may begin before this result is looked at.
        permit.end(Ended { known, result: shareable(&result) });
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
struct PathLock {
    reads: Mutex<Reads>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct Reads {
    /// How many have begun.
    begun: u64,
    /// When the read in flight began.
    reading_since: Option<Timestamp>,
    /// The last that has ended: its number, and an [`Ended`].
    ended: Option<(u64, Box<dyn Any + Send>)>,
}

/// What a read has brought, for the callers that waited.
struct Ended<K, T> {
    known: K,
    result: io::Result<T>,
}

/// What a caller gets that waits for a path.
enum Admission<T> {
    Read(ReadPermit),
    /// The result of a read that began after the caller came, or the end of its time.
    Shared(io::Result<T>),
}

/// The permission to read a path; it ends with the read, also when that panics.
struct ReadPermit(Arc<PathLock>);

impl PathLock {
    fn of(path: &Path) -> Arc<Self> {
        let mut in_flight = IN_FLIGHT.lock().unwrap_or_else(PoisonError::into_inner);
        let locks = in_flight.get_or_insert_default();
        if let Some(lock) = locks.get(path).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(path.to_owned(), Arc::downgrade(&lock));
        lock
    }

    /// Waits until the path is not being read, for `limit` from `began` at most, and no longer than a read that is not
    /// hanging takes.
    fn acquire<K, T>(self: Arc<Self>, known: &K, began: Timestamp, limit: Duration) -> Admission<T>
    where
        K: PartialEq + 'static,
        T: Clone + 'static,
    {
        let mut reads = self.reads();
        let begun_before = reads.begun;
        loop {
            if let Some((number, ended)) = &reads.ended
                && *number > begun_before
                && let Some(ended) = ended.downcast_ref::<Ended<K, T>>()
                && ended.known == *known
            {
                return Admission::Shared(shareable(&ended.result));
            }
            let now = Clock::System.now();
            let Some(since) = reads.reading_since else {
                reads.begun += 1;
                reads.reading_since = Some(now);
                drop(reads);
                return Admission::Read(ReadPermit(self));
            };
            let left = limit.saturating_sub(now.since(since)).min(limit.saturating_sub(now.since(began)));
            if left.is_zero() {
                return Admission::Shared(Err(io::ErrorKind::TimedOut.into()));
            }
            let waited = self.free.wait_timeout(reads, left);
            reads = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadPermit {
    /// Ends the read with what it has brought.
    fn end<K: Send + 'static, T: Send + 'static>(self, ended: Ended<K, T>) {
        let ended: Box<dyn Any + Send> = Box::new(ended);
        let mut reads = self.0.reads();
        let number = reads.begun;
        let replaced = reads.ended.replace((number, ended));
        drop(reads);
        drop(replaced);
    }
}

impl Drop for ReadPermit {
    fn drop(&mut self) {
        self.0.reads().reading_since = None;
        // Those that share the result leave; one of the others reads next.
        self.0.free.notify_all();
    }
}

/// The same result. An error keeps its code or its kind.
fn shareable<T: Clone>(result: &io::Result<T>) -> io::Result<T> {
    match result {
        Ok(content) => Ok(content.clone()),
        Err(cause) => Err(match cause.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => cause.kind().into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
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
            bounded(&self.path, (), LIMIT, move |()| {
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
        assert_eq!(bounded(Path::new("another path"), (), AMPLE, |()| Ok(7)).unwrap(), 7);
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
    fn hundreds_that_read_one_path_share_reads_and_none_of_a_slow_file_system_takes_it_for_one_that_hangs() {
        const CALLERS: usize = 300;
        const READ: Duration = Duration::from_millis(10);
        const LIMIT: Duration = Duration::from_secs(2);
        let path = Path::new("a path of a slow file system");
        for result in [Ok(7), Err(io::ErrorKind::NotFound)] {
            let (count, start) = (Arc::new(AtomicUsize::new(0)), &Barrier::new(CALLERS));
            thread::scope(|scope| {
                for _ in 0..CALLERS {
                    let count = Arc::clone(&count);
                    scope.spawn(move || {
                        start.wait();
                        let read = bounded(path, (), LIMIT, move |()| {
                            count.fetch_add(1, Ordering::SeqCst);
                            thread::sleep(READ);
                            Ok(result?)
                        });
                        assert_eq!(read.map_err(|cause| cause.kind()), result);
                    });
                }
            });
            let count = count.load(Ordering::SeqCst);
            assert!(count < CALLERS / 2, "{count} reads");
        }
    }

    /// Callers that come one after the other while the first one's read is in flight; what they know is given, and what
    /// each gets is the number of a read.
    fn numbers_of_reads(path: &str, known: [usize; 4]) -> [usize; 4] {
        let path = Path::new(path);
        let count = Arc::new(AtomicUsize::new(0));
        let (go_on, held) = mpsc::channel::<()>();
        let mut held = Some(held);
        thread::scope(|scope| {
            let lock = PathLock::of(path);
            let callers = known.map(|known| {
                let (count, held) = (Arc::clone(&count), held.take());
                let holders = Arc::strong_count(&lock);
                let caller = scope.spawn(move || {
                    bounded(path, known, AMPLE, move |_| {
                        let number = count.fetch_add(1, Ordering::SeqCst);
                        let _ = held.map(|held| held.recv());
                        Ok(number)
                    })
                });
                // It has come: it waits for the path, or reads it.
                while Arc::strong_count(&lock) == holders || lock.reads().begun == 0 {
                    thread::yield_now();
                }
                caller
            });
            go_on.send(()).unwrap();
            callers.map(|caller| caller.join().unwrap().unwrap())
        })
    }

    #[test]
    fn a_caller_gets_a_read_that_began_after_it_came() {
        let numbers = numbers_of_reads("a path that changes", [0; 4]);
        assert!(numbers[0] == 0 && numbers[1..].iter().all(|number| *number > 0), "{numbers:?}");
    }

    #[test]
    fn a_caller_that_knows_something_else_gets_a_read_of_its_own() {
        let numbers = numbers_of_reads("a path that is known", [1, 2, 3, 4]);
        let distinct: std::collections::HashSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), 4, "{numbers:?}");
    }

    #[test]
    fn a_read_that_panics_is_an_error_and_the_path_can_be_read_again() {
        let path = Path::new("a path that panics");
        let panicked: io::Result<()> = bounded(path, (), AMPLE, |()| panic!("a panic of the test"));
        assert_eq!(panicked.unwrap_err().kind(), io::ErrorKind::Other);
        bounded(path, (), AMPLE, |()| Ok(())).unwrap();
    }

    #[test]
    fn paths_that_are_no_longer_read_are_forgotten() {
        for number in 0..100 {
            bounded(Path::new(&format!("path {number}")), (), AMPLE, |()| Ok(())).unwrap();
        }
        let in_flight = IN_FLIGHT.lock().unwrap();
        assert!(in_flight.as_ref().unwrap().len() < 50);
    }
}
