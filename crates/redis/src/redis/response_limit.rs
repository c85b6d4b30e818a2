//! Ends a connection whose server sends more than a response can hold.
//!
//! The Redis client has no limit of its own: it would read into memory for as long as the server writes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// For the response to one command: twice the longest value.
const BYTES: usize = 128 * 1024;

/// How much a server may still send.
#[derive(Clone, Debug)]
pub(super) struct ResponseLimit(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Commands without a response yet.
    in_flight: usize,
    bytes: usize,
}

/// A command in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight<'a>(&'a ResponseLimit);

impl ResponseLimit {
    /// Enough for a greeting.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { in_flight: 0, bytes: BYTES })))
    }

    /// Lets the server send the response to one command more.
    pub(super) fn extend(&self) -> InFlight<'_> {
        let mut state = self.state();
        let others = if state.in_flight == 0 { 0 } else { state.bytes };
        state.bytes = others.saturating_add(BYTES);
        state.in_flight = state.in_flight.saturating_add(1);
        InFlight(self)
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        let left = state.bytes.checked_sub(bytes);
        state.bytes = left.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the server sends more than was requested")
        })?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

/// A stream that can be read up to a limit.
#[derive(Debug)]
pub(super) struct Limited<S> {
    pub(super) stream: S,
    pub(super) limit: ResponseLimit,
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.limit.count(buffer.filled().len().saturating_sub(before)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_in_flight_may_have_a_response_and_what_is_left_over_is_lost() {
        let limit = ResponseLimit::new();
        assert!(limit.count(BYTES).is_ok() && limit.count(1).is_err());
        let (first, second) = (limit.extend(), limit.extend());
        drop(first);
        assert!(limit.count(2 * BYTES).is_ok() && limit.count(1).is_err());
        drop(second);
        for _ in 0..3 {
            drop(limit.extend());
        }
        assert!(limit.count(BYTES).is_ok() && limit.count(1).is_err());
    }
}
