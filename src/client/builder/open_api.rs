//! The built-in plugin: tokens through the EIAM OpenAPI.

use std::sync::Arc;

use http::Uri;

use crate::aliyun::{Channel, DefaultChain, GenerateOauthToken, Injected};
use crate::cache::slot::Settings;
use crate::client::builder::IdaasBuilder;
use crate::config::Config;
use crate::error::ConfigError;
use crate::token::{Skew, TokenSource};
use crate::transport::Transport;

impl IdaasBuilder {
    /// The built-in plugin.
    pub(super) fn open_api(
        &self,
        endpoint: &Uri,
        config: &Config,
        transport: &Transport,
        settings: &Settings,
    ) -> Result<Arc<dyn TokenSource>, ConfigError> {
        let chain = DefaultChain::new(Injected {
            environment: self.environment.clone(),
            transport: transport.clone(),
            // An admission of its own, because a refresh of a token may wait for one of a credential.
            settings: Settings {
                admission: Arc::default(),
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
            channel: Channel {
                transport: transport.clone(),
                clock: self.clock.clone(),
                skew: Skew::default(),
            },
        };
        Ok(Arc::new(source))
    }

    /// A fetch that needs a credential first may take twice as long.
    pub(super) fn open_api_settings(&self, settings: Settings) -> Settings {
        let attempt_timeout = settings.attempt_timeout.saturating_mul(2);
        Settings { attempt_timeout, wait: self.wait_timeout.unwrap_or(attempt_timeout), ..settings }
    }
}
