//! A request's own time limit, and how much of it the wait for a token may take.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::cache::entry::CacheEntry;
use crate::cache::slot::Slot;
use crate::cache::sync::timeout;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::service::request::HttpRequest;
use crate::token::Token;

/// The time limit of a request, where the request has one.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    clock: Clock,
    started: Timestamp,
    limit: Option<Duration>,
}

impl Deadline {
    /// The request's limit, counted from now.
    pub(super) fn of<R: HttpRequest>(request: &mut R, clock: &Clock) -> Self {
        Self { clock: clock.clone(), started: clock.now(), limit: request.time_limit() }
    }

    /// The same for a request that has a limit; else no clock is read.
    pub(super) fn if_limited<R: HttpRequest>(request: &mut R, clock: &Clock) -> Option<Self> {
        let limit = request.time_limit()?;
        Some(Self { clock: clock.clone(), started: clock.now(), limit: Some(limit) })
    }

    /// How much of the limit is left, if there is one.
    pub(super) fn left(&self) -> Option<Duration> {
        Some(self.limit?.saturating_sub(self.clock.now().since(self.started)))
    }

    /// Bounds the wait for a token by the limit. While the cache has a token that can still be sent, the wait takes
    /// half of the limit at most, so that time is left for the request.
    ///
    /// # Errors
    ///
    /// Those of the wait, and one when the limit is over.
    pub(super) async fn bound(
        self,
        slot: Arc<Slot<Token>>,
        acquiring: impl Future<Output = Result<Arc<CacheEntry<Token>>, Error>>,
    ) -> Result<Arc<CacheEntry<Token>>, Error> {
        if self.limit.is_none() {
            return acquiring.await;
        }
        let mut acquiring = pin!(acquiring);
        // What is there already needs no timer, and a runtime without timers has none to offer: there, the wait ends with
        // the refresh.
        if let Poll::Ready(result) = poll_fn(|context| Poll::Ready(acquiring.as_mut().poll(context))).await {
            return result;
        }
        if slot.current_runtime().is_err() {
            return acquiring.await;
        }
        // A request may wait more than once: each wait has what the ones before have left.
        let left = self.left().unwrap_or_default();
        let patience = if slot.peek().is_some() { left / 2 } else { left };
        if let Ok(result) = timeout(patience, acquiring.as_mut()).await {
            return result;
        }
        if let Some(token) = slot.peek() {
            return Ok(token);
        }
        // The token may have expired during its half.
        let rest = timeout(left.saturating_sub(patience), acquiring).await;
        rest.unwrap_or_else(|_elapsed| slot.peek().ok_or_else(|| self.error("no token came")))
    }

    /// Sets the request's limit to what is left of it.
    ///
    /// # Errors
    ///
    /// When nothing is left.
    pub(super) fn pass_on<R: HttpRequest>(&self, request: &mut R) -> Result<(), Error> {
        let Some(left) = self.left() else { return Ok(()) };
        if left.is_zero() {
            return Err(self.error("the request could not be sent"));
        }
        request.set_time_limit(left);
        Ok(())
    }

    /// The inner service was not ready in time.
    pub(super) fn not_ready(&self) -> Error {
        self.error("the token came, but the inner service was not ready")
    }

    fn error(&self, what: &str) -> Error {
        let limit = self.limit.unwrap_or_default();
        let message = format!(
            "{what} within the request's own time limit of {limit:?}, and the request was not sent; a refresh goes on \
             by itself, try again"
        );
        Error::new(ErrorKind::Timeout, message)
    }
}
