//! A store, how it is used, and how it gets in front of a client's token source.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lru::LruCache;
use tower_idaas::token::SourceContext;
use tower_idaas::{ConfigError, ConfigFault, SecretSource, TokenSource};

use crate::guarded::{CircuitBreaker, GuardedStore};
use crate::last_good::LastGood;
use crate::lock::LockSettings;
use crate::name::Identity;
use crate::shared_source::{NAMES, SharedSource};
use crate::telemetry::Telemetry;
use crate::token_store::TokenStore;

/// How long one call of the store may take.
const TIMEOUT: Duration = Duration::from_millis(250);

/// How long the others wait for a process that died; a living one renews its lease three times in that time.
const LEASE: Duration = Duration::from_secs(5);

/// How many times as long as a call of the store reading the keys may take: a function may bring them from afar.
const CALLS_PER_READING: u32 = 4;

/// What the keys and calls of the store can add to a fetch besides the wait.
const CALLS_PER_FETCH: u32 = 8 + CALLS_PER_READING;

/// A [`TokenStore`] and how it is used. [`in_front_of`](Self::in_front_of) puts it in front of a client's token source:
///
/// ```
/// use tower_idaas::{Idaas, SecretSource};
/// use tower_idaas_redis::SharedStore;
/// # fn example(store: impl tower_idaas_redis::TokenStore) -> Result<(), tower_idaas::ConfigError> {
/// let store = SharedStore::new(store, SecretSource::variable("IDAAS_STORE_KEYS"));
/// let idaas = Idaas::builder()
///     .config_from_env()
///     .wrap_source(|source, context| store.in_front_of(source, context))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing until it is in front of a token source"]
pub struct SharedStore {
    store: Arc<dyn TokenStore>,
    keys: SecretSource,
    namespace: String,
    timeout: Duration,
    lease: Duration,
    wait: Option<Duration>,
}

impl SharedStore {
    /// Shares tokens through this store, sealed under these keys.
    ///
    /// `keys` leads to one key or several, separated by commas or white space: 32 bytes each, as 64 hexadecimal
    /// digits or as Base64. The first one seals, all of them open; see [the crate](crate#the-keys) for how to rotate
    /// them. They are read again for each fetch.
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

    /// Sets a name that keeps these tokens apart from those of other clients with the same issuer, instance, client id,
    /// method and scope. Empty by default; required where the token source or the authenticator is set in code,
    /// because two of them may get different tokens for the same client.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets how long one call of the store may take, a new connection included. 250 ms by default. Reading the keys may
    /// take four times as long; then those that were last read are used for a moment, and after that no store.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long the lock of a process that fetches lasts after the process died. 5 seconds by default. While the
    /// process lives, the lock is renewed for as long as the fetch takes.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long a process waits for a token that another one is fetching, before it fetches one itself. Twice the
    /// lease by default; at most half of [`IdaasBuilder::wait_timeout`](tower_idaas::IdaasBuilder::wait_timeout) where
    /// that is set, so that time is left to fetch.
    ///
    /// After a wait in vain the process does not wait for that name for a minute, for two after the next one, and so on
    /// up to an hour.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The source with this store in front of it, for
    /// [`IdaasBuilder::wrap_source`](tower_idaas::IdaasBuilder::wrap_source).
    ///
    /// The store is used when a token has to be fetched, before the source. A request without a token may wait longer
    /// then, because another process is fetching: by [`wait`](Self::wait) and a few times [`timeout`](Self::timeout)
    /// at most. Exchanged tokens pass by the store.
    ///
    /// # Errors
    ///
    /// When the keys cannot be read now, or a [`namespace`](Self::namespace) is required and missing.
    pub fn in_front_of(
        self,
        source: Arc<dyn TokenSource>,
        context: &SourceContext,
    ) -> Result<impl TokenSource + use<>, ConfigError> {
        let Self { store, keys, namespace, timeout, lease, wait } = self;
        let mut faults = Vec::new();
        if context.is_custom() && namespace.is_empty() {
            let problem = "has no namespace; with a source or an authenticator set in code nothing else keeps its \
                           tokens apart from those of others: set `SharedStore::namespace`";
            faults.push(ConfigFault::new("token_store", problem));
        }
        let source = {
            let wait = wait.unwrap_or(lease.saturating_mul(2));
            let wait = context.wait_timeout().map_or(wait, |callers_wait| wait.min(callers_wait / 2));
            let telemetry =
                Telemetry { client: context.client_id().to_owned(), method: context.method().to_owned() };
            SharedSource {
                inner: source,
                identity: Identity {
                    issuer: context.issuer().to_owned(),
                    instance_id: context.instance_id().to_owned(),
                    client_id: context.client_id().to_owned(),
                    method: context.method().to_owned(),
                    namespace,
                },
                keys,
                last_keys: LastGood::default(),
                keys_timeout: timeout.saturating_mul(CALLS_PER_READING),
                environment: context.environment().clone(),
                keyless: AtomicBool::new(false),
                store: GuardedStore {
                    store,
                    breaker: CircuitBreaker::default(),
                    timeout,
                    clock: context.clock().clone(),
                    telemetry,
                },
                locks: LockSettings { lease, wait },
                longest_delay: wait.saturating_add(timeout.saturating_mul(CALLS_PER_FETCH)),
                histories: Mutex::new(LruCache::new(NAMES)),
            }
        };
        if let Err(error) = source.check_keys() {
            faults.push(ConfigFault::new("token_store", format!("has no usable keys: {error}")));
        }
        let mut faults = faults.into_iter();
        match faults.next() {
            Some(first) => Err(ConfigError::from(first).and(faults)),
            None => Ok(source),
        }
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
