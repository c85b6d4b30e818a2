//! What STS credentials of cloud roles need besides tokens.
//!
//! Without the feature `aliyun`, nothing: then this adds nothing to a handle.

#[cfg(feature = "aliyun")]
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

#[cfg(feature = "aliyun")]
use crate::aliyun::{CloudRoles, DeveloperApi};
use crate::authn::CheckContext;
use crate::cache::slot::Settings;
use crate::client::builder::IdaasBuilder;
use crate::client::idaas::Idaas;
use crate::config::Config;
use crate::error::ConfigError;
#[cfg(feature = "aliyun")]
use crate::error::ConfigFault;
use crate::token::TokenCache;
use crate::transport::Transport;

#[cfg(feature = "aliyun")]
impl IdaasBuilder {
    /// Where the DeveloperAPI is that hands out STS credentials of cloud roles, with or without `https://`:
    /// key `developerApiEndpoint`. See [`Idaas::cloud_role`](crate::Idaas::cloud_role).
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn developer_api_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.overrides.client.developer_api_endpoint.set(endpoint);
        self
    }
}

/// Where the DeveloperAPI is, and of which instance, as far as that was given.
#[cfg_attr(not(feature = "aliyun"), allow(dead_code))]
pub(super) struct Named {
    pub(super) endpoint: Option<Uri>,
    pub(super) instance_id: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
}

impl Named {
    pub(super) fn in_config(config: &Config) -> Self {
        Self {
            endpoint: config.developer_api_endpoint.clone(),
            instance_id: Some(config.instance_id.clone()),
            connect_timeout: config.connect_timeout,
            read_timeout: config.read_timeout,
        }
    }
}

/// All that a handle needs for roles.
pub(super) struct Roles {
    #[cfg(feature = "aliyun")]
    api: Result<DeveloperApi, ConfigFault>,
    #[cfg(feature = "aliyun")]
    settings: Settings,
}

impl IdaasBuilder {
    /// For a handle whose tokens come from a source given in code: code gives the rest too.
    pub(super) fn named_in_code(&self) -> Result<Named, ConfigError> {
        let context = CheckContext::new(&self.environment, self.clock.now().system_time());
        let (endpoint, instance_id) = self.overrides.developer_api(&context)?;
        let (connect_timeout, read_timeout) = self.overrides.timeouts();
        Ok(Named { endpoint, instance_id, connect_timeout, read_timeout })
    }

    /// `tokens` are the settings of the handle's tokens. A transport is made if there is none and one is needed.
    #[cfg(feature = "aliyun")]
    pub(super) fn roles(
        &mut self,
        named: Named,
        transport: Option<&Transport>,
        tokens: &Settings,
    ) -> Result<Roles, ConfigError> {
        // Credentials take a token and a call, and both twice when the token turns out to be revoked. The gate is
        // not that of the tokens: it is another server's, and a flight for credentials may wait for a token's.
        let settings = Settings {
            clock: tokens.clock.clone(),
            wait: self.wait_timeout.unwrap_or(tokens.flight.saturating_mul(2)),
            flight: tokens.flight.saturating_mul(4),
            gate: Arc::default(),
            telemetry: tokens.telemetry.of("cloud role"),
        };
        let Some(endpoint) = named.endpoint else {
            let problem = "is missing; expected the DeveloperAPI's host, such as \
                           `eiam-developerapi.cn-hangzhou.aliyuncs.com`";
            return Ok(Roles { api: Err(ConfigFault::new("developerApiEndpoint", problem)), settings });
        };
        let Some(instance_id) = named.instance_id else {
            let problem = "is missing; expected the instance's id, `idaas_…`";
            return Ok(Roles { api: Err(ConfigFault::new("idaasInstanceId", problem)), settings });
        };
        let transport = match transport {
            Some(transport) => transport.clone(),
            None => self
                .make_transport(named.connect_timeout, named.read_timeout, Some(&endpoint))
                .map_err(|faults| ConfigError::all(None, faults))?,
        };
        let api = DeveloperApi::new(&endpoint, &instance_id, transport, self.clock.clone());
        Ok(Roles { api: Ok(api), settings })
    }

    #[cfg(not(feature = "aliyun"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature it needs them")]
    pub(super) fn roles(
        &mut self,
        _: Named,
        _: Option<&Transport>,
        _: &Settings,
    ) -> Result<Roles, ConfigError> {
        Ok(Roles {})
    }
}

impl Roles {
    /// The handle with these tokens.
    pub(super) fn handle(self, tokens: TokenCache) -> Idaas {
        let tokens = std::sync::Arc::new(tokens);
        Idaas {
            #[cfg(feature = "aliyun")]
            cloud_roles: Arc::new(CloudRoles::new(Arc::clone(&tokens), self.api, self.settings)),
            tokens,
        }
    }
}
