//! What the layer needs of a request.

use http::{HeaderMap, Request, Uri};

use super::sealed::Sealed;

/// A request that the layer can put a token on: `http::Request<B>` with any body. Sealed.
pub trait Outgoing: Sealed {
    #[doc(hidden)]
    fn headers_mut(&mut self) -> &mut HeaderMap;
    #[doc(hidden)]
    fn uri(&self) -> &Uri;
    /// What the caller attached to the request, when there is anything of this type.
    #[doc(hidden)]
    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T>;
    /// How many things the caller attached.
    #[doc(hidden)]
    fn extensions(&self) -> usize;
}

impl<B> Sealed for Request<B> {}

impl<B> Outgoing for Request<B> {
    #[inline]
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    #[inline]
    fn uri(&self) -> &Uri {
        self.uri()
    }

    #[inline]
    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions().get()
    }

    #[inline]
    fn extensions(&self) -> usize {
        self.extensions().len()
    }
}

/// An extension that sends a request without a token.
///
/// ```
/// let mut request = http::Request::get("https://status.example.com/").body(())?;
/// request.extensions_mut().insert(tower_idaas::NoToken);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NoToken;
