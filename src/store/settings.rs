//! A store, and how it is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::secret::SecretSource;
use crate::store::token_store::TokenStore;

/// How long one call of the store may take.
const TIMEOUT: Duration = Duration::from_millis(250);

/// How long others wait for one who died; renewed thrice in that time by one who lives.
const LEASE: Duration = Duration::from_secs(5);

/// A [`TokenStore`] and how it is used; for [`IdaasBuilder::token_store`](crate::IdaasBuilder::token_store).
///
/// ```
/// use tower_idaas::SecretSource;
/// use tower_idaas::store::SharedStore;
/// # fn example(store: impl tower_idaas::store::TokenStore) -> Result<(), tower_idaas::ConfigError> {
/// let shared = SharedStore::new(store, SecretSource::variable("IDAAS_STORE_KEYS"));
/// let idaas = tower_idaas::Idaas::builder().config_from_env().token_store(shared).build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it is for `IdaasBuilder::token_store`"]
pub struct SharedStore {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) keys: SecretSource,
    pub(crate) namespace: String,
    pub(crate) timeout: Duration,
    pub(crate) lease: Duration,
    pub(crate) wait: Option<Duration>,
}

impl SharedStore {
    /// Shares tokens through this store, sealed under these keys.
    ///
    /// `keys` leads to one key or several, separated by commas or white space: 32 bytes each, as 64 hexadecimal
    /// digits or as Base64. The first one seals, all of them open; see [the module](super) for how to rotate them.
    /// They are checked when the client is built, and read again for each fetch.
    pub fn new(store: impl TokenStore, keys: SecretSource) -> Self {
        Self {
            store: Arc::new(store),
            keys,
            namespace: String::new(),
            timeout: TIMEOUT,
            lease: LEASE,
            wait: None,
        }
    }

    /// Keeps these tokens apart from those of others with the same issuer, client, method and scope. Needed with
    /// [`IdaasBuilder::token_source`](crate::IdaasBuilder::token_source), which has no client to go by. Empty by
    /// default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long one call of the store may take, a new connection included. 250 ms by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the lock of a process that fetches lasts if the process dies. 5 seconds by default. It is renewed for
    /// as long as the fetch takes.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a process waits for a token that another one is fetching, before it fetches one itself. Twice
    /// the lease by default; half of [`IdaasBuilder::wait_timeout`](crate::IdaasBuilder::wait_timeout) at most, where
    /// that is set, so that time is left to fetch.
    ///
    /// After a wait in vain, others are not waited for: for a minute, for two after the next one, and so on up to an
    /// hour.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Waits no longer than this.
    pub(crate) fn wait_at_most(mut self, longest: Duration) -> Self {
        self.wait = Some(self.longest_wait().min(longest));
        self
    }

    pub(crate) fn longest_wait(&self) -> Duration {
        self.wait.unwrap_or(self.lease.saturating_mul(2))
    }

    /// What a fetch may take longer than without the store: the wait, and calls before and after it.
    pub(crate) fn longest_delay(&self) -> Duration {
        self.longest_wait().saturating_add(self.timeout.saturating_mul(8))
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, keys, namespace, timeout, lease, wait } = self;
        f.debug_struct("SharedStore")
            .field("store", store)
            .field("keys", keys)
            .field("namespace", namespace)
            .field("timeout", timeout)
            .field("lease", lease)
            .field("wait", wait)
            .finish()
    }
}
