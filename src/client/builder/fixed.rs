//! A handle with one token that a test made up.

use crate::client::builder::IdaasBuilder;
use crate::client::builder::cloud_role::Named;
use crate::client::idaas::Idaas;
use crate::error::{ConfigError, ConfigFault};
use crate::telemetry::Telemetry;
use crate::token::{TokenCache, TokenResponse};

impl IdaasBuilder {
    /// Reads no file and no environment: a unit test's outcome is its own.
    ///
    /// # Errors
    ///
    /// When no header can hold the token.
    pub(crate) fn build_fixed(mut self, token: &str) -> Result<Idaas, ConfigError> {
        let response = TokenResponse::bearer(token).map_err(|_unfit| {
            let problem =
                "is empty or holds characters that no bearer token may hold; expected visible ASCII";
            ConfigError::one(ConfigFault::new("token", problem))
        })?;
        let (connect_timeout, read_timeout) = self.overrides.timeouts();
        let settings = self.settings(connect_timeout, read_timeout, Telemetry::new("", "fixed token"));
        let nowhere = Named { endpoint: None, instance_id: None, connect_timeout, read_timeout };
        let roles = self.roles(nowhere, None, &settings)?;
        Ok(roles.handle(TokenCache::fixed(response, "api://test|read".parse()?, settings)))
    }
}
