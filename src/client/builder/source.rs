//! The builder's part for tokens from elsewhere than the token endpoint.

use std::sync::Arc;

use crate::client::builder::IdaasBuilder;
use crate::error::ConfigError;
use crate::token::{SourceContext, TokenSource};

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
    ///
    ///     fn record_metrics(&self) {
    ///         self.inner.record_metrics();
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
