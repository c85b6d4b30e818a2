//! A connection that detects that it was kept for a request and the other side has dropped it.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::clock::{Clock, Timestamp};
use crate::transport::failure::StaleConnection;
use crate::transport::silence::SilenceLimit;

/// What a connection is made of: TCP, TLS, or TLS through a tunnel.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(super) type BoxIo = Box<dyn Io>;

/// A connection of HTTP/1.1: requests and responses alternate on it.
///
/// The second request and those after it fail with [`StaleConnection`] when not a byte of a response comes, whether the
/// connection is closed, reset, or silent for too long. Such a request is sent again on a fresh connection.
pub(super) struct Stream {
    io: BoxIo,
    silence_limit: Arc<SilenceLimit>,
    state: State,
    /// When the request was begun that has no response yet.
    begun: Option<Timestamp>,
}

enum State {
    /// The first request is being sent or awaits its response.
    First,
    /// A part of a response has come, or all of it.
    Responded,
    /// A further request is being sent or awaits its response, until this time-out.
    Reused(Pin<Box<Sleep>>),
}

impl Stream {
    pub(super) fn new(io: BoxIo, silence_limit: Arc<SilenceLimit>) -> Self {
        Self { io, silence_limit, state: State::First, begun: None }
    }

    /// A request begins when bytes are written at first, or after a response.
    fn begin(&mut self, context: &mut Context<'_>) {
        if self.begun.is_none() {
            self.begun = Some(Clock::System.now());
        }
        if matches!(self.state, State::Responded) {
            let mut silence = Box::pin(sleep(self.silence_limit.get()));
            // The read was polled before the request was there. The end of the silence wakes the task to poll again.
            let _ = silence.as_mut().poll(context);
            self.state = State::Reused(silence);
        }
    }

    /// The error, or [`StaleConnection`] where the connection is stale.
    fn failure(&self, cause: io::Error) -> io::Error {
        match self.state {
            State::Reused(_) => io::Error::other(StaleConnection),
            State::First | State::Responded => cause,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                self.state = State::Responded;
                if let Some(begun) = self.begun.take() {
                    self.silence_limit.observe(Clock::System.now().since(begun));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(cause)) => Poll::Ready(Err(self.failure(cause))),
            Poll::Ready(Ok(())) => match self.state {
                State::Reused(_) => Poll::Ready(Err(io::Error::other(StaleConnection))),
                State::First | State::Responded => Poll::Ready(Ok(())),
            },
            Poll::Pending => match &mut self.state {
                State::Reused(silence) => {
                    silence.as_mut().poll(context).map(|()| Err(io::Error::other(StaleConnection)))
                }
                State::First | State::Responded => Poll::Pending,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begin(context);
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        written.map_err(|cause| self.failure(cause))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.begin(context);
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        written.map_err(|cause| self.failure(cause))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        flushed.map_err(|cause| self.failure(cause))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
