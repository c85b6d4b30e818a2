//! The response future.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::Service;

use crate::cache::entry::CacheEntry;
use crate::error::{BoxError, Error};
use crate::service::protocol::{Http, Protocol};
use crate::service::rejection::LeftWith;
use crate::service::request::HttpRequest;
use crate::service::response::HttpResponse;
use crate::service::shared::Shared;
use crate::service::wait::{Unsent, Wait};
use crate::token::Token;

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
        // Outside the state, so that the inner service's future is moved only once.
        left_with: Option<LeftWith>,
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
        },
        Waiting {
            // Boxed, so that the future of a hit stays small.
            waiting: Option<Box<Waiting<S, R>>>,
        },
        Failed {
            error: Option<Error>,
        },
    }
}

/// A request that waits for a token, and then for the inner service to be ready.
pub(super) struct Waiting<S, R> {
    pub(super) wait: Wait,
    /// A clone that is not ready yet: it reserves nothing while the request waits for the token.
    pub(super) inner: S,
    pub(super) request: R,
    pub(super) shared: Arc<Shared>,
}

impl<S, R> Waiting<S, R>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    /// Sends the request with the token.
    fn send(mut self, token: &CacheEntry<Token>) -> Result<(S::Future, Option<LeftWith>), Error> {
        let header = token.value.header_shard().cloned().ok_or_else(|| token.value.not_for_headers())?;
        self.wait.deadline().pass_on(&mut self.request)?;
        let left_with = self.shared.attach(&mut self.request, header, S::Response::KNOWS_ORIGIN);
        Ok((self.inner.call(self.request), left_with))
    }
}

impl<S, R, P> ResponseFuture<S, R, P>
where
    S: Service<R>,
{
    #[inline]
    pub(super) fn sent(response: S::Future, left_with: Option<LeftWith>) -> Self {
        Self { state: State::Sent { response }, left_with, protocol: PhantomData }
    }

    pub(super) fn waiting(waiting: Waiting<S, R>) -> Self {
        let state = State::Waiting { waiting: Some(Box::new(waiting)) };
        Self { state, left_with: None, protocol: PhantomData }
    }

    pub(super) fn failed(error: Error) -> Self {
        Self { state: State::Failed { error: Some(error) }, left_with: None, protocol: PhantomData }
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
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Sent { response } => {
                    let mut polled = response.poll(context);
                    // The response is judged in place, so that it is moved only once.
                    if let Poll::Ready(Ok(response)) = &mut polled
                        && let Some(left_with) = this.left_with
                        && left_with.may_reject(P::GRPC, response)
                    {
                        left_with.judge(P::GRPC, response);
                    }
                    return match polled {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                    };
                }
                StateProjection::Waiting { waiting } => match ready!(poll_waiting(waiting, context)) {
                    Ok((response, left_with)) => {
                        *this.left_with = left_with;
                        this.state.set(State::Sent { response });
                    }
                    Err(Unsent::Ours(error)) => return Poll::Ready(P::failure(error)),
                    Err(Unsent::Inner(error)) => return Poll::Ready(Err(error)),
                },
                StateProjection::Failed { error } => {
                    return match error.take() {
                        Some(error) => Poll::Ready(P::failure(error)),
                        None => Poll::Pending, // polled again after its end
                    };
                }
            }
        }
    }
}

/// Polls the wait, then calls the inner service. What the wait holds is released when the wait ends, not when the
/// future is dropped.
#[cold]
#[expect(clippy::type_complexity, reason = "what is put into a future, and beside it")]
fn poll_waiting<S, R>(
    waiting: &mut Option<Box<Waiting<S, R>>>,
    context: &mut Context<'_>,
) -> Poll<Result<(S::Future, Option<LeftWith>), Unsent>>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    let Some(request) = waiting else { return Poll::Pending }; // polled again after its end
    let Waiting { wait, inner, .. } = &mut **request;
    let outcome = ready!(wait.poll(inner, context));
    let Some(request) = waiting.take() else { return Poll::Pending };
    Poll::Ready(outcome.and_then(|token| request.send(&token).map_err(Unsent::Ours)))
}

impl<S, R, P> fmt::Debug for ResponseFuture<S, R, P>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
