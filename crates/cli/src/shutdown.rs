//! The end of a server: SIGINT, and SIGTERM where there is one.

use std::io;

/// Listens from now on; completes when the program has to end.
///
/// # Errors
///
/// When signals cannot be listened for.
#[cfg(unix)]
pub(crate) fn requested() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens when it is first polled; completes when the program has to end.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
pub(crate) fn requested() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a signal the program goes on; it can still be ended by other means.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
