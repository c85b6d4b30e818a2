//! The response future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use pin_project_lite::pin_project;
use tower::Service;

use crate::cache::entry::CacheEntry;
use crate::error::BoxFuture;
use crate::error::{BoxError, Error};
use crate::service::attach::authorize;
use crate::service::request::HttpRequest;
use crate::service::response::HttpResponse;
use crate::telemetry;
use crate::token::{HeaderShard, Token};

pin_project! {
    /// The response of an [`IdaasService`](crate::IdaasService). On a hit it is the inner service's own
    /// future and nothing more; a miss waits for a token first.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
        S::Response: HttpResponse,
    {
        #[pin]
        state: State<S, R>,
        grpc: bool,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, R>
    where
        S: Service<R>,
        S::Response: HttpResponse,
    {
        Sent {
            #[pin]
            response: S::Future,
            left_with: Option<LeftWith<S::Response>>,
        },
        Waiting {
            acquiring: BoxFuture<'static, Result<Arc<CacheEntry<Token>>, Error>>,
            call: Option<Box<(S, R)>>,
        },
        Failed {
            error: Option<Error>,
        },
    }
}

/// The header of ours that a request left with, and where to.
pub(super) type LeftWith<A> = (Arc<HeaderShard>, <A as HttpResponse>::Origin);

impl<S, R> ResponseFuture<S, R>
where
    S: Service<R>,
    S::Response: HttpResponse,
{
    #[inline]
    pub(super) fn sent(response: S::Future, left_with: Option<LeftWith<S::Response>>, grpc: bool) -> Self {
        Self { state: State::Sent { response, left_with }, grpc }
    }

    pub(super) fn without_token(response: S::Future) -> Self {
        Self::sent(response, None, false)
    }

    pub(super) fn waiting(
        acquiring: impl Future<Output = Result<Arc<CacheEntry<Token>>, Error>> + Send + 'static,
        readied: S,
        request: R,
        grpc: bool,
    ) -> Self {
        // Boxed, so that a hit does not carry the room for it.
        let call = Some(Box::new((readied, request)));
        Self { state: State::Waiting { acquiring: Box::pin(acquiring), call }, grpc }
    }

    pub(super) fn failed(error: Error) -> Self {
        Self { state: State::Failed { error: Some(error) }, grpc: false }
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    S: Service<R>,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    type Output = Result<S::Response, BoxError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let grpc = self.grpc;
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProjection::Sent { response, left_with } => {
                    // Arm by arm, so that the response is moved once.
                    return match response.poll(context) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                        Poll::Ready(Ok(response)) => match left_with {
                            // Where a redirect led elsewhere, the token did not go along.
                            Some((header, origin))
                                if rejects(&response, grpc) && response.is_from(*origin) =>
                            {
                                Poll::Ready(Ok(rejected(response, header)))
                            }
                            _ => Poll::Ready(Ok(response)),
                        },
                    };
                }
                StateProjection::Waiting { acquiring, call } => {
                    match (ready!(acquiring.as_mut().poll(context)), call.take()) {
                        (Ok(live), Some(call)) => {
                            let (mut readied, mut request) = *call;
                            match live.value.header_shard().cloned() {
                                Some(header) => {
                                    let origin = S::Response::origin(request.target());
                                    let left_with =
                                        authorize(&mut request, &header).then_some((header, origin));
                                    State::Sent { response: readied.call(request), left_with }
                                }
                                None => State::Failed { error: Some(live.value.not_for_headers()) },
                            }
                        }
                        // What the readied service holds is given back now, not when the future goes.
                        (Err(error), _) => State::Failed { error: Some(error) },
                        (Ok(_), None) => State::Failed { error: None },
                    }
                }
                StateProjection::Failed { error } => {
                    return match error.take() {
                        Some(error) => Poll::Ready(Err(error.into())),
                        None => Poll::Pending, // polled again after its end
                    };
                }
            };
            self.as_mut().project().state.set(next);
        }
    }
}

/// Whether the response says that the token is no good.
#[inline]
fn rejects<A: HttpResponse>(response: &A, grpc: bool) -> bool {
    response.status() == StatusCode::UNAUTHORIZED || (grpc && response.is_grpc_unauthenticated())
}

/// The API rejects our token: nobody else gets it, however long it lives. By value, so that a response which is
/// none of that sort is not moved about for it.
#[cold]
#[inline(never)]
fn rejected<A: HttpResponse>(mut response: A, header: &HeaderShard) -> A {
    header.invalidate();
    telemetry::unauthorized();
    response.mark_rejection();
    response
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<R>,
    S::Response: HttpResponse,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
