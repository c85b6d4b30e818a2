//! The layer over `reqwest::Client`, which is a Tower service of reqwest's own requests and responses.

use std::future::Ready;
use std::time::Duration;

use ::reqwest::{Request, Response};
use http::{HeaderMap, StatusCode};
use tower::retry::Policy;

use crate::service::request::HttpRequest;
use crate::service::response::{HttpResponse, Rejection};
use crate::service::retry::RetryUnauthorized;
use crate::service::sealed::Sealed;
use crate::service::target::Target;

impl Sealed for Request {}

impl HttpRequest for Request {
    #[inline]
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    #[inline]
    fn target(&self) -> Target<'_> {
        Target::Url(self.url())
    }

    /// Always `None`: reqwest's extensions are private.
    #[inline]
    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        None
    }

    #[inline]
    fn extension_count(&self) -> usize {
        0
    }

    fn time_limit(&mut self) -> Option<Duration> {
        self.timeout().copied()
    }

    fn set_time_limit(&mut self, limit: Duration) {
        *self.timeout_mut() = Some(limit);
    }
}

impl Sealed for Response {}

impl HttpResponse for Response {
    const KNOWS_ORIGIN: bool = true;

    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn is_from(&self, origin: u64) -> bool {
        Target::Url(self.url()).origin() == origin
    }

    #[cold]
    fn mark_rejection(&mut self) {
        self.extensions_mut().insert(Rejection);
    }

    fn take_rejection(&mut self) -> bool {
        self.extensions_mut().remove::<Rejection>().is_some()
    }
}

impl<A: HttpResponse, E> Policy<Request, A, E> for RetryUnauthorized {
    type Future = Ready<()>;

    fn retry(&mut self, again: &mut Request, result: &mut Result<A, E>) -> Option<Ready<()>> {
        self.replay(again, result)
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(self.cloned(request.try_clone()?))
    }
}
