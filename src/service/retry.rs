//! Replays a request whose token the API has rejected.

use std::fmt;
use std::future::{Ready, ready};

use http::{Request, Response};
use tower::retry::Policy;

use crate::clock::Clock;
use crate::service::deadline::Deadline;
use crate::service::request::{HttpRequest, NoToken};
use crate::service::response::HttpResponse;

/// A policy for [`tower::retry`] that sends a request once more, with the next token, when the API has rejected
/// the one it left with.
///
/// It goes *around* the layer, which invalidates the rejected token and marks the response for the policy. A request
/// that left without the layer's token is not replayed, and neither is one after which the same token is still served
/// because new tokens have been rejected repeatedly. A request is replayed once at most and without a delay; it waits
/// for the next token like any other. The caller gets the response to the second attempt, whatever it is.
///
/// ```
/// # use tower::{ServiceBuilder, retry::RetryLayer};
/// # fn example<S>(idaas: &tower_idaas::Idaas, http: S)
/// # where S: tower::Service<http::Request<String>, Response = http::Response<String>, Error: Into<tower_idaas::BoxError>> + Clone {
/// let client = ServiceBuilder::new()
///     .layer(RetryLayer::new(tower_idaas::RetryUnauthorized::new()))
///     .layer(idaas.layer())
///     .service(http);
/// # fn is_a_client<S: tower::Service<http::Request<String>>>(_: S) {}
/// # is_a_client(client);
/// # }
/// ```
///
/// The body of the rejection is dropped unread. Over HTTP/1 that costs the connection, unless the body is so short that
/// it came with the headers: the second attempt opens another.
///
/// A request with a [time limit](crate::IdaasLayer#how-long-a-request-waits) of its own is replayed within what is left
/// of it, and not at all when nothing is left.
///
/// A request is replayed only if it was cloned before it left: bodies that are [`Clone`] are, and for others
/// [`clone_body`](Self::clone_body) says how. Those of reqwest are, unless they are streams. Cloning copies the headers
/// of each request. Other policies may go around it or between it and the layer.
#[derive(Clone)]
pub struct RetryUnauthorized<C = Cloned> {
    clone_body: C,
    /// Whether this request was replayed: each request has its own clone of the policy.
    replayed: bool,
    clock: Clock,
    /// The time limit of this request, from when it was cloned.
    deadline: Option<Deadline>,
}

/// The default of a [`RetryUnauthorized`]: bodies are cloned with `Clone`.
#[derive(Clone, Copy, Debug)]
pub struct Cloned;

impl Default for RetryUnauthorized {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryUnauthorized {
    /// A policy. It needs no handle, because the layer inside it has one.
    pub fn new() -> Self {
        Self { clone_body: Cloned, replayed: false, clock: Clock::System, deadline: None }
    }

    /// Clones bodies with this function. When it returns `None`, for a stream for example, the request is sent as it is
    /// and not replayed; a rejected token is invalidated all the same.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::{Either, Full, combinators::BoxBody};
    ///
    /// # fn example() {
    /// type Body = Either<Full<Bytes>, BoxBody<Bytes, std::io::Error>>;
    /// let policy = tower_idaas::RetryUnauthorized::new().clone_body(|body: &Body| match body {
    ///     Either::Left(buffered) => Some(Either::Left(buffered.clone())),
    ///     Either::Right(_streamed) => None,
    /// });
    /// # }
    /// ```
    pub fn clone_body<B, F>(self, clone: F) -> RetryUnauthorized<F>
    where
        F: Fn(&B) -> Option<B>,
    {
        let Self { replayed, clock, deadline, .. } = self;
        RetryUnauthorized { clone_body: clone, replayed, clock, deadline }
    }
}

impl<C> RetryUnauthorized<C> {
    /// Notes the time limit of a clone that may be sent later.
    pub(super) fn cloned<R: HttpRequest>(&mut self, mut clone: R) -> R {
        self.deadline = Deadline::if_limited(&mut clone, &self.clock);
        clone
    }

