//! Ends a connection whose server says more than anything we ask for is long.
//!
//! The client has no limit of its own: it would read on, into memory, for as long as a bad server writes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// For each command: twice the longest value.
const BYTES: usize = 128 * 1024;

/// How much a server may still say.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Commands that wait for their answers.
    waiting: usize,
    bytes: usize,
}

/// A command that waits for its answer, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Allowance);

impl Allowance {
    /// Enough for a greeting.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { waiting: 0, bytes: BYTES })))
    }

    /// Lets the server answer one command more.
    pub(super) fn grant(&self) -> Waiting<'_> {
        let mut state = self.state();
        let others = if state.waiting == 0 { 0 } else { state.bytes };
        state.bytes = others.saturating_add(BYTES);
        state.waiting = state.waiting.saturating_add(1);
        Waiting(self)
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        let left = state.bytes.checked_sub(bytes);
        state.bytes = left.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the server says more than it was asked for")
        })?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

/// A stream that can be read for as long as its allowance lasts.
#[derive(Debug)]
pub(super) struct Allowed<S> {
    pub(super) stream: S,
    pub(super) allowance: Allowance,
}

impl<S: AsyncRead + Unpin> AsyncRead for Allowed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.allowance.spend(buffer.filled().len().saturating_sub(before)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Allowed<S> {
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
    fn each_command_that_waits_may_be_answered_and_what_is_left_over_is_lost() {
        let allowance = Allowance::new();
        assert!(allowance.spend(BYTES).is_ok() && allowance.spend(1).is_err());
        let (first, second) = (allowance.grant(), allowance.grant());
        drop(first);
        assert!(allowance.spend(2 * BYTES).is_ok() && allowance.spend(1).is_err());
        drop(second);
        for _ in 0..3 {
            drop(allowance.grant());
        }
        assert!(allowance.spend(BYTES).is_ok() && allowance.spend(1).is_err());
    }
}
