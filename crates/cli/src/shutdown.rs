//! The end of a command that has something to remove first, or serves until then: SIGINT, and SIGTERM where
//! there is one.

use std::io;

/// What a shell shows of a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;
#[cfg(unix)]
const TERMINATED: u8 = 143;

/// Listens from now on; completes when the program has to end, with the exit code of one that the signal ended.
///
/// # Errors
///
/// When signals cannot be listened for.
#[cfg(unix)]
pub(crate) fn requested() -> io::Result<impl Future<Output = u8>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => INTERRUPTED,
            _ = terminate.recv() => TERMINATED,
        }
    })
}

/// Listens when it is first polled; completes likewise.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
pub(crate) fn requested() -> io::Result<impl Future<Output = u8>> {
    Ok(async {
        // Without a signal the program goes on; it can still be ended by other means.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        INTERRUPTED
    })
}
