//! Calls of the DeveloperAPI with the client's own token, or with one that is exchanged for a user's token.

use std::sync::Arc;

use http::StatusCode;

use crate::aliyun::developer_api::{DeveloperApi, Operation};
use crate::error::{ConfigError, ConfigFault, Error};
use crate::scope::Scope;
use crate::token::{RetainedSubject, Token, TokenCache};
use crate::wire::call::ApiResponse;

/// The audience of IDaaS's own application for privileged access.
const PAM: &str = "urn:cloud:idaas:pam";

/// The scope of everything that the client is granted in IDaaS's own application for privileged access.
const DEFAULT_SCOPE: &str = "urn:cloud:idaas:pam|.all";

/// The DeveloperAPI among the origins that may reject a token.
const ORIGIN: u64 = 0x6465_7665_6c6f_7065;

/// The default scope of DeveloperAPI calls: the configured one if its audience is privileged access, so that one token
/// serves both.
///
/// # Errors
///
/// None in practice: the default parses as a scope.
pub(super) fn default_scope(configured: &Scope) -> Result<Scope, ConfigError> {
    if configured.audience() == PAM {
        return Ok(configured.clone());
    }
    Scope::parse(DEFAULT_SCOPE).map_err(|problem| ConfigError::one(ConfigFault::new("scope", problem)))
}

/// The token that calls are made with.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) tokens: Arc<TokenCache>,
    pub(super) api: Arc<DeveloperApi>,
    pub(super) scope: Scope,
    /// The place of the user's token on whose behalf calls are made.
    pub(super) subject: Option<RetainedSubject>,
}

impl Bearer {
    async fn token(&self) -> Result<Token, Error> {
        let token = match &self.subject {
            Some(subject) => self.tokens.exchange(&subject.get()?, &self.scope).await,
            None => self.tokens.token(&self.scope).await,
        };
        // The DeveloperAPI was not called.
        token.map_err(Error::of_another_server)
    }

    /// Makes one call. When its token is refused, it may have been revoked meanwhile, so a second call
    /// follows with another.
    ///
    /// # Errors
    ///
    /// When the response is nothing that `read` can use; classified as at the token endpoint.
    pub(super) async fn send<T>(
        &self,
        operation: &Operation<'_>,
        read: impl Fn(&ApiResponse<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let token = self.token().await?;
        match self.api.send(operation, &token, &read).await {
            // A token that is still served after its rejection is not the fault: an API may say 401 for lack of rights.
            Err(error)
                if error.status() == Some(StatusCode::UNAUTHORIZED)
                    && token.header_shard().is_some_and(|shard| shard.reject(ORIGIN)) => {}
            result => return result,
        }
        self.api.send(operation, &self.token().await?, &read).await
    }
}