    pub(super) fn replay<R: HttpRequest, A: HttpResponse, E>(
        &mut self,
        request: &mut R,
        result: &mut Result<A, E>,
    ) -> Option<Ready<()>> {
        // The mark is removed, so that a second policy of this kind around the first does not multiply attempts.
        if !result.as_mut().ok()?.take_rejection() || self.replayed {
            return None;
        }
        if let Some(deadline) = &self.deadline {
            deadline.pass_on(request).ok()?;
        }
        self.replayed = true;
        Some(ready(()))
    }
}

/// Whether the request may leave with the layer's token or secret, as far as is known beforehand. A header that the
/// caller set shows nothing: a secret may go into another one.
fn may_be_replayed<B>(request: &Request<B>) -> bool {
    request.extensions().get::<NoToken>().is_none()
}

impl<B: Clone, A, E> Policy<Request<B>, Response<A>, E> for RetryUnauthorized {
    type Future = Ready<()>;

    fn retry(&mut self, again: &mut Request<B>, result: &mut Result<Response<A>, E>) -> Option<Ready<()>> {
        self.replay(again, result)
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        may_be_replayed(request).then(|| self.cloned(request.clone()))
    }
}

impl<B, A, E, F> Policy<Request<B>, Response<A>, E> for RetryUnauthorized<F>
where
    F: Fn(&B) -> Option<B>,
{
    type Future = Ready<()>;

    fn retry(&mut self, again: &mut Request<B>, result: &mut Result<Response<A>, E>) -> Option<Ready<()>> {
        self.replay(again, result)
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        if !may_be_replayed(request) {
            return None;
        }
        let mut clone = Request::new((self.clone_body)(request.body())?);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.version_mut() = request.version();
        *clone.headers_mut() = request.headers().clone();
        *clone.extensions_mut() = request.extensions().clone();
        Some(self.cloned(clone))
    }
}

impl<C> fmt::Debug for RetryUnauthorized<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryUnauthorized").field("replayed", &self.replayed).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::time::Duration;

    use http::header::AUTHORIZATION;

    use super::*;
    use crate::clock::ManualClock;

    type Result = std::result::Result<Response<()>, ()>;

    fn rejected() -> Result {
        let mut response = Response::new(());
        response.mark_rejection();
        Ok(response)
    }

    fn cloned(policy: &mut RetryUnauthorized, request: &Request<()>) -> Option<Request<()>> {
        Policy::<_, Response<()>, ()>::clone_request(policy, request)
    }

    #[test]
    fn a_replay_has_what_is_left_of_the_requests_own_limit_and_none_is_sent_when_nothing_is() {
        let request = Request::get("/").header("grpc-timeout", "10S").body(()).unwrap();
        for (takes, left) in [(4, Some(6)), (10, None), (11, None)] {
            let clock = ManualClock::new();
            let mut policy =
                RetryUnauthorized { clock: Clock::Manual(clock.clone()), ..RetryUnauthorized::new() };
            let mut again = cloned(&mut policy, &request).unwrap();
            clock.advance(Duration::from_secs(takes));
            let replay = policy.retry(&mut again, &mut rejected());
            let limit = replay.and_then(|_| again.time_limit());
            assert_eq!(limit, left.map(Duration::from_secs), "after {takes} s");
        }
    }

    #[test]
    fn a_request_with_an_authorization_of_the_callers_is_replayed_when_what_the_layer_added_is_rejected() {
        let mut policy = RetryUnauthorized::new();
        let request = Request::get("/").header(AUTHORIZATION, "Bearer the-callers-own").body(()).unwrap();
        let mut again = cloned(&mut policy, &request).unwrap();
        assert!(policy.retry(&mut again, &mut Ok::<_, ()>(Response::new(()))).is_none());
        assert!(policy.retry(&mut again, &mut rejected()).is_some());
    }
}
