//! The response future.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::Service;

use crate::cache::entry::CacheEntry;
use crate::cache::window::State as Age;
use crate::error::{BoxError, BoxFuture, Error};
use crate::service::deadline::Deadline;
use crate::service::protocol::{Http, Protocol};
use crate::service::rejection::LeftWith;
use crate::service::request::HttpRequest;
use crate::service::response::HttpResponse;
use crate::service::shared::Shared;
use crate::token::{RequestSlot, Token};

pin_project! {
    /// The response of an [`IdaasService`](crate::IdaasService). On a hit it is the inner service's own
    /// future and nothing more; a miss waits for a token first.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, R, P = Http>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R>,
        protocol: PhantomData<fn() -> P>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, R>
    where
        S: Service<R>,
    {
        Sent {
            #[pin]
            response: S::Future,
            left_with: Option<LeftWith>,
        },
        Waiting {
            // Boxed, so that a hit does not carry the room for it.
            waiting: Option<Box<Waiting<S, R>>>,
        },
        Failed {
            error: Option<Error>,
        },
    }
}

/// A request that waits for a token, and then for the inner service to be ready.
pub(super) struct Waiting<S, R> {
    pub(super) acquiring: BoxFuture<'static, Result<Arc<CacheEntry<Token>>, Error>>,
    /// The token, once it is there.
    pub(super) token: Option<Arc<CacheEntry<Token>>>,
    pub(super) slot: RequestSlot,
    pub(super) deadline: Deadline,
    /// A clone that was not readied: it reserves nothing while the token is waited for.
    pub(super) inner: S,
    pub(super) request: R,
    pub(super) shared: Arc<Shared>,
}

/// Why a request that waited cannot be sent.
enum Unsent {
    Ours(Error),
    Inner(BoxError),
}

impl<S, R> Waiting<S, R>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    /// Ready when the token is there and the inner service is ready.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Arc<CacheEntry<Token>>, Unsent>> {
        loop {
            let token = match &self.token {
                Some(token) => Arc::clone(token),
                None => {
                    let token = ready!(self.acquiring.as_mut().poll(context)).map_err(Unsent::Ours)?;
                    self.token.insert(token).clone()
                }
            };
            ready!(self.inner.poll_ready(context)).map_err(|error| Unsent::Inner(error.into()))?;
            // The inner service may have taken its time; a token with a life of its own is never sent beyond it.
            if token.state(self.slot.clock().now()) < Age::Dead {
                return Poll::Ready(Ok(token));
            }
            self.inner = self.inner.clone();
            self.token = None;
            let (slot, deadline) = (Arc::clone(&*self.slot), self.deadline.clone());
            self.acquiring = Box::pin(async move { deadline.bound(Arc::clone(&slot), slot.acquire()).await });
        }
    }

    /// Sends the request with the token.
    fn send(mut self, token: &CacheEntry<Token>) -> State<S, R> {
        let Some(header) = token.value.header_shard().cloned() else {
            return State::Failed { error: Some(token.value.not_for_headers()) };
        };
        if let Err(error) = self.deadline.pass_on(&mut self.request) {
            return State::Failed { error: Some(error) };
        }
        let left_with = self.shared.attach(&mut self.request, header, S::Response::TELLS_ORIGIN);
        State::Sent { response: self.inner.call(self.request), left_with }
    }
}

impl<S, R, P> ResponseFuture<S, R, P>
where
    S: Service<R>,
{
    #[inline]
    pub(super) fn sent(response: S::Future, left_with: Option<LeftWith>) -> Self {
        Self { state: State::Sent { response, left_with }, protocol: PhantomData }
    }

    pub(super) fn waiting(waiting: Waiting<S, R>) -> Self {
        Self { state: State::Waiting { waiting: Some(Box::new(waiting)) }, protocol: PhantomData }
    }

    pub(super) fn failed(error: Error) -> Self {
        Self { state: State::Failed { error: Some(error) }, protocol: PhantomData }
    }
}

impl<S, R, P> Future for ResponseFuture<S, R, P>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
    P: Protocol<S::Response>,
{
    type Output = Result<S::Response, BoxError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProjection::Sent { response, left_with } => {
                    // Arm by arm, so that the response is moved once.
                    return match response.poll(context) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                        Poll::Ready(Ok(response)) => match left_with {
                            Some(left_with) if left_with.needs_a_look(P::GRPC, &response) => {
                                Poll::Ready(Ok(left_with.judge(P::GRPC, response)))
                            }
                            _ => Poll::Ready(Ok(response)),
                        },
                    };
                }
                StateProjection::Waiting { waiting } => match poll_waiting(waiting, context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(state)) => state,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                },
                StateProjection::Failed { error } => {
                    return match error.take() {
                        Some(error) => Poll::Ready(P::failure(error)),
                        None => Poll::Pending, // polled again after its end
                    };
                }
            };
            self.as_mut().project().state.set(next);
        }
    }
}

/// The state after the wait. What the wait holds is given back when it ends, not when the future goes.
#[cold]
fn poll_waiting<S, R>(
    waiting: &mut Option<Box<Waiting<S, R>>>,
    context: &mut Context<'_>,
) -> Poll<Result<State<S, R>, BoxError>>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    let Some(request) = waiting else { return Poll::Pending }; // polled again after its end
    let outcome = ready!(request.poll(context));
    let request = waiting.take();
    Poll::Ready(match (outcome, request) {
        (Ok(token), Some(request)) => Ok(request.send(&token)),
        (Ok(_), None) => Ok(State::Failed { error: None }),
        (Err(Unsent::Ours(error)), _) => Ok(State::Failed { error: Some(error) }),
        (Err(Unsent::Inner(error)), _) => Err(error),
    })
}

impl<S, R, P> fmt::Debug for ResponseFuture<S, R, P>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
