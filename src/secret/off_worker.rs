//! Work that blocks, outside the runtime's workers.

use std::io;
use std::sync::mpsc;
use std::thread;

/// Does work that blocks. Without a runtime, it blocks the calling thread.
///
/// The work has a thread of its own. The runtime's threads for such work would delay its shutdown until the work ends;
/// the one that waits here, without which tokio's paused time would run ahead, ends when the future is dropped.
///
/// # Errors
///
/// When no thread can be started, the work panics, or the runtime is shutting down.
pub(crate) async fn off_worker<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Ok(work()) };
    let (sender, receiver) = mpsc::channel();
    let future = NothingAtEnd(sender.clone());
    let waiting = runtime.spawn_blocking(move || {
        // Not before this runs: a runtime that is shutting down drops it, and the work with it.
        let thread = NothingAtEnd(sender);
        let work = move || {
            let _ = thread.0.send(Some(work()));
        };
        thread::Builder::new().name("idaas-waiting".to_owned()).spawn(work)?;
        Ok(receiver.recv().ok().flatten())
    });
    let result: io::Result<Option<T>> = waiting.await.map_err(io::Error::other)?;
    drop(future);
    result?.ok_or_else(|| io::Error::other("the thread ended early"))
}

/// Sends that nothing more comes.
struct NothingAtEnd<T>(mpsc::Sender<Option<T>>);

impl<T> Drop for NothingAtEnd<T> {
    fn drop(&mut self) {
        let _ = self.0.send(None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn work_that_blocks_delays_no_shutdown_and_ends_with_a_panic_as_with_a_result() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(off_worker(|| 7)).unwrap(), 7);
        let panicked: io::Result<()> = runtime.block_on(off_worker(|| panic!("a panic of the test")));
        panicked.unwrap_err();
        let (ends, held) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel();
        runtime.spawn(off_worker(move || {
            begins.send(()).unwrap();
            held.recv()
        }));
        runtime.block_on(tokio::task::yield_now());
        begun.recv().unwrap();
        let began = Clock::System.now();
        drop(runtime);
        let took = Clock::System.now().since(began);
        assert!(took < Duration::from_secs(5), "{took:?}");
        drop(ends);
    }
}
