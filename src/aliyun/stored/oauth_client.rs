//! The handle of one OAuth client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::stored::api_key::ApiKey;
use crate::aliyun::stored::client_credentials::{ClientKey, OauthClientCredentials};
use crate::aliyun::stored::secrets::{StoredSecrets, checked_life, checked_name};
use crate::error::{ConfigError, Error};
use crate::scope::Scope;

/// An OAuth client stored in IDaaS: a program's credentials at another issuer; made by
/// [`Idaas::oauth_client`](crate::Idaas::oauth_client). Cached as an [`ApiKey`](crate::aliyun::ApiKey) is.
///
/// ```no_run
/// # async fn example() -> Result<(), tower_idaas::BoxError> {
/// let idaas = tower_idaas::Idaas::from_env()?;
/// let client = idaas.oauth_client("crm")?.credentials().await?;
/// let (id, secret) = (client.client_id(), client.client_secret().expose_secret());
/// # let _ = (id, secret);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OauthClient {
    secrets: Arc<StoredSecrets>,
    api: Arc<DeveloperApi>,
    key: ClientKey,
}

impl OauthClient {
    pub(crate) fn new(secrets: &Arc<StoredSecrets>, name: &str) -> Result<Self, ConfigError> {
        let (api, scope) = secrets.developer_api()?;
        let name = checked_name("credentialIdentifier", name)?;
        let key = ClientKey { name, scope, life: ApiKey::LIFE };
        Ok(Self { secrets: Arc::clone(secrets), api, key })
    }

    /// Keeps the client for this long, from one second to 24 hours. Default: five minutes.
    ///
    /// # Errors
    ///
    /// When the life is out of range.
    pub fn with_life(mut self, life: Duration) -> Result<Self, ConfigError> {
        self.key.life = checked_life(life)?;
        Ok(self)
    }

    /// Calls IDaaS with a token for this scope: see [`ApiKey::with_idaas_scope`](super::ApiKey::with_idaas_scope).
    #[must_use]
    pub fn with_idaas_scope(mut self, scope: Scope) -> Self {
        self.key.scope = scope;
        self
    }

    /// The credential's identifier.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// The client's id and secret, from the cache where possible.
    ///
    /// # Errors
    ///
    /// As for [`ApiKey::key_text`](super::ApiKey::key_text).
    pub async fn credentials(&self) -> Result<OauthClientCredentials, Error> {
        Ok(self.secrets.client_slot(&self.api, &self.key).acquire().await?.value.clone())
    }

    /// Invalidates credentials that the other issuer has rejected. Newer ones in the cache stay.
    pub fn invalidate(&self, credentials: &OauthClientCredentials) {
        credentials.recheck().invalidate();
    }
}

impl fmt::Debug for OauthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientKey { name, scope, life } = &self.key;
        f.debug_struct("OauthClient")
            .field("name", name)
            .field("idaas_scope", scope)
            .field("life", life)
            .finish_non_exhaustive()
    }
}
