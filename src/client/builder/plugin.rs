//! PLUGIN: tokens from elsewhere than the token endpoint, chosen by name.

use std::sync::Arc;

#[cfg(feature = "aliyun")]
use http::Uri;

#[cfg(feature = "aliyun")]
use crate::aliyun::{DefaultChain, GenerateOauthToken, Injected};
#[cfg(feature = "aliyun")]
use crate::cache::slot::Settings;
use crate::client::builder::IdaasBuilder;
#[cfg(feature = "aliyun")]
use crate::config::Config;
use crate::error::{ConfigError, ConfigFault};
use crate::token::TokenSource;
#[cfg(feature = "aliyun")]
use crate::transport::Transport;

impl IdaasBuilder {
    /// Registers a plugin of your own: a source of tokens that a configuration with `authnMethod: PLUGIN`
    /// chooses by `pluginName`. The cache, the single flight and the back-off are the same for it. Under the
    /// name `alibabacloudPluginCredentialProvider` it replaces the built-in one.
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

    /// Authenticates with PLUGIN: tokens come from the plugin of this name, key `pluginName`. That is one
    /// registered with [`plugin`](Self::plugin), or, with the feature `aliyun`,
    /// `alibabacloudPluginCredentialProvider`, which asks the EIAM OpenAPI at `open_api_endpoint` with an
    /// Alibaba Cloud identity.
    ///
    /// Issuer and token endpoint need not be given then, and no token can be exchanged.
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
}

impl IdaasBuilder {
    pub(super) fn registered_plugin(&mut self, name: &str) -> Result<Arc<dyn TokenSource>, ConfigError> {
        self.plugins.remove(name).ok_or_else(|| {
            let fault = ConfigFault::new("authnConfiguration.pluginName", "is the name of no plugin");
            ConfigError::one(fault)
        })
    }

    /// The built-in plugin.
    #[cfg(feature = "aliyun")]
    pub(super) fn open_api(
        &mut self,
        endpoint: &Uri,
        config: &Config,
        settings: &Settings,
    ) -> Result<(Arc<dyn TokenSource>, Transport), ConfigError> {
        let transport = self.make_transport(config.connect_timeout, config.read_timeout, Some(endpoint));
        let transport = transport.map_err(|faults| ConfigError::all(None, faults))?;
        let chain = DefaultChain::new(Injected {
            environment: self.environment.clone(),
            transport: transport.clone(),
            // With a gate of its own: a flight for a token may wait for one for a credential.
            settings: Settings {
                gate: Arc::default(),
                telemetry: settings.telemetry.of("Alibaba Cloud credential"),
                ..settings.clone()
            },
            sts_endpoint: self.sts_endpoint.clone(),
            metadata_address: self.overrides.metadata_address.clone(),
        });
        let source = GenerateOauthToken {
            endpoint: endpoint.clone(),
            instance_id: config.instance_id.clone(),
            client_id: config.client_id.clone(),
            credentials: Arc::new(chain.map_err(ConfigError::one)?),
            transport: transport.clone(),
            clock: self.clock.clone(),
        };
        Ok((Arc::new(source), transport))
    }

    /// A fetch that needs a credential first may take as long as two.
    #[cfg(feature = "aliyun")]
    pub(super) fn open_api_settings(&self, settings: Settings) -> Settings {
        let flight = settings.flight.saturating_mul(2);
        Settings { flight, wait: self.wait_timeout.unwrap_or(flight), ..settings }
    }
}
