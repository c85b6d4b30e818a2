//! The service whose requests leave with a secret stored in IDaaS, and its response future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::Service;

use crate::error::{BoxError, Error};
use crate::service::deadline::Deadline;
use crate::service::rejection::LeftWith;
use crate::service::request::HttpRequest;
use crate::service::response::HttpResponse;
use crate::service::secret_placement::SecretShared;
use crate::service::service::release;
use crate::service::wait::{Unsent, Wait};
use crate::token::Token;

/// An HTTP client whose requests leave with a secret stored in IDaaS; made by a
/// [`SecretLayer`](super::SecretLayer).
pub struct SecretService<S> {
    inner: S,
    shared: Arc<SecretShared>,
}

impl<S> SecretService<S> {
    pub(super) fn new(inner: S, shared: Arc<SecretShared>) -> Self {
        Self { inner, shared }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R> Service<R> for SecretService<S>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = SecretFuture<S, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: R) -> SecretFuture<S, R> {
        let Self { inner, shared } = self;
        let attached = match shared.applies_to(&mut request) {
            Ok(false) => {
                return SecretFuture::new(State::Sent { response: inner.call(request), left_with: None });
            }
            Ok(true) => shared.slot.with_servable(|entry| entry.value.clone()),
            Err(error) => {
                release(inner);
                return SecretFuture::failed(error);
            }
        };
        let Some(secret) = attached else {
            release(inner);
            let deadline = Deadline::of(&mut request, shared.slot.clock());
            let wait = Wait::new(Arc::clone(&shared.slot).into(), deadline);
            let waiting = Waiting { wait, inner: inner.clone(), request, shared: Arc::clone(shared) };
            return SecretFuture::new(State::Waiting { waiting: Some(Box::new(waiting)) });
        };
        match shared.attach(&mut request, &secret, S::Response::KNOWS_ORIGIN) {
            Ok(left_with) => SecretFuture::new(State::Sent { response: inner.call(request), left_with }),
            Err(error) => {
                release(inner);
                SecretFuture::failed(error)
            }
        }
    }
}

impl<S: Clone> Clone for SecretService<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug> fmt::Debug for SecretService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// A request that waits for the secret, and then for the inner service to be ready.
struct Waiting<S, R> {
    wait: Wait,
    /// A clone that is not ready yet: it reserves nothing while the request waits for the secret.
    inner: S,
    request: R,
    shared: Arc<SecretShared>,
}

impl<S, R> Waiting<S, R>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    /// Sends the request with the secret.
    fn send(mut self, secret: &Token) -> Result<State<S, R>, BoxError> {
        self.wait.deadline().pass_on(&mut self.request)?;
        let left_with = self.shared.attach(&mut self.request, secret, S::Response::KNOWS_ORIGIN)?;
        Ok(State::Sent { response: self.inner.call(self.request), left_with })
    }
}

pin_project! {
    /// The response of a [`SecretService`]. When the secret is cached, it is the inner service's own future and nothing
    /// more.
    #[must_use = "futures do nothing unless polled"]
    pub struct SecretFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R>,
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
            waiting: Option<Box<Waiting<S, R>>>,
        },
        Failed {
            error: Option<Error>,
        },
    }
}

impl<S: Service<R>, R> SecretFuture<S, R> {
    fn new(state: State<S, R>) -> Self {
        Self { state }
    }

    fn failed(error: Error) -> Self {
        Self::new(State::Failed { error: Some(error) })
    }
}

impl<S, R> Future for SecretFuture<S, R>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProjection::Sent { response, left_with } => {
                    let mut response = ready!(response.poll(context)).map_err(Into::into)?;
                    if let Some(left_with) = left_with
                        && left_with.may_reject(false, &response)
                    {
                        left_with.judge(false, &mut response);
                    }
                    return Poll::Ready(Ok(response));
                }
                StateProjection::Waiting { waiting } => {
                    let Some(request) = waiting.as_mut() else { return Poll::Pending }; // polled after its end
                    let Waiting { wait, inner, .. } = &mut **request;
                    let secret = ready!(wait.poll(inner, context));
                    // What the wait holds is released when it ends, not when the future is dropped.
                    let Some(request) = waiting.take() else { return Poll::Pending };
                    let secret = secret.map_err(|unsent| match unsent {
                        Unsent::Ours(error) => error.into(),
                        Unsent::Inner(error) => error,
                    })?;
                    request.send(&secret.value)?
                }
                StateProjection::Failed { error } => {
                    return match error.take() {
                        Some(error) => Poll::Ready(Err(error.into())),
                        None => Poll::Pending, // polled after its end
                    };
                }
            };
            self.as_mut().project().state.set(next);
        }
    }
}

impl<S, R> fmt::Debug for SecretFuture<S, R>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFuture").finish_non_exhaustive()
    }
}
