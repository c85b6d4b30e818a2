//! The layer over `reqwest::Client`, which is a Tower service of reqwest's own requests and responses.

use std::future::Ready;

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use reqwest::{Request, Response};
use tower::retry::Policy;

use crate::service::request::HttpRequest;
use crate::service::response::{HttpResponse, Rejection, is_grpc_unauthenticated};
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

    /// None: reqwest keeps them to itself.
    #[inline]
    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        None
    }

    #[inline]
    fn extensions(&self) -> usize {
        0
    }
}

impl Sealed for Response {}

impl HttpResponse for Response {
    type Origin = u64;

    #[inline]
    fn origin(target: Target<'_>) -> u64 {
        target.origin()
    }

    fn is_from(&self, origin: u64) -> bool {
        Target::Url(self.url()).origin() == origin
    }

    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn is_grpc_unauthenticated(&self) -> bool {
        is_grpc_unauthenticated(self.headers())
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

    fn retry(&mut self, _: &mut Request, result: &mut Result<A, E>) -> Option<Ready<()>> {
        self.replay(result)
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        if request.headers().contains_key(AUTHORIZATION) {
            return None;
        }
        request.try_clone()
    }
}
