//! What the layer needs of a request.

use std::time::Duration;

use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Uri};

use crate::service::grpc_timeout;
use crate::service::sealed::Sealed;
use crate::service::target::Target;

/// A request that the layer can put a token on: `http::Request<B>` with any body, and `reqwest::Request` with the
/// feature `reqwest`. For [`IdaasLayer::authorize`](super::IdaasLayer::authorize) also the parts of a request, or its
/// URI and headers as a pair. Sealed.
///
/// The extensions of a `reqwest::Request` cannot be read from outside reqwest: a [`Scope`](crate::Scope),
/// [`SubjectToken`](crate::SubjectToken) or [`NoToken`] on it has no effect. They take effect when the request is made
/// from an `http::Request` inside the layer:
///
/// ```
/// # #[cfg(feature = "reqwest")]
/// # fn example(idaas: &tower_idaas::Idaas) -> reqwest::Result<()> {
/// use tower::{ServiceBuilder, filter::FilterLayer};
///
/// let client = ServiceBuilder::new()
///     .layer(idaas.layer())
///     .layer(FilterLayer::new(|request: http::Request<reqwest::Body>| reqwest::Request::try_from(request)))
///     .service(reqwest::Client::builder().redirect(tower_idaas::Idaas::redirect_policy()).build()?);
/// # fn is_a_client<S: tower::Service<http::Request<reqwest::Body>>>(_: S) {}
/// # is_a_client(client);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "the layer of tower-idaas cannot put a token on a request of type `{Self}`",
    label = "neither an `http::Request` (crate http, version 1) nor a `reqwest::Request`",
    note = "a `reqwest::Request` is one of reqwest 0.13, with the feature `reqwest` of tower-idaas; for another client, \
            or another version, see `IdaasLayer::authorize`"
)]
pub trait HttpRequest: Sealed {
    #[doc(hidden)]
    fn headers_mut(&mut self) -> &mut HeaderMap;
    #[doc(hidden)]
    fn target(&self) -> Target<'_>;
    /// The request's extension of this type, if it has one.
    #[doc(hidden)]
    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T>;
    /// How many extensions the request has.
    #[doc(hidden)]
    fn extension_count(&self) -> usize;
    /// The request's own time limit, if it has one.
    #[doc(hidden)]
    fn time_limit(&mut self) -> Option<Duration> {
        grpc_timeout::read(self.headers_mut())
    }
    /// Replaces the request's own time limit.
    #[doc(hidden)]
    fn set_time_limit(&mut self, limit: Duration) {
        grpc_timeout::write(self.headers_mut(), limit);
    }
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
    fn extension_count(&self) -> usize {
        self.extensions().len()
    }
}

impl Sealed for Parts {}

impl HttpRequest for Parts {
    fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    fn target(&self) -> Target<'_> {
        Target::Uri(&self.uri)
    }

    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }

    fn extension_count(&self) -> usize {
        self.extensions.len()
    }
}

/// A request's URI and headers.
impl Sealed for (&Uri, &mut HeaderMap) {}

impl HttpRequest for (&Uri, &mut HeaderMap) {
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.1
    }

    fn target(&self) -> Target<'_> {
        Target::Uri(self.0)
    }

    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        None
    }

    fn extension_count(&self) -> usize {
        0
    }
}

/// The same with the request's extensions.
impl Sealed for (&Uri, &mut HeaderMap, &Extensions) {}

impl HttpRequest for (&Uri, &mut HeaderMap, &Extensions) {
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.1
    }

    fn target(&self) -> Target<'_> {
        Target::Uri(self.0)
    }

    fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        self.2.get()
    }

    fn extension_count(&self) -> usize {
        self.2.len()
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
