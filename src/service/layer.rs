//! The layer.

use std::sync::Arc;

use tower::Layer;

use super::destination::Destinations;
use super::service::{IdaasService, Shared};
use crate::scope::Scope;
use crate::token::{Slot, Token, TokenCache};

/// Wraps an HTTP client so that each request leaves with a token.
///
/// Made by [`Idaas::layer`](crate::Idaas::layer). Put it *inside* layers that retry, so that each attempt
/// gets a live token, and *inside* anything that sets headers of the caller's own: an `Authorization` header
/// that is already there stays.
#[derive(Clone, Debug)]
pub struct IdaasLayer {
    cache: Arc<TokenCache>,
    scope: Scope,
    slot: Arc<Slot<Token>>,
    destinations: Destinations,
}

impl IdaasLayer {
    pub(crate) fn new(cache: Arc<TokenCache>) -> Self {
        let scope = cache.default_scope().clone();
        let slot = Arc::clone(cache.default_slot());
        Self { cache, scope, slot, destinations: Destinations::default() }
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
}

impl<S> Layer<S> for IdaasLayer {
    type Service = IdaasService<S>;

    fn layer(&self, inner: S) -> IdaasService<S> {
        let Self { cache, scope, slot, destinations } = self.clone();
        IdaasService::new(inner, Arc::new(Shared { cache, scope, slot, destinations }))
    }
}
