//! The handle.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "aliyun")]
use crate::aliyun::{ApiKey, CloudRole, CloudRoles, OauthClient, OauthToken, StoredSecrets};
use crate::client::builder::IdaasBuilder;
use crate::error::{ConfigError, Error};
use crate::scope::Scope;
use crate::service::IdaasLayer;
use crate::token::{RefreshGuard, SubjectToken, Token, TokenCache};

/// A client of IDaaS: its tokens, and the layers that put them on requests.
///
/// Build one per client id and clone it freely: clones share the tokens. Nothing is fetched and no task is
/// started before a request needs a token.
///
/// ```no_run
/// use http_body_util::Empty;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::{Service, ServiceBuilder, ServiceExt};
/// use tower_idaas::Idaas;
///
/// # async fn example() -> Result<(), tower_idaas::BoxError> {
/// let idaas = Idaas::from_env()?;
/// let mut client = ServiceBuilder::new()
///     .layer(idaas.layer())
///     .service(Client::builder(TokioExecutor::new()).build_http());
///
/// let request = http::Request::get("http://localhost:8080/orders").body(Empty::<bytes::Bytes>::new())?;
/// let response = client.ready().await?.call(request).await?;
/// assert!(response.status().is_success());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Idaas {
    pub(crate) tokens: Arc<TokenCache>,
    pub(crate) label: Arc<Label>,
    #[cfg(feature = "aliyun")]
    pub(crate) cloud_roles: Arc<CloudRoles>,
    #[cfg(feature = "aliyun")]
    pub(crate) stored_secrets: Arc<StoredSecrets>,
}

/// The client's id and its method, for `Debug` and messages.
#[derive(Debug)]
pub(crate) struct Label {
    /// Empty when it was not set, which only a source of tokens allows.
    pub(crate) client_id: String,
    /// The vendor's name of the method, or the name of another source of tokens.
    pub(crate) method: String,
}

