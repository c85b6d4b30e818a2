//! A request's wait for its token, and then for the inner service to be ready.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower::Service;

use crate::cache::entry::CacheEntry;
use crate::cache::slot::Resolution;
use crate::cache::sync::sleep;
use crate::error::{BoxError, BoxFuture, Error, ErrorKind};
use crate::service::deadline::Deadline;
use crate::token::{RequestSlot, Token};

/// How often a request waits for a token. It waits again when the token has expired before the inner service was
/// ready, which does not happen repeatedly unless that takes longer than tokens live.
const WAITS: u32 = 3;

/// The wait of one request. It holds nothing of the inner service while it waits for the token.
pub(super) struct Wait {
    slot: RequestSlot,
    deadline: Deadline,
    acquiring: BoxFuture<'static, Result<Arc<CacheEntry<Token>>, Error>>,
    /// The token, once it has arrived.
    token: Option<Arc<CacheEntry<Token>>>,
    waits: u32,
    /// Ends with the request's time limit; made when the inner service is not ready.
    timer: Option<BoxFuture<'static, ()>>,
}

/// Why a request that waited cannot be sent.
pub(super) enum Unsent {
    Ours(Error),
    Inner(BoxError),
}

impl Wait {
    /// A wait for the slot's token within the request's time limit. Nothing is fetched before the wait is polled.
    pub(super) fn new(slot: RequestSlot, deadline: Deadline) -> Self {
        let acquiring = acquire(&slot, &deadline);
        Self { slot, deadline, acquiring, token: None, waits: 1, timer: None }
    }

    /// A wait for what the slot has resolved to.
    pub(super) fn resolved(slot: RequestSlot, deadline: Deadline, resolution: Resolution<Token>) -> Self {
        let acquiring = {
            let (slot, deadline) = (Arc::clone(&*slot), deadline.clone());
            Box::pin(async move { deadline.bound(Arc::clone(&slot), slot.wait_for(resolution)).await })
        };
        Self { slot, deadline, acquiring, token: None, waits: 1, timer: None }
    }

    pub(super) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Ready with a token that may be sent, when the inner service is ready as well.
    pub(super) fn poll<S, R>(
        &mut self,
        inner: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<Arc<CacheEntry<Token>>, Unsent>>
    where
        S: Service<R> + Clone,
        S::Error: Into<BoxError>,
    {
        loop {
            let token = match &self.token {
                Some(token) => Arc::clone(token),
                None => {
                    let token = ready!(self.acquiring.as_mut().poll(context)).map_err(Unsent::Ours)?;
                    Arc::clone(self.token.insert(token))
                }
            };
            match inner.poll_ready(context) {
                Poll::Ready(result) => result.map_err(|error| Unsent::Inner(error.into()))?,
                Poll::Pending => {
                    ready!(self.poll_limit(context));
                    return Poll::Ready(Err(Unsent::Ours(self.deadline.not_ready())));
                }
            }
            // The token may expire while the inner service becomes ready; an expired token is never sent. One that was
            // issued with a life of zero serves the requests that waited for it: another would be like it.
            if token.has_no_life() || token.is_live(self.slot.clock().now()) {
                return Poll::Ready(Ok(token));
            }
            // The clone is not ready: it reserves nothing during the next wait.
            *inner = inner.clone();
            self.token = None;
            if self.waits >= WAITS {
                return Poll::Ready(Err(Unsent::Ours(self.expired())));
            }
            self.waits += 1;
            self.acquiring = acquire(&self.slot, &self.deadline);
        }
    }

    /// Ready when the request's time limit is over; never without one, or where no timer can be made.
    fn poll_limit(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() && self.slot.current_runtime().is_ok() {
            self.timer = self.deadline.left().map(|left| Box::pin(sleep(left)) as _);
        }
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(context))
    }

    fn expired(&self) -> Error {
        let message = format!(
            "{WAITS} tokens for {} in a row expired before the inner service was ready, and the request was not sent; \
             check why the inner service takes so long, or have the issuer grant longer lives",
            self.slot.label()
        );
        Error::new(ErrorKind::Timeout, message)
    }
}

fn acquire(
    slot: &RequestSlot,
    deadline: &Deadline,
) -> BoxFuture<'static, Result<Arc<CacheEntry<Token>>, Error>> {
    let (slot, deadline) = (Arc::clone(slot), deadline.clone());
    Box::pin(async move { deadline.bound(Arc::clone(&slot), slot.acquire()).await })
}
