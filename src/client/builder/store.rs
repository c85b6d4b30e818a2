//! Tokens that are shared with other processes.

use std::sync::Arc;

use http::Uri;

use crate::client::builder::IdaasBuilder;
use crate::error::{ConfigError, ConfigFault};
use crate::store::{Injected, Owner, SharedStore, share};
use crate::telemetry::Telemetry;
use crate::token::TokenSource;

impl IdaasBuilder {
    /// Shares the tokens with other processes through a store: see [`store`](crate::store). Exchanged tokens and
    /// STS credentials of cloud roles are not shared.
    ///
    /// The store is asked when a token has to be fetched, before the issuer. A request without a token may wait
    /// longer then, because another instance is fetching: by [`SharedStore::wait`] and a few of
    /// [`SharedStore::timeout`] at most.
    pub fn token_store(mut self, store: SharedStore) -> Self {
        self.store = Some(store);
        self
    }

    /// The source with the store in front, if there is one. `is_own` is whether code gave the source, or a method
    /// that is not built in.
    pub(super) fn with_store(
        &mut self,
        source: Arc<dyn TokenSource>,
        owner: Owner,
        is_own: bool,
        telemetry: &Telemetry,
    ) -> Result<Arc<dyn TokenSource>, ConfigError> {
        let Some(mut store) = self.store.take() else { return Ok(source) };
        if let Some(callers_wait) = self.wait_timeout {
            // Or who waits for one who died would have no time left to fetch.
            store = store.wait_at_most(callers_wait / 2);
        }
        let owner = Owner { namespace: store.namespace.clone(), ..owner };
        if is_own && owner.namespace.is_empty() {
            let problem = "has no namespace; with a source or a method of your own, nothing else keeps its tokens \
                           apart from those of others: name it with `SharedStore::namespace`";
            return Err(ConfigError::one(ConfigFault::new("token_store", problem)));
        }
        let (environment, clock) = (self.environment.clone(), self.clock.clone());
        let injected = Injected { owner, environment, clock, telemetry: telemetry.clone() };
        share(store, source, injected).map_err(|error| {
            ConfigError::one(ConfigFault::new("token_store", format!("has no usable keys: {error}")))
        })
    }
}

pub(super) fn text(uri: Option<&Uri>) -> String {
    uri.map(ToString::to_string).unwrap_or_default()
}
