//! The layer.

use std::sync::Arc;

use tower::Layer;

use super::destination::{Destinations, Elsewhere};
use super::service::{IdaasService, Shared};
use crate::error::ConfigError;
use crate::scope::Scope;
use crate::token::{Slot, Token, TokenCache};

/// Wraps an HTTP client so that each request leaves with a token.
///
/// Made by [`Idaas::layer`](crate::Idaas::layer). Put it *inside* layers that retry, so that each attempt
/// gets a live token, and *inside* anything that sets headers of the caller's own: an `Authorization` header
/// that is already there stays.
#[derive(Clone, Debug)]
pub struct IdaasLayer {
    pub(super) cache: Arc<TokenCache>,
    pub(super) scope: Scope,
    pub(super) slot: Arc<Slot<Token>>,
    pub(super) destinations: Destinations,
    grpc: bool,
}

impl IdaasLayer {
    pub(crate) fn new(cache: Arc<TokenCache>) -> Self {
        let scope = cache.default_scope().clone();
        let slot = Arc::clone(cache.default_slot());
        Self { cache, scope, slot, destinations: Destinations::default(), grpc: false }
    }

    /// Asks for tokens of this scope instead of the configured one. A request that carries a [`Scope`] as an
    /// extension gets its own still.
    #[must_use]
    pub fn scope(mut self, scope: &Scope) -> Self {
        self.slot = self.cache.slot(scope);
        self.scope = scope.clone();
        self
    }

    /// Lets tokens go to this host over plain HTTP: inside a mesh that encrypts by itself, for example.
    /// Otherwise plain HTTP is for loopback hosts only, and a request elsewhere fails with
    /// [`ErrorKind::Destination`](crate::ErrorKind::Destination).
    #[must_use]
    pub fn allow_plaintext(mut self, host: impl Into<String>) -> Self {
        self.destinations.allow_plaintext(host.into());
        self
    }

    /// Lets tokens go to these origins and nowhere else; without a list they go to every `https` destination.
    /// Called again, it adds to the list. An empty list lets them go nowhere.
    ///
    /// An entry is a scheme, a host and maybe a port, and matches them exactly (RFC 6454): letter case and the
    /// scheme's own port make no difference, while a dot at the end makes another host. `https://*.example.com`
    /// stands for every sub-domain of `example.com`, however deep, and not for `example.com` itself. A host
    /// that is not ASCII is written in Punycode.
    ///
    /// An entry with `http://` says where a token may go, not that it may go there in plain text: for another
    /// host than this machine, [`allow_plaintext`](Self::allow_plaintext) must say so, too.
    ///
    /// A request to anywhere else fails with [`ErrorKind::Destination`](crate::ErrorKind::Destination), or goes
    /// [without a token](Self::without_token_elsewhere). So does one whose URI names no host, for its
    /// destination is not known here.
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
    /// Every entry that is no such origin, at once.
    pub fn allow_origins<I>(mut self, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.destinations.allow_origins(origins)?;
        Ok(self)
    }

    /// Sends requests to destinations that may not get a token without one, instead of failing them. That goes
    /// for origins that are not [on the list](Self::allow_origins) and for plain HTTP.
    #[must_use]
    pub fn without_token_elsewhere(mut self) -> Self {
        self.destinations.elsewhere = Elsewhere::WithoutToken;
        self
    }

    /// Takes `grpc-status: 16`, which is UNAUTHENTICATED, among the headers of a response for what a 401 is: the
    /// token is withdrawn, and [`Idaas::retry_unauthorized`](crate::Idaas::retry_unauthorized) replays.
    ///
    /// That is how gRPC servers answer a call that they reject before they begin (a response of trailers
    /// alone). A status in the trailers after a body is not seen. Other layers' responses cost nothing more.
    ///
    /// A `tonic` channel puts its origin on requests *inside* the layer, which sees none then: it cannot tell plain
    /// text from TLS, and with a [list of origins](Self::allow_origins) refuses. So name the origin to the client, too:
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
    pub fn grpc(mut self) -> Self {
        self.grpc = true;
        self
    }
}

impl<S> Layer<S> for IdaasLayer {
    type Service = IdaasService<S>;

    fn layer(&self, inner: S) -> IdaasService<S> {
        let Self { cache, scope, slot, destinations, grpc } = self.clone();
        IdaasService::new(inner, Arc::new(Shared { cache, scope, slot, destinations, grpc }))
    }
}