impl Idaas {
    /// A client as the vendor's configuration file describes it: the file that `CLOUD_IDAAS_CONFIG_PATH`
    /// names, else `~/.cloud_idaas/client-config.json`.
    ///
    /// # Errors
    ///
    /// Every fault of the file, at once: see [`IdaasBuilder::build`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder().config_from_env().build()
    }

    /// A client as the vendor's configuration file at this path describes it.
    ///
    /// # Errors
    ///
    /// Every fault of the file, at once: see [`IdaasBuilder::build`].
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        Self::builder().config_file(path).build()
    }

    /// A client built in code, with or without a file.
    pub fn builder() -> IdaasBuilder {
        IdaasBuilder::new()
    }

    /// A handle that always returns this token, for every scope and every subject: for unit tests of a service. See the
    /// crate `tower-idaas-testing`.
    ///
    /// It fetches nothing and needs no runtime. The token never ends, and neither a 401 nor
    /// [`invalidate`](Self::invalidate) removes it: a replayed request leaves with it again. It needs the feature
    /// `test-util`, because it is of no use in production.
    ///
    /// # Errors
    ///
    /// When the token is empty or holds anything but visible ASCII: such a token cannot go into a header.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn fixed(token: &str) -> Result<Self, ConfigError> {
        Self::builder().build_fixed(token)
    }

    /// A layer that puts tokens on requests. [`RetryUnauthorized`](crate::RetryUnauthorized) around it replays a
    /// request whose token the API rejects.
    pub fn layer(&self) -> IdaasLayer {
        IdaasLayer::new(Arc::clone(&self.tokens))
    }

    /// A live token for the configured scope, from the cache where possible.
    ///
    /// # Errors
    ///
    /// When there is no live token and none can be fetched. Concurrent callers share one refresh and one error.
    pub async fn token(&self) -> Result<Token, Error> {
        let slot = Arc::clone(self.tokens.default_slot());
        Ok(slot.acquire().await?.value.clone())
    }

    /// A live token for another scope. Scopes do not share tokens; how many are cached is set by
    /// [`IdaasBuilder::scope_capacity`].
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token).
    pub async fn token_for(&self, scope: &Scope) -> Result<Token, Error> {
        self.tokens.token(scope).await
    }

    /// A token for the configured scope on the subject's behalf, exchanged for the subject token (RFC 8693). Exchanged
    /// tokens are cached by subject token, scope and type, and refreshed like any other when they are used.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token). [`ErrorKind::Credential`](crate::ErrorKind::Credential) for a subject or actor
    /// token that is blank or longer than [`SubjectToken::MAX_LENGTH`], and
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the source of tokens cannot exchange it: PLUGIN
    /// exchanges access tokens only, without an actor token; nothing is sent then.
    pub async fn exchange(&self, subject: &SubjectToken) -> Result<Token, Error> {
        self.exchange_for(subject, self.tokens.default_scope()).await
    }

    /// The same for another scope.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token).
    pub async fn exchange_for(&self, subject: &SubjectToken, scope: &Scope) -> Result<Token, Error> {
        self.tokens.exchange(subject, scope).await
    }

    /// Sends a request of reqwest with a token, for services that use reqwest without Tower.
    ///
    /// ```
    /// # async fn example(idaas: tower_idaas::Idaas) -> Result<(), tower_idaas::SendError> {
    /// let http = reqwest::Client::builder().redirect(tower_idaas::Idaas::redirect_policy()).build()?;
    /// let response = idaas.send(http.get("https://api.example.com/orders")).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A request whose token the API rejects with 401 is sent once more, with the next one, unless its body is a
    /// stream. An `Authorization` header that is on the request stays; the token replaces one among the client's
    /// default headers. The token is sent over HTTPS, or to this machine. [`IdaasLayer::send`] allows fewer
    /// destinations, or requests another scope.
    ///
    /// Redirects are followed by reqwest, with the headers of the request: build the client with
    /// [`redirect_policy`](Self::redirect_policy), else a second redirect can take the token to another origin.
    ///
    /// A time limit of the request's own ([`RequestBuilder::timeout`](reqwest::RequestBuilder::timeout)) bounds the
    /// wait for a token as well, and a replay: the request leaves with what is left of it. A time limit of the client
    /// cannot be read, and begins when the request leaves.
    ///
    /// Where `HTTP_PROXY` is set, reqwest sends plain HTTP to that proxy, for loopback hosts too unless `NO_PROXY`
    /// names them: then the token can be read by the proxy and on the way to it. A client for services on this machine
    /// is built with [`no_proxy`](reqwest::ClientBuilder::no_proxy).
    ///
    /// # Errors
    ///
    /// This crate's, as for [`token`](Self::token) and when the destination may not get a token, and reqwest's, each as
    /// a variant of its own.
    #[cfg(feature = "reqwest")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
    pub async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, crate::SendError> {
        self.layer().send(request).await
    }

    /// Which redirects a `reqwest::Client` may follow with a token on its requests: those within the origin (scheme,
    /// host, port) of the first request, ten at most, as with reqwest's own policy. A redirect to another origin is
    /// not followed: the caller gets that response, with its 3xx status and its `Location`.
    ///
    /// ```
    /// # fn example() -> Result<(), tower_idaas::BoxError> {
    /// use tower_idaas::Idaas;
    ///
    /// let http = reqwest::Client::builder().redirect(Idaas::redirect_policy()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Reqwest's own policy is not enough, up to version 0.13.5 at least. It removes `Authorization` on the way to
    /// another origin, but puts the headers of the first request back on at each redirect: when that origin redirects
    /// once more, to itself, it gets the token. The layer has no part in this, its list of origins included. The other
    /// way out is `reqwest::redirect::Policy::none()`.
    #[cfg(feature = "reqwest")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
    pub fn redirect_policy() -> reqwest::redirect::Policy {
        crate::service::within_the_origin()
    }

    /// A role of a cloud account, by its ARN: IDaaS issues its STS credentials in exchange for one of this client's
    /// tokens. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// When the configuration names no DeveloperAPI (key `developerApiEndpoint`) or no instance, or when the
    /// ARN is blank.
    #[cfg(feature = "aliyun")]
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn cloud_role(&self, role_arn: impl AsRef<str>) -> Result<CloudRole, ConfigError> {
        CloudRole::new(&self.cloud_roles, role_arn.as_ref())
    }

    /// An API key stored in IDaaS, by its credential's identifier: that of a language model or of another service. It
    /// is cached, and its [layer](ApiKey::layer) puts it on requests. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// When the configuration names no DeveloperAPI (key `developerApiEndpoint`) or no instance, or when the name is
    /// not valid.
    #[cfg(feature = "aliyun")]
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn api_key(&self, name: impl AsRef<str>) -> Result<ApiKey, ConfigError> {
        ApiKey::new(&self.stored_secrets, name.as_ref())
    }

    /// An OAuth client stored in IDaaS, by its credential's identifier: its `client_id` and secret at another issuer.
    /// Sends nothing yet.
    ///
    /// # Errors
    ///
    /// As for [`api_key`](Self::api_key).
    #[cfg(feature = "aliyun")]
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn oauth_client(&self, name: impl AsRef<str>) -> Result<OauthClient, ConfigError> {
        OauthClient::new(&self.stored_secrets, name.as_ref())
    }

    /// The access token of a third party, which IDaaS gets there, by the credential provider's identifier. It is cached
    /// until it ends, and its [layer](OauthToken::layer) puts it on requests. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// As for [`api_key`](Self::api_key).
    #[cfg(feature = "aliyun")]
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn oauth_token(&self, provider: impl AsRef<str>) -> Result<OauthToken, ConfigError> {
        OauthToken::new(&self.stored_secrets, provider.as_ref())
    }

    /// Whether there is a live token for the configured scope: for readiness probes.
    ///
    /// It returns at once. When there is no live token, or a refresh is due, a refresh starts in the background, as far
    /// as the back-off allows: so a probe alone makes an idle instance ready again, and a failing issuer gets no more
    /// token requests than under traffic. Outside a Tokio runtime it starts nothing.
    ///
    /// ```
    /// # fn example(idaas: &tower_idaas::Idaas) -> http::StatusCode {
    /// if idaas.is_ready() { http::StatusCode::OK } else { http::StatusCode::SERVICE_UNAVAILABLE }
    /// # }
    /// ```
    pub fn is_ready(&self) -> bool {
        self.tokens.default_slot().is_ready()
    }

    /// The same for another scope: for a service whose requests need more tokens than that of the configured scope. It
    /// counts as a use of that scope's cached token.
    pub fn is_ready_for(&self, scope: &Scope) -> bool {
        self.tokens.with_servable(scope, |_| ()).is_some() || self.tokens.slot(scope).is_ready()
    }

    /// The live token for the configured scope, if the cache holds one. Fetches nothing and starts nothing: see
    /// [`is_ready`](Self::is_ready) for readiness probes.
    pub fn peek(&self) -> Option<Token> {
        self.tokens.default_slot().peek().map(|entry| entry.value.clone())
    }

    /// The same for another scope. It does not count as a use of the cached token, which the cache may evict before others.
    pub fn peek_for(&self, scope: &Scope) -> Option<Token> {
        self.tokens.peek(scope)
    }

    /// Fetches the token for the configured scope now, to fail at start-up rather than at the first request.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token). The handle stays usable: a later request tries again.
    pub async fn prefetch(&self) -> Result<(), Error> {
        self.token().await.map(drop)
    }

    /// The same for another scope.
    ///
    /// # Errors
    ///
    /// As for [`token`](Self::token).
    pub async fn prefetch_for(&self, scope: &Scope) -> Result<(), Error> {
        self.token_for(scope).await.map(drop)
    }

    /// Refreshes the token for the configured scope when it is due, without a request, for as long as the guard lives:
    /// after an idle time the first request finds a fresh token. The first token is fetched at once, in the background.
    /// Not needed under steady traffic, where requests start the refreshes.
    ///
    /// ```no_run
    /// # async fn example(idaas: tower_idaas::Idaas) -> Result<(), tower_idaas::Error> {
    /// let _guard = idaas.keep_fresh()?; // until the end of `main`
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Outside a Tokio runtime, because the guard starts a task.
    pub fn keep_fresh(&self) -> Result<RefreshGuard, Error> {
        self.keep_fresh_for(self.tokens.default_scope())
    }

    /// The same for another scope.
    ///
    /// # Errors
    ///
    /// As for [`keep_fresh`](Self::keep_fresh).
    pub fn keep_fresh_for(&self, scope: &Scope) -> Result<RefreshGuard, Error> {
        RefreshGuard::start(&self.tokens, scope.clone())
    }

    /// Sets the gauge `idaas_expires_in_seconds` to what is left of the life of each scope's token, exchanged ones
    /// aside, and `idaas_circuit_closed` to whether requests are refused after failures; describes all metrics of this
    /// crate; and calls [`TokenSource::record_metrics`](crate::TokenSource::record_metrics) of the source. Call it where
    /// metrics are collected, before they are written.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn record_metrics(&self) {
        crate::telemetry::describe();
        self.tokens.record_metrics();
    }

    /// Invalidates a token that an API has rejected; the layer does so by itself at a 401.
    ///
    /// A newer token in the cache stays. The result of a refresh in flight is discarded, and the next request starts
    /// another, once a second at most.
    pub fn invalidate(&self, token: &Token) {
        token.invalidate();
    }
}

impl fmt::Debug for Idaas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idaas")
            .field("client_id", &self.label.client_id)
            .field("method", &self.label.method)
            .field("scope", self.tokens.default_scope())
            .field("token", &self.peek())
            .finish_non_exhaustive()
    }
}
