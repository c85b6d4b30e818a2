//! What a [`RedisStore`] is built from.

use std::sync::{Arc, Mutex};

use rustls::ClientConfig;

use crate::cache::lru_map::LruMap;
use crate::environment::Environment;
#[cfg(feature = "test-util")]
use crate::environment::ManualEnvironment;
use crate::error::{ConfigError, ConfigFault};
use crate::secret::SecretSource;
use crate::store::redis::address::Address;
use crate::store::redis::pool::Pool;
use crate::store::redis::{RedisStore, Sentinels};
use crate::store::source::NAMES;
use crate::transport::client_config;

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

    /// Asks sentinels where the master of this name is; login, database and TLS are those of the store's address,
    /// whose host is not used then. `sentinels` leads to their own addresses, separated by commas.
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
    /// An address that is not there or is none, and with TLS the faults of the certificate authorities.
    pub fn build(self) -> Result<RedisStore, ConfigError> {
        let Self { addresses, sentinels, root_certificates, environment } = self;
        let mut faults = Vec::new();
        let mut wants_tls = false;
        for source in [Some(&addresses), sentinels.as_ref().map(|sentinels| &sentinels.addresses)] {
            match source.map(|source| Address::read(source, &environment)) {
                Some(Ok(addresses)) => wants_tls |= addresses.iter().any(|address| address.tls),
                Some(Err(error)) => {
                    faults.push(ConfigFault::new("token_store", format!("has no address: {error}")));
                }
                None => {}
            }
        }
        let tls = wants_tls.then(|| client_config(&environment, &root_certificates)).transpose();
        let tls = tls.map_err(|more| faults.extend(more)).unwrap_or_default();
        if !faults.is_empty() {
            return Err(ConfigError::all(None, faults));
        }
        let moved = Mutex::new(LruMap::new(NAMES));
        let tls: Option<Arc<ClientConfig>> = tls.map(Arc::new);
        Ok(RedisStore { addresses, sentinels, environment, tls, pool: Pool::default(), moved })
    }
}
