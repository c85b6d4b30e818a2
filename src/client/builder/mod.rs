//! The builder of a handle.

mod build;
mod cloud_role;
pub(crate) mod explanation;
#[cfg(feature = "test-util")]
mod fixed;
#[cfg(feature = "aliyun")]
mod open_api;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;

use crate::authn::Authenticator;
use crate::cache::limiter::DEFAULT_LIMIT;
use crate::clock::Clock;
#[cfg(feature = "test-util")]
use crate::clock::ManualClock;
use crate::config::{ClientConfig, ConfigFile};
use crate::environment::Environment;
#[cfg(feature = "test-util")]
use crate::environment::ManualEnvironment;
use crate::error::{BoxError, ConfigError};
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

/// # How the client proves who it is
impl IdaasBuilder {
    /// How the client proves who it is: one of the methods of [`authn`](crate::authn), with its options, or one of
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

/// # Tokens from elsewhere than the token endpoint
impl IdaasBuilder {
    /// Takes tokens from a source of your own instead of the token endpoint.
    ///
    /// It needs a scope. Instance id, client id, issuer and token endpoint are optional: they identify the client in
    /// events, metrics and [`wrap_source`](Self::wrap_source). A method, a plugin's name or a configuration file beside
    /// it is a fault.
    pub fn token_source(mut self, source: impl TokenSource) -> Self {
        self.source = Some(Arc::new(source));
        self.overrides.has_source = true;
        self
    }

    /// Registers a plugin of your own: a source of tokens that a configuration with `authnMethod: PLUGIN` chooses by
    /// `pluginName`. Cache, refresh and back-off are the same for it. Under the name
    /// `alibabacloudPluginCredentialProvider` it replaces the built-in one.
    ///
    /// ```
    /// use tower_idaas::{BoxFuture, Error, Idaas, Scope, TokenResponse, TokenSource};
    ///
    /// #[derive(Debug)]
    /// struct Sidecar;
    ///
    /// impl TokenSource for Sidecar {
    ///     fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
    ///         Box::pin(async move { TokenResponse::bearer(&format!("token-for-{}", scope.audience())) })
    ///     }
    /// }
    ///
    /// # fn example() -> Result<(), tower_idaas::ConfigError> {
    /// // client-config.json says: "authnMethod": "PLUGIN", "pluginName": "sidecar"
    /// let idaas = Idaas::builder().config_from_env().plugin("sidecar", Sidecar).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn plugin(mut self, name: impl Into<String>, source: impl TokenSource) -> Self {
        self.plugins.insert(name.into(), Arc::new(source));
        self
    }

    /// Chooses PLUGIN: tokens come from the plugin of this name, key `pluginName`. That is one registered with
    /// [`plugin`](Self::plugin), or, with the feature `aliyun`, `alibabacloudPluginCredentialProvider`, which calls the
    /// EIAM OpenAPI at `open_api_endpoint` with an Alibaba Cloud identity.
    ///
    /// Issuer and token endpoint are optional then.
    pub fn plugin_name(mut self, name: impl Into<String>) -> Self {
        self.overrides.authn.plugin_name.set(name);
        self.overrides.is_plugin = true;
        self
    }

    /// The host of the EIAM OpenAPI, such as `eiam.cn-hangzhou.aliyuncs.com`: key `openApiEndpoint`. Used by
    /// the plugin `alibabacloudPluginCredentialProvider` only.
    #[cfg(feature = "aliyun")]
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn open_api_endpoint(mut self, host: impl Into<String>) -> Self {
        self.overrides.client.open_api_endpoint.set(host);
        self
    }

    /// The host of STS, `host` or `host:port`, for Alibaba Cloud identities that are roles. By default
    /// `sts.aliyuncs.com`, or the one of the region that `ALIBABA_CLOUD_STS_REGION` names, within the VPC if
    /// `ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED` is `true`.
    #[cfg(feature = "aliyun")]
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn sts_endpoint(mut self, host: impl Into<String>) -> Self {
        self.sts_endpoint = Some(host.into());
        self
    }

    /// Puts a source of your own in front of the configured one, whichever that is: a second-level store, an audit log,
    /// a limit of your own. [`build`](Self::build) calls `wrap` with the inner source and with a context that says
    /// whose tokens they are. Called again, the later source is the outer one.
    ///
    /// A source that wraps another passes [`exchange`](TokenSource::exchange), [`rejected`](TokenSource::rejected)
    /// and [`time_limit`](TokenSource::time_limit) on.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use tower_idaas::{BoxFuture, Error, Idaas, Scope, SubjectToken, Token, TokenResponse, TokenSource};
    ///
    /// #[derive(Debug)]
    /// struct Audited {
    ///     inner: Arc<dyn TokenSource>,
    ///     client: String,
    /// }
    ///
    /// impl TokenSource for Audited {
    ///     fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
    ///         Box::pin(async move {
    ///             let response = self.inner.fetch(scope).await?;
    ///             println!("{} has a token for {scope}, request {:?}", self.client, response.request_id());
    ///             Ok(response)
    ///         })
    ///     }
    ///
    ///     fn exchange<'a>(
    ///         &'a self,
    ///         subject: &'a SubjectToken,
    ///         scope: &'a Scope,
    ///     ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
    ///         self.inner.exchange(subject, scope)
    ///     }
    ///
    ///     fn rejected(&self, scope: &Scope, token: &Token) {
    ///         self.inner.rejected(scope, token);
    ///     }
    ///
    ///     fn time_limit(&self, default: Duration) -> Duration {
    ///         self.inner.time_limit(default)
    ///     }
    /// }
    ///
    /// # fn example() -> Result<(), tower_idaas::ConfigError> {
    /// let idaas = Idaas::builder()
    ///     .config_from_env()
    ///     .wrap_source(|inner, context| Ok(Audited { inner, client: context.client_id().to_owned() }))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) returns the error of `wrap`.
    pub fn wrap_source<W, S>(mut self, wrap: W) -> Self
    where
        W: FnOnce(Arc<dyn TokenSource>, &SourceContext) -> Result<S, ConfigError> + Send + 'static,
        S: TokenSource,
    {
        self.wrappers.push(Box::new(|inner, context| Ok(Arc::new(wrap(inner, context)?))));
        self
    }
}

/// # Cloud roles
#[cfg(feature = "aliyun")]
impl IdaasBuilder {
    /// The DeveloperAPI, for STS credentials of cloud roles and for secrets that IDaaS keeps, with or without
    /// `https://`: key `developerApiEndpoint`. See [`Idaas::cloud_role`](crate::Idaas::cloud_role).
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn developer_api_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.overrides.client.developer_api_endpoint.set(endpoint);
        self
    }
}

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

    /// Sends token requests over this client of reqwest's, with its TLS, proxies and authorities.
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

/// # Limits
impl IdaasBuilder {
    /// How long a request waits for a token that has to be fetched. By default as long as a refresh can take: the two
    /// time-outs and a few seconds for another attempt. When a request stops waiting, the refresh goes on for the next
    /// one.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = Some(timeout);
        self
    }

    /// How many scopes keep their tokens, beside the configured one and those that a layer asks for: beyond that the
    /// least recently used one is evicted, with an event of level `WARN` if its token is live. 1,000 by default.
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
    /// descriptors, and two at least. One in eight is reserved for the client's own tokens and for refreshes of
    /// exchanged tokens. Beyond it, up to sixteen times as many exchanges queue; others fail with
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
            .field("client_id", &client.client_id.shown())
            .field("method", &self.overrides.method_name())
            .field("scope", &client.scope.shown())
            .finish_non_exhaustive()
    }
}
