//! The builder of a handle.

mod build;
mod cloud_role;
pub(crate) mod explanation;
#[cfg(feature = "test-util")]
mod fixed;
#[cfg(feature = "aliyun")]
mod open_api;
mod source;
mod transport;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::authn::Authenticator;
use crate::cache::limiter::DEFAULT_LIMIT;
use crate::clock::Clock;
#[cfg(feature = "test-util")]
use crate::clock::ManualClock;
use crate::config::{ClientConfig, ConfigFile};
use crate::environment::Environment;
#[cfg(feature = "test-util")]
use crate::environment::ManualEnvironment;
use crate::error::ConfigError;
use crate::secret::Secret;
use crate::token::{CacheLimits, SourceContext, TokenSource};
use crate::transport::Transport;

/// Builds an [`Idaas`](crate::Idaas): from the vendor's file, in code, or from both, where code wins.
///
/// ```
/// use tower_idaas::authn::ClientSecretPost;
/// use tower_idaas::{Idaas, SecretSource};
///
/// let idaas = Idaas::builder()
///     .instance_id("idaas_example")
///     .client_id("app_example")
///     .issuer("https://example.aliyunidaas.com/api/v2/iauths_system/oauth2")
///     .token_endpoint("https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token")
///     .scope("api://orders|.all")
///     .authenticator(ClientSecretPost::new(SecretSource::value("not-a-real-secret".to_owned())))
///     # .transport(tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new())) }))
///     .build()?;
/// # Ok::<(), tower_idaas::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct IdaasBuilder {
    file: ConfigFile,
    /// The keys set in code, which win over the file.
    overrides: ClientConfig,
    #[cfg(feature = "aliyun")]
    sts_endpoint: Option<String>,
    source: Option<Arc<dyn TokenSource>>,
    plugins: BTreeMap<String, Arc<dyn TokenSource>>,
    wrappers: Vec<WrapSource>,
    transport: Option<MakeTransport>,
    root_certificates: Vec<Vec<u8>>,
    wait_timeout: Option<Duration>,
    cache_limits: CacheLimits,
    max_token_requests_in_flight: usize,
    environment: Environment,
    clock: Clock,
}

/// Gives the program's service its time-outs, once the configuration is known.
type MakeTransport = Box<dyn FnOnce(Duration, Duration) -> Transport + Send>;

/// Puts a source in front of another, once the configuration is known.
type WrapSource =
    Box<dyn FnOnce(Arc<dyn TokenSource>, &SourceContext) -> Result<Arc<dyn TokenSource>, ConfigError> + Send>;

impl IdaasBuilder {
    pub(crate) fn new() -> Self {
        Self {
            file: ConfigFile::Absent,
            overrides: ClientConfig::default(),
            #[cfg(feature = "aliyun")]
            sts_endpoint: None,
            source: None,
            plugins: BTreeMap::new(),
            wrappers: Vec::new(),
            transport: None,
            root_certificates: Vec::new(),
            wait_timeout: None,
            cache_limits: CacheLimits::default(),
            max_token_requests_in_flight: DEFAULT_LIMIT,
            environment: Environment::default(),
            clock: Clock::default(),
        }
    }
}

/// # Where the configuration comes from
///
/// Code wins over the file, key by key.
impl IdaasBuilder {
    /// Reads the vendor's configuration file at this path. A leading `~` is the home directory.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = ConfigFile::At(path.into());
        self
    }

    /// Takes the vendor's configuration from this text, when it does not come from a file but from a secret manager or
    /// a configuration service.
    pub fn config_text(mut self, text: impl Into<String>) -> Self {
        self.file = ConfigFile::Text(Secret::new(text));
        self
    }

    /// Reads the vendor's configuration file that `CLOUD_IDAAS_CONFIG_PATH` names, else
    /// `~/.cloud_idaas/client-config.json`.
    pub fn config_from_env(mut self) -> Self {
        self.file = ConfigFile::Search;
        self
    }
}

