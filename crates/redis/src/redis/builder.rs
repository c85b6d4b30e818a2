//! What a [`RedisStore`] is built from.

use std::sync::{Arc, Mutex};

use lru::LruCache;
use rustls::ClientConfig;
use tower_idaas::clock::Clock;
use tower_idaas::environment::Environment;
#[cfg(feature = "test-util")]
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ConfigError, ConfigFault, SecretSource};

use crate::last_good::LastGood;
use crate::redis::address::Address;
use crate::redis::pool::Pool;
use crate::redis::tls::client_config;
use crate::redis::{RedisStore, Sentinels};
use crate::shared_source::NAMES;

/// Builds a [`RedisStore`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RedisStoreBuilder {
    addresses: SecretSource,
    sentinels: Option<Sentinels>,
    root_certificates: Vec<Vec<u8>>,
    environment: Environment,
}

impl RedisStoreBuilder {
    pub(super) fn new(addresses: SecretSource) -> Self {
        let environment = Environment::default();
        Self { addresses, sentinels: None, root_certificates: Vec::new(), environment }
    }

    /// Asks sentinels where the master of this name is. Login, database and TLS are those of the store's address; its
    /// host is not used then. `sentinels` leads to the sentinels' own addresses, separated by commas.
    pub fn sentinels(mut self, master: impl Into<String>, sentinels: SecretSource) -> Self {
        self.sentinels = Some(Sentinels { master: master.into(), addresses: sentinels });
        self
    }

    /// Trusts further certificate authorities, in PEM form, beside the platform's. `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` replace the platform's.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Reads environment variables from a test's own set instead of the process's.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn environment(mut self, environment: ManualEnvironment) -> Self {
        self.environment = Environment::Manual(environment);
        self
    }

    /// Checks everything and builds the store. Connects to nothing.
    ///
    /// # Errors
    ///
    /// Every fault at once: an address that is missing or cannot be parsed, and with TLS the faults of the certificate
    /// authorities.
    pub fn build(self) -> Result<RedisStore, ConfigError> {
        let Self { addresses, sentinels, root_certificates, environment } = self;
        let mut faults = Vec::new();
        let mut wants_tls = false;
        for source in [Some(&addresses), sentinels.as_ref().map(|sentinels| &sentinels.addresses)] {
            let Some(source) = source else { continue };
            let parsed = source.read_blocking(&environment).and_then(|text| {
                text.map(|text| Address::parse_all(text.expose_secret(), source)).transpose()
            });
            match parsed {
                Ok(Some(addresses)) => wants_tls |= addresses.iter().any(|address| address.tls),
                // What only a function knows may be with TLS.
                Ok(None) => wants_tls = true,
                Err(error) => {
                    faults.push(ConfigFault::new("token_store", format!("has no address: {error}")));
                }
            }
        }
        let tls = wants_tls.then(|| client_config(&environment, &root_certificates)).transpose();
        let tls: Option<ClientConfig> = tls.map_err(|more| faults.extend(more)).unwrap_or_default();
        let mut faults = faults.into_iter();
        if let Some(first) = faults.next() {
            return Err(ConfigError::from(first).and(faults));
        }
        Ok(RedisStore {
            addresses,
            sentinels,
            environment,
            clock: Clock::default(),
            tls: tls.map(Arc::new),
            pool: Pool::default(),
            last_endpoints: LastGood::default(),
            moved: Mutex::new(LruCache::new(NAMES)),
        })
    }
}
