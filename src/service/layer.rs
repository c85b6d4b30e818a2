//! The layer.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tower::Layer;

use crate::error::ConfigError;
use crate::scope::Scope;
use crate::service::destination::{Destinations, Elsewhere};
use crate::service::protocol::{Grpc, Http};
use crate::service::rejection::Classifier;
use crate::service::service::IdaasService;
use crate::service::shared::Shared;
use crate::token::TokenCache;

/// Wraps an HTTP client so that each request leaves with a token.
///
/// Made by [`Idaas::layer`](crate::Idaas::layer). Put it *inside* layers that retry, so that each attempt gets a token
/// that has not expired, and *inside* layers that set headers: an `Authorization` header that is already on the request
/// stays.
///
/// # How long a request waits
///
/// A request waits for a token no longer than [`IdaasBuilder::wait_timeout`](crate::IdaasBuilder::wait_timeout), or
/// than its own time limit where it has one: that of a `reqwest::Request`, or the header `grpc-timeout`. It leaves with
/// what is left of its own limit, or fails with [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). A time limit of the
/// client, such as reqwest's `ClientBuilder::timeout`, cannot be read and begins when the request leaves; a
/// `tower::timeout::Timeout` around the layer bounds the wait, too.
///
/// While it waits, a request holds nothing of the inner service: what the service has reserved is released, and a clone
/// is made ready once the token has arrived. So one client, with one `concurrency_limit`, can serve API and token
/// requests alike (see [`IdaasBuilder::transport`](crate::IdaasBuilder::transport)).
///
/// # Redirects
///
/// A layer *around* this one that follows redirects asks for a token at each of them: list the
/// [origins](Self::allow_origins) that may have one. A client *inside* that follows them must remove the token on the
/// way to another origin, and must not put it back on. Reqwest's own policy does, whatever the list says: build its
/// client with `Idaas::redirect_policy()`.
///
/// # Which responses reject the token
///
/// Those for which [`rejects_token`](crate::service::rejects_token), or a [classifier](Self::rejection_classifier) of
/// the program's, returns true. A rejection is counted per token and origin: the next request gets a new token, unless
/// that origin has rejected new tokens repeatedly, or other origins accept this one.
pub struct IdaasLayer<P = Http> {
    pub(super) shared: Shared,
    protocol: PhantomData<fn() -> P>,
}

impl IdaasLayer {
    pub(crate) fn new(cache: Arc<TokenCache>) -> Self {
        let scope = cache.default_scope().clone();
        let slot = Arc::clone(cache.default_slot());
        let destinations = Destinations::default();
        let shared = Shared { cache, scope, slot, destinations, classifier: None, grpc: false };
        Self { shared, protocol: PhantomData }
    }
}

impl<P> IdaasLayer<P> {
    /// Asks for tokens of this scope instead of the configured one. A request with a [`Scope`] among its extensions
    /// gets a token of that scope.
    #[must_use]
    pub fn scope(mut self, scope: &Scope) -> Self {
        self.shared.slot = self.shared.cache.slot(scope);
        self.shared.scope = scope.clone();
        self
    }

    /// Lets tokens go to this host over plain HTTP: inside a mesh that encrypts by itself, for example. Called again,
    /// it adds to the list.
    ///
    /// By default a token goes over plain HTTP to this machine only (a loopback address or exactly `localhost`), and a
    /// request to another host fails with [`ErrorKind::Destination`](crate::ErrorKind::Destination). What counts is the
    /// host in the request: a client that sends plain HTTP to a proxy, as reqwest does where `HTTP_PROXY` is set, sends
    /// the token there, too.
    ///
    /// The entry is a host, which stands for each of its ports, or a host and a port. `*.svc.cluster.local` stands for
    /// every sub-domain of `svc.cluster.local`, as in [`allow_origins`](Self::allow_origins).
    ///
    /// ```
    /// # fn example(idaas: &tower_idaas::Idaas) -> Result<(), tower_idaas::ConfigError> {
    /// let layer = idaas.layer().allow_plaintext("*.svc.cluster.local")?.allow_plaintext("orders:8080")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When no request can match the entry (it has a scheme, a path or a network's prefix, is empty, or is not ASCII),
    /// or when it stands for the sub-domains of a public suffix, which belong to different owners.
    pub fn allow_plaintext(mut self, host: impl AsRef<str>) -> Result<Self, ConfigError> {
        self.shared.destinations.allow_plaintext(host.as_ref())?;
        Ok(self)
    }

