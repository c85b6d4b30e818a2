//! The connection that a request came on: it can be closed, and bytes can be put on it past the HTTP library.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// A handle of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    closing: Notify,
    pending: Mutex<Pending>,
}

/// Bytes that are written before those of the HTTP library.
#[derive(Debug, Default)]
struct Pending {
    bytes: Bytes,
    /// The bytes are all that is written; the connection ends after them.
    then_ends: bool,
}

impl Connection {
    pub(crate) fn close(&self) {
        self.0.closing.notify_one();
    }

    /// Returns when [`close`](Self::close) was called.
    pub(crate) async fn closing(&self) {
        self.0.closing.notified().await;
    }

    /// Puts these bytes before what the HTTP library writes next.
    pub(crate) fn write_before(&self, bytes: Bytes) {
        self.set(Pending { bytes, then_ends: false });
    }

    /// Puts these bytes in place of what the HTTP library writes next, and the end of the connection after them.
    pub(crate) fn write_instead(&self, bytes: Bytes) {
        self.set(Pending { bytes, then_ends: true });
    }

    fn set(&self, pending: Pending) {
        *self.0.pending.lock().unwrap_or_else(PoisonError::into_inner) = pending;
    }
}

/// A stream that writes the bytes of its [`Connection`] first.
pub(crate) struct ScriptedStream<S> {
    stream: S,
    connection: Connection,
}

impl<S: AsyncWrite + Unpin> ScriptedStream<S> {
    pub(crate) fn new(stream: S, connection: Connection) -> Self {
        Self { stream, connection }
    }

    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pending = self.connection.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        while pending.bytes.has_remaining() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &pending.bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => pending.bytes.advance(written),
            }
        }
        if pending.then_ends {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ScriptedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ScriptedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
