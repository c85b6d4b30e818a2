//! Where configuration meets method, transport and cache.

mod build;
mod cloud_role;
#[cfg(feature = "test-util")]
mod fixed;
mod plugin;

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
use crate::client::idaas::Idaas;
use crate::clock::Clock;
#[cfg(feature = "test-util")]
use crate::clock::ManualClock;
use crate::config::{ClientConfig, ConfigFile};
use crate::environment::Environment;
#[cfg(feature = "test-util")]
use crate::environment::ManualEnvironment;
use crate::error::{BoxError, ConfigError};
use crate::secret::Secret;
use crate::token::{SourceContext, TokenSource};
use crate::transport::Transport;

/// Builds an [`Idaas`]: from the vendor's file, in code, or from both, where code wins.
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
    overrides: ClientConfig,
    scope: Option<String>,
    #[cfg(feature = "aliyun")]
    sts_endpoint: Option<String>,
    source: Option<Arc<dyn TokenSource>>,
    plugins: BTreeMap<String, Arc<dyn TokenSource>>,
    wrappers: Vec<WrapSource>,
    transport: Option<MakeTransport>,
    root_certificates: Vec<Vec<u8>>,
    wait_timeout: Option<Duration>,
    exchange_capacity: usize,
    environment: Environment,
    clock: Clock,
}

/// A few kilobytes each.
const EXCHANGED_TOKENS: usize = 10_000;

/// Gives the user's service its limits, which are known once the configuration is.
type MakeTransport = Box<dyn FnOnce(Duration, Duration) -> Transport + Send>;

/// Puts a source in front of another, once the configuration is known.
type WrapSource =
    Box<dyn FnOnce(Arc<dyn TokenSource>, &SourceContext) -> Result<Arc<dyn TokenSource>, ConfigError> + Send>;

impl IdaasBuilder {
    pub(crate) fn new() -> Self {
        Self {
            file: ConfigFile::Absent,
            overrides: ClientConfig::default(),
            scope: None,
            #[cfg(feature = "aliyun")]
            sts_endpoint: None,
            source: None,
            plugins: BTreeMap::new(),
            wrappers: Vec::new(),
            transport: None,
            root_certificates: Vec::new(),
            wait_timeout: None,
            exchange_capacity: EXCHANGED_TOKENS,
            environment: Environment::default(),
            clock: Clock::default(),
        }
    }

    /// Reads the vendor's configuration file at this path. A leading `~` is the home directory.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = ConfigFile::At(path.into());
        self
    }

    /// Takes the vendor's configuration from this text, where it comes from elsewhere than a file: a secret
    /// manager, a configuration service.
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
        let scope = scope.into();
        self.overrides.client.scope.set(scope.clone());
        self.scope = Some(scope);
        self
    }

    /// How the client proves who it is: one of the methods of [`authn`](crate::authn), with its options, or one of
    /// your own. In place of the file's `authnConfiguration`.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.overrides.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Where the metadata service is that the file's PKCS7 asks, and for PLUGIN the RAM role of an ECS instance:
    /// `http://host:port`. By default where the cloud has it: `http://100.100.100.200` or `http://169.254.169.254`.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    pub fn metadata_address(mut self, address: impl Into<String>) -> Self {
        self.overrides.metadata_address = Some(address.into());
        self
    }

    /// Takes tokens from a source of your own instead of the token endpoint. Nothing else is configured then
    /// but the scope and the time-outs, and for cloud roles the instance's id and the DeveloperAPI; a
    /// configuration file is not read.
    pub fn token_source(mut self, source: impl TokenSource) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Puts a source of your own in front of the configured one, whichever that is: a second-level store, an audit
    /// log, a limit of your own. `wrap` is called by [`build`](Self::build) with the inner source, to be called for
    /// what the new source does not do itself, and with whose tokens they are. Called again, the later source is the
    /// outer one.
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
    /// What `wrap` returns is returned by [`build`](Self::build).
    pub fn wrap_source<W, S>(mut self, wrap: W) -> Self
    where
        W: FnOnce(Arc<dyn TokenSource>, &SourceContext) -> Result<S, ConfigError> + Send + 'static,
        S: TokenSource,
    {
        self.wrappers.push(Box::new(|inner, context| Ok(Arc::new(wrap(inner, context)?))));
        self
    }

    /// How long a connection to the issuer may take, TLS included: key `httpConfiguration.connectTimeout`.
    /// 5 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.overrides.http.connect_timeout.set(timeout);
        self
    }

    /// How long the issuer's complete answer may take: key `httpConfiguration.readTimeout`. 10 seconds by
    /// default.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.overrides.http.read_timeout.set(timeout);
        self
    }

    /// How long a request waits for a token that has to be fetched. By default as long as a fetch can take:
    /// the two time-outs and a few seconds for another attempt. A request that gives up leaves the fetch
    /// going for the next one.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = Some(timeout);
        self
    }

    /// How many exchanged tokens are cached: the least recently used one makes room. 10,000 by default.
    pub fn exchange_capacity(mut self, tokens: usize) -> Self {
        self.exchange_capacity = tokens;
        self
    }

    /// Trusts further certificate authorities, in PEM form, beside the platform's. `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` replace the platform's. Without effect on a transport of your own.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Sends token requests through an HTTP service of your own, with its own TLS, proxy and pool, or over
    /// HTTP/2, where the built-in client speaks HTTP/1.1. Time-outs and the cap on an answer's size hold for it
    /// too.
    ///
    /// Switch off in it that redirects are followed (they are in `reqwest`'s default): a redirect that it hands
    /// on is refused, one that it follows is not seen, and may lead the client's credentials elsewhere.
    ///
    /// The service may be the one that the layer wraps, with its limits and buffers: a request that waits for a token
    /// holds nothing of the service that the token request needs. It must not have the layer in it, though: a token
    /// request would wait for the token that it is to fetch.
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
    /// Build it with `reqwest::redirect::Policy::none()`: a redirect would hand the client's credentials on. One that
    /// was followed is an error.
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

    /// Reads the time from a clock that tests turn by hand.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Clock::Manual(clock);
        self
    }

    /// Reads environment variables from a test's own set instead of the process's.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn environment(mut self, environment: ManualEnvironment) -> Self {
        self.environment = Environment::Manual(environment);
        self
    }

    /// Reads the configuration file, if one is to be read, checks everything, and builds the handle. Sends
    /// nothing.
    ///
    /// # Errors
    ///
    /// Every fault at once: of the file and its keys, of a secret that is not there, of a proxy variable, of
    /// the certificate authorities.
    pub fn build(mut self) -> Result<Idaas, ConfigError> {
        match self.source.take() {
            Some(source) => self.build_with_source(source),
            None => self.build_with_endpoint(),
        }
    }
}

impl fmt::Debug for IdaasBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdaasBuilder").field("file", &self.file).finish_non_exhaustive()
    }
}
