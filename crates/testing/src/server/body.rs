//! Bodies of responses: whole ones, and ones that go wrong on the way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::server::connection::Connection;

/// Time for the first half of a body to leave before the connection is cut.
const FLUSH: Duration = Duration::from_millis(20);

/// Blanks are legal before JSON, so that a body padded with them is odd by its size or pace alone.
static BLANKS: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// The body of a response.
pub(crate) struct ResponseBody {
    /// What comes before the content.
    before: Before,
    content: Option<Bytes>,
}

enum Before {
    Nothing,
    /// That many blanks, as fast as the client reads.
    Blanks(u64),
    /// One blank per interval; without end if there is no count.
    Drip {
        left: Option<u64>,
        interval: Duration,
        pause: Pin<Box<Sleep>>,
    },
    /// The bytes, then the end of the connection.
    Cut {
        sent: Option<Bytes>,
        pause: Pin<Box<Sleep>>,
        connection: Connection,
    },
}

impl ResponseBody {
    pub(crate) fn whole(content: Bytes) -> Self {
        Self { before: Before::Nothing, content: Some(content) }
    }

    /// Blanks first, then the content.
    pub(crate) fn padded(content: Bytes, blanks: u64) -> Self {
        Self { before: Before::Blanks(blanks), content: Some(content) }
    }

    /// Blanks first, one per interval, then the content if there is a number of blanks.
    pub(crate) fn dripping(content: Bytes, interval: Duration, blanks: Option<u64>) -> Self {
        let pause = Box::pin(sleep(interval));
        Self { before: Before::Drip { left: blanks, interval, pause }, content: Some(content) }
    }

    /// Half of the content, then the connection closes.
    pub(crate) fn cut(content: &Bytes, connection: Connection) -> Self {
        let sent = Some(content.slice(..content.len() / 2));
        Self { before: Before::Cut { sent, pause: Box::pin(sleep(FLUSH)), connection }, content: None }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.before {
            Before::Nothing | Before::Blanks(0) | Before::Drip { left: Some(0), .. } => {}
            Before::Blanks(left) => {
                let chunk = (BLANKS.len() as u64).min(*left);
                *left -= chunk;
                // At most the length of the array, so the conversion cannot fail.
                let blanks = Bytes::from_static(&BLANKS).slice(..usize::try_from(chunk).unwrap_or_default());
                return Poll::Ready(Some(Ok(Frame::data(blanks))));
            }
            Before::Drip { left, interval, pause } => {
                ready!(pause.as_mut().poll(context));
                *pause = Box::pin(sleep(*interval));
                *left = left.map(|left| left - 1);
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))));
            }
            Before::Cut { sent, pause, connection } => {
                if let Some(half) = sent.take() {
                    *pause = Box::pin(sleep(FLUSH));
                    return Poll::Ready(Some(Ok(Frame::data(half))));
                }
                ready!(pause.as_mut().poll(context));
                connection.close();
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
            }
        }
        Poll::Ready(self.content.take().map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.before, Before::Nothing) && self.content.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.before, &self.content) {
            (Before::Nothing, Some(content)) => SizeHint::with_exact(content.len() as u64),
            // Unknown on purpose: a client must bound what it reads, not what it was promised.
            _ => SizeHint::default(),
        }
    }
}
