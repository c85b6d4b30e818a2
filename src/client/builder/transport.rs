//! The builder's part for how requests to the issuer are sent.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;

use crate::client::builder::IdaasBuilder;
use crate::error::BoxError;
use crate::transport::Transport;

/// # How requests to the issuer are sent
impl IdaasBuilder {
    /// How long a connection to the issuer may take, TLS included: key `httpConfiguration.connectTimeout`.
    /// 5 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.overrides.http.connect_timeout.set(timeout);
        self
    }

    /// How long the issuer's complete response may take: key `httpConfiguration.readTimeout`. 10 seconds by
    /// default.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.overrides.http.read_timeout.set(timeout);
        self
    }

    /// Trusts further certificate authorities, in PEM form, beside the platform's. `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` replace the platform's. A transport of your own has authorities of its own:
    /// then these are not used, which is logged as a warning.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Sends token requests through an HTTP service of your own, with its own TLS, proxy and pool, or over
    /// HTTP/2, where the built-in client speaks HTTP/1.1. Time-outs and the cap on a response's size hold for it
    /// too.
    ///
    /// It must not follow redirects (`reqwest` does by default): a redirect that it returns is refused, but one that it
    /// follows is not seen, and may send the client's credentials elsewhere.
    ///
    /// A `reqwest::Client` is not such a service: give it to `transport_reqwest`, with the feature `reqwest`.
    ///
    /// The service is `Clone`, `Send` and `Sync`: a stack that is not, or whose type cannot be named, becomes so in a
    /// `tower::util::BoxCloneSyncService`.
    ///
    /// The service may be the one that the layer wraps, with its limits and buffers: a request that waits for a token
    /// holds nothing of the service that the token request needs. It must not contain the layer: a token request would
    /// wait for the token that it fetches.
    pub fn transport<S, B>(mut self, service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.transport = Some(Box::new(|connect, read| Transport::new(service, connect, read)));
        self
    }

    /// Sends token requests over this client of reqwest, with its TLS, proxies and authorities.
    ///
    /// Build it with `reqwest::redirect::Policy::none()`: a redirect would send the client's credentials elsewhere. A
    /// followed redirect is an error.
    ///
    /// ```
    /// # fn example() -> Result<(), tower_idaas::BoxError> {
    /// use tower_idaas::Idaas;
    ///
    /// let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    /// let idaas = Idaas::builder().config_from_env().transport_reqwest(http).build();
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "reqwest")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
    pub fn transport_reqwest(self, client: reqwest::Client) -> Self {
        self.transport(crate::transport::OverReqwest(client))
    }
}
