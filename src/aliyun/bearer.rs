//! Calls of the DeveloperAPI with a token of the client's, or with one that is exchanged for a user's.

use std::sync::Arc;

use http::StatusCode;

use crate::aliyun::developer_api::{DeveloperApi, Operation};
use crate::error::{ConfigError, ConfigFault, Error};
use crate::scope::Scope;
use crate::token::{SubjectToken, Token, TokenCache};
use crate::wire::call::ApiResponse;

/// The audience of IDaaS's own application for privileged access.
const PAM: &str = "urn:cloud:idaas:pam";

/// All that the client is granted in IDaaS's own application for privileged access.
const DEFAULT_SCOPE: &str = "urn:cloud:idaas:pam|.all";

/// The scope that the DeveloperAPI is asked with where none is given: the configured one if it is for privileged
/// access, so that one token serves both.
///
/// # Errors
///
/// None in practice: the default is a scope.
pub(super) fn default_scope(configured: &Scope) -> Result<Scope, ConfigError> {
    if configured.audience() == PAM {
        return Ok(configured.clone());
    }
    Scope::parse(DEFAULT_SCOPE).map_err(|problem| ConfigError::one(ConfigFault::new("scope", problem)))
}

/// With whose token calls are made.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) tokens: Arc<TokenCache>,
    pub(super) api: Arc<DeveloperApi>,
    pub(super) scope: Scope,
    /// Of the user for whom calls are made.
    pub(super) subject: Option<SubjectToken>,
}

impl Bearer {
    async fn token(&self) -> Result<Token, Error> {
        match &self.subject {
            Some(subject) => self.tokens.exchange(subject, &self.scope).await,
            None => Ok(self.tokens.slot(&self.scope).acquire().await?.value.clone()),
        }
    }

    /// Makes one call, or two when the token of the first was refused: it may have been revoked meanwhile.
    ///
    /// # Errors
    ///
    /// Everything that is no response which `read` can use, classified as at the token endpoint.
    pub(super) async fn send<T>(
        &self,
        operation: &Operation<'_>,
        read: impl Fn(&ApiResponse<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let token = self.token().await?;
        match self.api.send(operation, &token, &read).await {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => token.invalidate(),
            result => return result,
        }
        self.api.send(operation, &self.token().await?, &read).await
    }
}
