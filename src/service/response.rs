//! What the layer needs of a response.

use http::{HeaderMap, HeaderName, Response, StatusCode};

use crate::service::sealed::Sealed;
use crate::service::target::Target;

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The number of `UNAUTHENTICATED` among the status codes of gRPC.
const UNAUTHENTICATED: &[u8] = b"16";

/// Marks a response that rejects the layer's own token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection;

/// A response whose status the layer can see: `http::Response<B>` with any body, and `reqwest::Response` with the
/// feature `reqwest`. Sealed.
pub trait HttpResponse: Sealed {
    /// What is kept of where a request goes, to be compared with where its response came from. Nothing, where
    /// responses do not tell.
    #[doc(hidden)]
    type Origin: Copy + Send + Sync + Unpin + 'static;
    #[doc(hidden)]
    fn origin(target: Target<'_>) -> Self::Origin;
    /// Whether the response came from there, as far as it tells: a client may have followed redirects.
    #[doc(hidden)]
    fn is_from(&self, origin: Self::Origin) -> bool;
    #[doc(hidden)]
    fn status(&self) -> StatusCode;
    /// Whether a gRPC server rejects the request as unauthenticated, with no body to come.
    #[doc(hidden)]
    fn is_grpc_unauthenticated(&self) -> bool;
    /// Leaves word, for those around the layer, that the token was rejected.
    #[doc(hidden)]
    fn mark_rejection(&mut self);
    /// Whether there is such word; it is gone then.
    #[doc(hidden)]
    fn take_rejection(&mut self) -> bool;
}

pub(super) fn is_grpc_unauthenticated(headers: &HeaderMap) -> bool {
    headers.get(&GRPC_STATUS).is_some_and(|status| status.as_bytes() == UNAUTHENTICATED)
}

impl<B> Sealed for Response<B> {}

impl<B> HttpResponse for Response<B> {
    type Origin = ();

    #[inline]
    fn origin(_: Target<'_>) {}

    #[inline]
    fn is_from(&self, (): ()) -> bool {
        true
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