    /// Lets tokens go to these origins and nowhere else; without a list, tokens go to every `https` destination. Called
    /// again, it adds to the list. An empty list lets them go nowhere.
    ///
    /// An entry is a scheme, a host and an optional port, and matches them exactly (RFC 6454): letter case and the
    /// scheme's own port make no difference, nor does a slash at the end, as a `Uri` or a `Url` without a path has it; a
    /// trailing dot makes another host. `https://*.example.com` stands for every sub-domain of `example.com`, however
    /// deep, and not for `example.com` itself. A host that is not ASCII is written in Punycode. A wildcard over a public
    /// suffix, such as `https://*.com`, `https://*.co.uk` or
    /// `https://*.aliyuncs.com`, is refused.
    ///
    /// An entry with `http://` alone does not allow plain HTTP: for a host other than this machine, call
    /// [`allow_plaintext`](Self::allow_plaintext), too.
    ///
    /// A request to another origin fails with [`ErrorKind::Destination`](crate::ErrorKind::Destination), or leaves
    /// [without a token](Self::without_token_elsewhere). So does a request whose URI names no host, because the layer
    /// cannot see its destination.
    ///
    /// ```
    /// # fn example(idaas: &tower_idaas::Idaas) -> Result<(), tower_idaas::ConfigError> {
    /// let layer = idaas.layer().allow_origins(["https://api.example.com", "https://*.svc.example.com:8443"])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// All entries that are not such origins, at once.
    pub fn allow_origins<I>(mut self, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.shared.destinations.allow_origins(origins)?;
        Ok(self)
    }

    /// When a destination may not get a token, sends the request without one instead of failing it. This applies to
    /// origins that are not [on the list](Self::allow_origins) and to plain HTTP.
    #[must_use]
    pub fn without_token_elsewhere(mut self) -> Self {
        self.shared.destinations.elsewhere = Elsewhere::WithoutToken;
        self
    }

    /// Decides with this function which responses reject the token, instead of with
    /// [`rejects_token`](crate::service::rejects_token): for an API that responds with a 403, for example, or with a
    /// header of its own. An API that reports it in the body needs a layer inside this one, which reads the body and
    /// sets a header.
    ///
    /// ```
    /// # fn example(idaas: &tower_idaas::Idaas) {
    /// use tower_idaas::service::rejects_token;
    ///
    /// let layer = idaas.layer().rejection_classifier(|status, headers| {
    ///     rejects_token(status, headers)
    ///         || (status == 403 && headers.get("x-error").is_some_and(|error| error == "TokenExpired"))
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn rejection_classifier(
        mut self,
        rejects: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.shared.classifier = Some(Classifier::new(rejects));
        self
    }

    /// Makes the layer one for gRPC.
    ///
    /// A call that cannot have a token, or whose destination may not get one, ends with a status that says what to do
    /// about it, and with the error's message: `UNAVAILABLE` for transient failures, `UNAUTHENTICATED` for credentials
    /// and refusals, `FAILED_PRECONDITION` for destinations, `DEADLINE_EXCEEDED` and `RESOURCE_EXHAUSTED`. It is a
    /// response of trailers alone, as a server would send it; the [`Error`](crate::Error) is among its extensions.
    ///
    /// `grpc-status: 16`, which is UNAUTHENTICATED, among the headers of a response counts as a 401 does: the token is
    /// invalidated, so that the next call leaves with another. The call itself fails: `tonic`'s bodies cannot be
    /// cloned, so a client generated by it cannot have [`RetryUnauthorized`](crate::RetryUnauthorized), which replays
    /// calls whose bodies can. A gRPC server sends the status among the headers when it rejects a call before it begins
    /// (a response of trailers alone). A status in the trailers after a body is not seen.
    ///
    /// The inner service's response body must be [`Default`], as `tonic::body::Body` is.
    ///
    /// A `tonic` channel sets the origin of requests *inside* the layer. Without an origin the layer cannot distinguish
    /// plain text from TLS, and with a [list of origins](Self::allow_origins) it refuses the call. So give the origin to
    /// the client, too:
    ///
    /// ```
    /// # fn example(idaas: &tower_idaas::Idaas) -> Result<(), tower_idaas::BoxError> {
    /// use tonic::transport::{Channel, Uri};
    /// use tonic_health::pb::health_client::HealthClient;
    /// use tower::Layer;
    ///
    /// let origin = Uri::from_static("https://orders.example.com");
    /// let channel = Channel::builder(origin.clone()).connect_lazy();
    /// let client = HealthClient::with_origin(idaas.layer().grpc().layer(channel), origin);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn grpc(self) -> IdaasLayer<Grpc> {
        let shared = Shared { grpc: true, ..self.shared };
        IdaasLayer { shared, protocol: PhantomData }
    }
}

impl<S, P> Layer<S> for IdaasLayer<P> {
    type Service = IdaasService<S, P>;

    fn layer(&self, inner: S) -> IdaasService<S, P> {
        IdaasService::new(inner, Arc::new(self.shared.clone()))
    }
}

impl<P> Clone for IdaasLayer<P> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), protocol: PhantomData }
    }
}

impl<P> fmt::Debug for IdaasLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { cache: _, scope, slot: _, destinations, classifier, grpc: _ } = &self.shared;
        f.debug_struct("IdaasLayer")
            .field("scope", scope)
            .field("destinations", destinations)
            .field("classifier", classifier)
            .finish_non_exhaustive()
    }
}
