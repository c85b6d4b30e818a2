//! Locks, atomics and tasks of the cache: the real ones, or those of a model checker that runs the same code under
//! thousands of schedules (`--cfg shuttle`, see `model.rs`).

use crate::error::{Error, ErrorKind};

#[cfg(not(all(test, shuttle)))]
mod real {
    use std::collections::VecDeque;
    use std::sync::PoisonError;
    pub(crate) use std::sync::atomic::AtomicU64;
    pub(crate) use std::sync::{Mutex, MutexGuard};
    use std::time::Duration;

    pub(crate) use arc_swap::ArcSwapOption;
    pub(crate) use tokio::runtime::Handle;
    use tokio::runtime::Id;
    pub(crate) use tokio::task::AbortHandle;
    pub(crate) use tokio::time::{sleep, timeout};

    /// How many runtimes without a time driver are remembered.
    const REMEMBERED: usize = 16;

    /// Which runtimes have no time driver, as far as it is known.
    ///
    /// Tokio offers no query for it, and without a driver each use of a timer panics. So a timer is made and the panic
    /// is caught, which leaves its message on stderr; a program that aborts at a panic is aborted, as it would be at
    /// the first timer of its own. That happens once for each handle and runtime, because the runtime's id is
    /// remembered. With a driver, nothing is registered.
    #[derive(Debug, Default)]
    pub(crate) struct Runtimes {
        without_timers: Mutex<VecDeque<Id>>,
    }

    impl Runtimes {
        /// Whether the runtime, which is the current one, has a time driver.
        pub(super) fn has_timers(&self, runtime: &Handle) -> bool {
            let mut without_timers = self.without_timers.lock().unwrap_or_else(PoisonError::into_inner);
            if without_timers.contains(&runtime.id()) {
                return false;
            }
            drop(without_timers);
            // The panic hook is the user's code: no lock is held.
            let has_timers = std::panic::catch_unwind(|| drop(sleep(Duration::ZERO))).is_ok();
            if !has_timers {
                without_timers = self.without_timers.lock().unwrap_or_else(PoisonError::into_inner);
                without_timers.push_front(runtime.id());
                without_timers.truncate(REMEMBERED);
            }
            has_timers
        }
    }
}

#[cfg(all(test, shuttle))]
mod model {
    use std::sync::{Arc, PoisonError};
    use std::time::Duration;

    pub(crate) use shuttle::future::{AbortHandle, JoinHandle};
    pub(crate) use shuttle::sync::atomic::AtomicU64;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    /// What `arc-swap` promises: one value, read and replaced at once.
    #[derive(Debug)]
    pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

    impl<T> ArcSwapOption<T> {
        pub(crate) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn load(&self) -> Option<Arc<T>> {
            self.lock().clone()
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.load()
        }

        pub(crate) fn store(&self, value: Option<Arc<T>>) {
            drop(self.swap(value));
        }

        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *self.lock(), value)
        }

        fn lock(&self) -> MutexGuard<'_, Option<Arc<T>>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    shuttle::lazy_static! {
        static ref TASKS: Mutex<Vec<AbortHandle>> = Mutex::new(Vec::new());
    }

    /// A runtime, as far as a refresh needs one.
    #[derive(Clone, Debug)]
    pub(crate) struct Handle;

    impl Handle {
        pub(crate) fn try_current() -> Result<Self, ()> {
            Ok(Self)
        }

        pub(crate) fn spawn(&self, refresh: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
            let task = shuttle::future::spawn(refresh);
            TASKS.lock().unwrap().push(task.abort_handle());
            task
        }

        /// Shuts down the runtime, and with it the refreshes begun so far.
        pub(crate) fn shut_down() {
            for task in TASKS.lock().unwrap().drain(..) {
                task.abort();
            }
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Runtimes;

    impl Runtimes {
        pub(super) fn has_timers(&self, _: &Handle) -> bool {
            true
        }
    }

    /// No time runs out: a model gives up on a future by dropping it.
    pub(crate) async fn timeout<F: Future>(_: Duration, future: F) -> Result<F::Output, ()> {
        Ok(future.await)
    }

    pub(crate) async fn sleep(_: Duration) {
        shuttle::future::yield_now().await;
    }
}

#[cfg(all(test, shuttle))]
pub(crate) use self::model::*;
#[cfg(not(all(test, shuttle)))]
pub(crate) use self::real::*;

impl Runtimes {
    /// The runtime of the caller.
    ///
    /// # Errors
    ///
    /// When there is none, or it has no timers.
    pub(crate) fn current(&self) -> Result<Handle, Error> {
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        if self.has_timers(&runtime) {
            return Ok(runtime);
        }
        let message = "a token can be fetched only on a tokio runtime with timers; build the runtime with \
                       `enable_all()`";
        Err(Error::new(ErrorKind::Runtime, message))
    }
}

pub(crate) fn no_runtime() -> Error {
    Error::new(ErrorKind::Runtime, "a token can be fetched only within a tokio runtime; call from one")
}