/// # Who the client is
impl IdaasBuilder {
    /// The IDaaS instance's id, `idaas_…`: key `idaasInstanceId`.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.overrides.client.idaas_instance_id.set(id);
        self
    }

    /// The application's id, `app_…`: key `clientId`.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.overrides.client.client_id.set(id);
        self
    }

    /// The issuer's URL: key `issuer`.
    pub fn issuer(mut self, url: impl Into<String>) -> Self {
        self.overrides.client.issuer.set(url);
        self
    }

    /// The token endpoint's URL: key `tokenEndpoint`.
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.overrides.client.token_endpoint.set(url);
        self
    }

    /// The scope of requests that name no other: key `scope`, see [`Scope`](crate::Scope).
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.overrides.client.scope.set(scope);
        self
    }
}

/// # How the client authenticates
impl IdaasBuilder {
    /// How the client authenticates: one of the methods of [`authn`](crate::authn), with its options, or one of
    /// your own. In place of the file's `authnConfiguration`.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.overrides.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// The metadata service, `http://host:port`, for PKCS7 of the file and, with PLUGIN, for the RAM role of an ECS
    /// instance. By default that of the cloud: `http://100.100.100.200` or `http://169.254.169.254`.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn metadata_address(mut self, address: impl Into<String>) -> Self {
        self.overrides.metadata_address = Some(address.into());
        self
    }
}

/// # Cloud roles
#[cfg(feature = "aliyun")]
impl IdaasBuilder {
    /// The DeveloperAPI, for STS credentials of cloud roles and for secrets stored in IDaaS, with or without
    /// `https://`: key `developerApiEndpoint`. See [`Idaas::cloud_role`](crate::Idaas::cloud_role).
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn developer_api_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.overrides.client.developer_api_endpoint.set(endpoint);
        self
    }
}

/// # Limits
impl IdaasBuilder {
    /// How long a request waits for a token that has to be fetched. By default as long as a refresh can take: the two
    /// time-outs and a few seconds for another attempt. When a request stops waiting, the refresh goes on for the next
    /// one.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = Some(timeout);
        self
    }

    /// How many scopes keep their tokens, beside the configured one and those of layers: beyond that the least
    /// recently used one is evicted, with an event of level `WARN` if its token is live. 1,000 by default.
    pub fn scope_capacity(mut self, scopes: usize) -> Self {
        self.cache_limits.scopes = scopes;
        self
    }

    /// How many exchanged tokens are cached: beyond that the least recently used one is evicted, with an event of level
    /// `WARN` if it is live. 10,000 by default. Subject tokens that were never exchanged do not count, and evict none
    /// that was: the failures of an eighth of this number of them are cached beside it.
    pub fn exchange_capacity(mut self, tokens: usize) -> Self {
        self.cache_limits.exchanges = tokens;
        self
    }

    /// How much memory exchanged tokens take, in bytes: beyond it the least recently used one is evicted, as beyond the
    /// [number](Self::exchange_capacity). 64 MiB by default; an exchanged token takes twice its length and about 1 KiB.
    pub fn exchange_capacity_bytes(mut self, bytes: usize) -> Self {
        self.cache_limits.exchange_bytes = bytes;
        self
    }

    /// How many token requests may be in flight at the same time: 256 by default, which leaves room under 1,024 file
    /// descriptors, and two at least. One in sixteen, and one at least, is reserved for the client's own tokens, which
    /// also leave the queue first; as many more are reserved for those and for refreshes of exchanged tokens. Beyond it,
    /// up to sixteen times as many first exchanges queue; others fail with
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) because the queue is full.
    pub fn max_token_requests_in_flight(mut self, requests: usize) -> Self {
        self.max_token_requests_in_flight = requests;
        self
    }
}

/// # For tests
#[cfg(feature = "test-util")]
impl IdaasBuilder {
    /// Reads the time from a clock that a test sets by hand.
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Clock::Manual(clock);
        self
    }

    /// Reads environment variables from a test's own set instead of the process's.
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn environment(mut self, environment: ManualEnvironment) -> Self {
        self.environment = Environment::Manual(environment);
        self
    }
}

impl fmt::Debug for IdaasBuilder {
    /// What is known before the file is read; a key that is not set here may be in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = &self.overrides.client;
        f.debug_struct("IdaasBuilder")
            .field("file", &self.file)
            .field("client_id", &client.client_id.redacted())
            .field("method", &self.overrides.method_name())
            .field("scope", &client.scope.redacted())
            .finish_non_exhaustive()
    }
}
