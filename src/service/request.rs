//! What the layer needs of a request.

use http::{HeaderMap, Request};

use crate::service::sealed::Sealed;
use crate::service::target::Target;

/// A request that the layer can put a token on: `http::Request<B>` with any body, and `reqwest::Request` with the
/// feature `reqwest`. Sealed.
///
/// What a `reqwest::Request` carries as an extension cannot be seen from outside reqwest: a [`Scope`](crate::Scope),
/// [`SubjectToken`](crate::SubjectToken) or [`NoToken`] on it has no effect. Make it from an `http::Request`, inside
/// the layer, and it has:
///
/// ```
/// # #[cfg(feature = "reqwest")]
/// # fn example(idaas: &tower_idaas::Idaas) {
/// use tower::{ServiceBuilder, filter::FilterLayer};
///
/// let client = ServiceBuilder::new()
///     .layer(idaas.layer())
///     .layer(FilterLayer::new(|request: http::Request<reqwest::Body>| reqwest::Request::try_from(request)))
///     .service(reqwest::Client::new());
/// # fn is_a_client<S: tower::Service<http::Request<reqwest::Body>>>(_: S) {}
/// # is_a_client(client);
/// # }
/// ```
pub trait HttpRequest: Sealed {
    #[doc(hidden)]
    fn headers_mut(&mut self) -> &mut HeaderMap;
    #[doc(hidden)]
    fn target(&self) -> Target<'_>;
    /// What the caller attached to the request, when there is anything of this type.
    #[doc(hidden)]
    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T>;
    /// How many things the caller attached.
    #[doc(hidden)]
    fn extensions(&self) -> usize;
}

impl<B> Sealed for Request<B> {}

impl<B> HttpRequest for Request<B> {
    #[inline]
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    #[inline]
    fn target(&self) -> Target<'_> {
        Target::Uri(self.uri())
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
