//! A handle with one fixed token, for tests.

use crate::client::builder::IdaasBuilder;
use crate::client::builder::cloud_role::Roles;
use crate::client::idaas::{Idaas, Label};
use crate::error::{ConfigError, ConfigFault};
use crate::telemetry::Telemetry;
use crate::token::{TokenCache, TokenResponse};

impl IdaasBuilder {
    /// Reads no file and no environment, so that a unit test depends on neither.
    ///
    /// # Errors
    ///
    /// When no header can hold the token.
    pub(crate) fn build_fixed(self, token: &str) -> Result<Idaas, ConfigError> {
        let response = TokenResponse::bearer(token).map_err(|_unfit| {
            let problem =
                "is empty or holds characters that no bearer token may hold; expected visible ASCII";
            ConfigError::one(ConfigFault::new("token", problem))
        })?;
        let (connect_timeout, read_timeout) = self.overrides.timeouts();
        let settings = self.settings(connect_timeout, read_timeout, Telemetry::new("", "fixed token"));
        let label = Label { client_id: String::new(), method: "fixed token".to_owned() };
        let roles = Roles::nowhere(&settings);
        Ok(roles.handle(TokenCache::fixed(response, "api://test|read".parse()?, settings), label))
    }
}
