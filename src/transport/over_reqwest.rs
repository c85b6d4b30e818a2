//! Token requests over a `reqwest` client.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;

use crate::error::{BoxError, BoxFuture};
use crate::transport::failure::RedirectFollowed;

/// A `reqwest::Client` as the service that token requests are sent over.
#[derive(Clone, Debug)]
pub(crate) struct OverReqwest(pub(crate) reqwest::Client);

impl Service<Request<Full<Bytes>>> for OverReqwest {
    type Response = Response<reqwest::Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
            let destination = request.url().clone();
            // Errors name the endpoint themselves; the query of the URL may hold a secret.
            let response = client.execute(request).await.map_err(reqwest::Error::without_url)?;
            if *response.url() != destination {
                return Err(RedirectFollowed.into());
            }
            Ok(response.into())
        })
    }
}
