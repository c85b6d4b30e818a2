//! What STS credentials of cloud roles need besides tokens.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::IdaasBuilder;
use crate::aliyun::DeveloperApi;
use crate::clock::Clock;
use crate::error::{ConfigError, ConfigFault};
use crate::token::Settings;
use crate::transport::Transport;

impl IdaasBuilder {
    /// Where the DeveloperAPI is that hands out STS credentials of cloud roles, with or without `https://`:
    /// key `developerApiEndpoint`. See [`Idaas::cloud_role`](crate::Idaas::cloud_role).
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub fn developer_api_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.given.client.developer_api_endpoint.set(endpoint);
        self
    }

    /// For a handle whose tokens come from a source given in code: code gives this too, or there is none.
    pub(super) fn developer_api(
        &mut self,
        connect: Duration,
        read: Duration,
    ) -> Result<Result<DeveloperApi, ConfigFault>, ConfigError> {
        let (endpoint, instance_id) = self.given.developer_api(&self.environment)?;
        if endpoint.is_none() {
            return Ok(Err(missing_endpoint()));
        }
        let transport = self.make_transport(connect, read);
        let transport = transport.map_err(|faults| ConfigError::all(None, faults))?;
        Ok(developer_api(endpoint.as_ref(), instance_id.as_deref(), &transport, &self.clock))
    }

    /// Credentials take a token and a call, and both twice when the token turns out to be revoked. The gate is
    /// another one than the tokens': it is another server's, and a flight for credentials may wait for a token's.
    pub(super) fn role_settings(&self, tokens: &Settings) -> Settings {
        let wait = self.wait_timeout.unwrap_or(tokens.flight.saturating_mul(2));
        let flight = tokens.flight.saturating_mul(4);
        Settings { clock: tokens.clock.clone(), wait, flight, gate: Arc::default() }
    }
}

/// The DeveloperAPI, or what is missing for it.
pub(super) fn developer_api(
    endpoint: Option<&Uri>,
    instance_id: Option<&str>,
    transport: &Transport,
    clock: &Clock,
) -> Result<DeveloperApi, ConfigFault> {
    let endpoint = endpoint.ok_or_else(missing_endpoint)?;
    let instance_id = instance_id.ok_or_else(|| {
        ConfigFault::new("idaasInstanceId", "is missing; expected the instance's id, `idaas_…`")
    })?;
    Ok(DeveloperApi::new(endpoint, instance_id, transport.clone(), clock.clone()))
}

fn missing_endpoint() -> ConfigFault {
    let problem = "is missing; expected the DeveloperAPI's host, such as \
                   `eiam-developerapi.cn-hangzhou.aliyuncs.com`";
    ConfigFault::new("developerApiEndpoint", problem)
}
