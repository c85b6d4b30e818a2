//! What the layer needs of a response.

use http::{Response, StatusCode};

use super::sealed::Sealed;

/// A response whose status the layer can see: `http::Response<B>` with any body. Sealed.
pub trait Answer: Sealed {
    #[doc(hidden)]
    fn status(&self) -> StatusCode;
}

impl<B> Sealed for Response<B> {}

impl<B> Answer for Response<B> {
    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }
}
