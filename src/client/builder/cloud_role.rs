//! What STS credentials of cloud roles need besides tokens.
//!
//! Without the feature `aliyun` it is empty.

use std::sync::Arc;

#[cfg(feature = "aliyun")]
use crate::aliyun::{CloudRoles, DeveloperApi, StoredSecrets};
#[cfg(feature = "aliyun")]
use crate::cache::admission::Party;
use crate::cache::slot::Settings;
use crate::client::builder::IdaasBuilder;
use crate::client::idaas::{Idaas, Label};
use crate::config::Config;
use crate::error::ConfigError;
#[cfg(feature = "aliyun")]
use crate::error::ConfigFault;
use crate::token::TokenCache;
use crate::transport::Transport;

/// All that a handle needs for roles.
pub(super) struct Roles {
    #[cfg(feature = "aliyun")]
    api: Result<DeveloperApi, ConfigError>,
    #[cfg(feature = "aliyun")]
    settings: Settings,
}

impl IdaasBuilder {
    /// `tokens` are the settings of the handle's tokens. A transport is made if there is none and one is needed.
    #[cfg(feature = "aliyun")]
    pub(super) fn roles(
        &mut self,
        config: &Config,
        transport: Option<Transport>,
        tokens: &Settings,
    ) -> Result<Roles, ConfigError> {
        // Credentials take a token and a call, and both twice when the token turns out to be revoked. They have an
        // admission of their own, because they come from another server and their refresh may wait for that of a token.
        let settings = Settings {
            clock: tokens.clock.clone(),
            wait: self.wait_timeout.unwrap_or(tokens.attempt_timeout.saturating_mul(2)),
            attempt_timeout: tokens.attempt_timeout.saturating_mul(4),
            admission: Arc::default(),
            party: Party::Own,
            runtimes: Arc::clone(&tokens.runtimes),
            telemetry: tokens.telemetry.of("cloud role"),
        };
        let missing = |key, problem| {
            Err(ConfigError::all(config.origin.as_deref(), vec![ConfigFault::new(key, problem)]))
        };
        let Some(endpoint) = &config.developer_api_endpoint else {
            let problem = "is missing; expected the DeveloperAPI's host, such as \
                           `eiam-developerapi.cn-hangzhou.aliyuncs.com`";
            return Ok(Roles { api: missing("developerApiEndpoint", problem), settings });
        };
        if config.instance_id.is_empty() {
            let problem = "is missing; expected the instance's id, `idaas_…`";
            return Ok(Roles { api: missing("idaasInstanceId", problem), settings });
        }
        let transport = match transport {
            Some(transport) => transport,
            None => self.transport_for(config, endpoint)?,
        };
        let api = DeveloperApi::new(endpoint, &config.instance_id, transport, self.clock.clone());
        Ok(Roles { api: Ok(api), settings })
    }

    #[cfg(not(feature = "aliyun"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature it needs them")]
    pub(super) fn roles(
        &mut self,
        _: &Config,
        _: Option<Transport>,
        _: &Settings,
    ) -> Result<Roles, ConfigError> {
        Ok(Roles {})
    }
}

impl Roles {
    /// For a handle that sends nothing over HTTP.
    #[cfg(feature = "test-util")]
    pub(super) fn nowhere(settings: &Settings) -> Self {
        #[cfg(feature = "aliyun")]
        {
            let problem = "is missing: a handle with a fixed token requests no credentials";
            let api = Err(ConfigError::one(ConfigFault::new("developerApiEndpoint", problem)));
            Self { api, settings: settings.clone() }
        }
        #[cfg(not(feature = "aliyun"))]
        {
            let _ = settings;
            Self {}
        }
    }

    /// The handle with these tokens.
    pub(super) fn handle(self, tokens: TokenCache, label: Label) -> Idaas {
        let tokens = Arc::new(tokens);
        #[cfg(feature = "aliyun")]
        let (api, settings) = (self.api.map(Arc::new), self.settings);
        #[cfg(feature = "aliyun")]
        let of_secrets = Settings { telemetry: settings.telemetry.of("stored secret"), ..settings.clone() };
        Idaas {
            #[cfg(feature = "aliyun")]
            stored_secrets: Arc::new(StoredSecrets::new(Arc::clone(&tokens), api.clone(), of_secrets)),
            #[cfg(feature = "aliyun")]
            cloud_roles: Arc::new(CloudRoles::new(Arc::clone(&tokens), api, settings)),
            label: Arc::new(label),
            tokens,
        }
    }
}
