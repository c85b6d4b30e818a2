//! What the layer needs of a response.

use http::{HeaderMap, Response, StatusCode};

use crate::service::sealed::Sealed;

/// Marks a response that rejects the layer's own token, when the next request gets another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection;

/// A response whose status and headers the layer can see: `http::Response<B>` with any body, and `reqwest::Response`
/// with the feature `reqwest`. Sealed.
#[diagnostic::on_unimplemented(
    message = "the layer of tower-idaas cannot read a response of type `{Self}`",
    label = "neither an `http::Response` (crate http, version 1) nor a `reqwest::Response`",
    note = "a `reqwest::Response` is one of reqwest 0.13, with the feature `reqwest` of tower-idaas; for another \
            client, or another version, see `IdaasLayer::authorize`"
)]
pub trait HttpResponse: Sealed {
    /// Whether responses of this type know the origin that they came from.
    #[doc(hidden)]
    const KNOWS_ORIGIN: bool;
    #[doc(hidden)]
    fn status(&self) -> StatusCode;
    #[doc(hidden)]
    fn headers(&self) -> &HeaderMap;
    /// Whether the response came from this origin, as far as is known: a client may have followed redirects.
    #[doc(hidden)]
    fn is_from(&self, origin: u64) -> bool;
    /// Marks the response for outer layers: the token was rejected, and the next request gets another one.
    #[doc(hidden)]
    fn mark_rejection(&mut self);
    /// Removes the mark. True if there was one.
    #[doc(hidden)]
    fn take_rejection(&mut self) -> bool;
}

impl<B> Sealed for Response<B> {}

impl<B> HttpResponse for Response<B> {
    const KNOWS_ORIGIN: bool = false;

    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    #[inline]
    fn is_from(&self, _origin: u64) -> bool {
        true
    }

    #[cold]
    fn mark_rejection(&mut self) {
        self.extensions_mut().insert(Rejection);
    }

    fn take_rejection(&mut self) -> bool {
        self.extensions_mut().remove::<Rejection>().is_some()
    }
}
