//! The handle of a third party's access token, and the token itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;

use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::stored::secrets::{SecretKey, StoredSecrets, Wanted, checked_name};
use crate::aliyun::stored::third_party::Request;
use crate::error::{ConfigError, Error};
use crate::scope::Scope;
use crate::service::SecretLayer;
use crate::token::Token;

/// The access token of a third party, which IDaaS obtains machine to machine, as configured at the credential provider;
/// made by [`Idaas::oauth_token`](crate::Idaas::oauth_token).
///
/// Clone it freely. The token is cached in the [`Idaas`](crate::Idaas) that made the handle, by provider, scope and
/// parameters, and shared by all handles with the same. It lives until its `expirationTime`, is refreshed in the
/// background at two thirds of its life, and at once when its API rejects it.
///
/// ```no_run
/// # async fn example() -> Result<(), tower_idaas::BoxError> {
/// let idaas = tower_idaas::Idaas::from_env()?;
/// let token = idaas.oauth_token("github")?.with_scope("repo").token().await?;
/// let header = token.expose_authorization()?;
/// # let _ = header;
/// # Ok(())
/// # }
/// ```
///
/// Where a user must consent at the third party first, the error is of kind
/// [`ConsentRequired`](crate::ErrorKind::ConsentRequired), and
/// [`ConsentRequired::of`](crate::aliyun::ConsentRequired::of) has the address. Calls return the token a few seconds
/// after the user's consent at the latest.
#[derive(Clone)]
pub struct OauthToken {
    secrets: Arc<StoredSecrets>,
    api: Arc<DeveloperApi>,
    request: Arc<Request>,
    scope: Scope,
}

/// A live access token of a third party, as the cache returns it. Cheap to clone; `Debug` does not show it.
#[derive(Clone)]
pub struct OauthAccessToken(Token);

impl OauthToken {
    pub(crate) fn new(secrets: &Arc<StoredSecrets>, provider: &str) -> Result<Self, ConfigError> {
        let (api, scope) = secrets.developer_api()?;
        let provider = checked_name("credentialProviderIdentifier", provider)?;
        let request = Request { provider, scope: None, parameters: BTreeMap::new() };
        Ok(Self { secrets: Arc::clone(secrets), api, request: Arc::new(request), scope })
    }

    /// Requests a token with this scope, in the third party's own syntax: `repo read:user`. Default: the provider's
    /// settings.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.request).scope = Some(scope.into());
        self
    }

    /// Adds a provider-specific parameter: `customParameters`. Its value is treated as a secret.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.request).parameters.insert(name.into(), value.into());
        self
    }

    /// Calls IDaaS with a token for this scope, such as `urn:cloud:idaas:pam|authentication_token:obtain`: see
    /// [`ApiKey::with_idaas_scope`](super::ApiKey::with_idaas_scope).
    #[must_use]
    pub fn with_idaas_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The credential provider's identifier.
    pub fn provider(&self) -> &str {
        &self.request.provider
    }

    /// A layer that puts the token on requests to these origins, and to no others: see
    /// [`ApiKey::layer`](super::ApiKey::layer).
    ///
    /// # Errors
    ///
    /// When the list is empty; and for every entry that is no origin.
    pub fn layer<I>(&self, origins: I) -> Result<SecretLayer, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        SecretLayer::new(self.secrets.slot(&self.api, &self.key()), origins)
    }

    /// A live token, from the cache where possible.
    ///
    /// # Errors
    ///
    /// When the cache has none and the fetch fails: no token of IDaaS is available, a user must consent first, or IDaaS
    /// does not know the provider, refuses, fails, or returns an expired token.
    pub async fn token(&self) -> Result<OauthAccessToken, Error> {
        let entry = self.secrets.slot(&self.api, &self.key()).acquire().await?;
        Ok(OauthAccessToken(entry.value.clone()))
    }

    /// Invalidates a token that its API has rejected. A newer one in the cache stays.
    pub fn invalidate(&self, token: &OauthAccessToken) {
        token.0.invalidate();
    }

    fn key(&self) -> SecretKey {
        SecretKey { wanted: Wanted::OauthToken(Arc::clone(&self.request)), scope: self.scope.clone() }
    }
}

impl OauthAccessToken {
    /// The token's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_token(&self) -> &str {
        self.0.expose_token()
    }

    /// The value of an `Authorization` header with this token, marked sensitive.
    ///
    /// # Errors
    ///
    /// None in practice: a token that is no valid header value is refused when it is received.
    pub fn expose_authorization(&self) -> Result<HeaderValue, Error> {
        self.0.expose_authorization()
    }

    /// The scope that the third party granted, if the response has it.
    pub fn granted_scope(&self) -> Option<&str> {
        self.0.granted_scope()
    }

    /// When the token expires by this machine's wall clock: `expirationTime`, or one minute after the request if the
    /// response has no end that can be read. The cache keeps it for 24 hours at most.
    pub fn expires_at(&self) -> SystemTime {
        self.0.expires_at()
    }
}

impl fmt::Debug for OauthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthToken")
            .field("request", &self.request)
            .field("idaas_scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OauthAccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthAccessToken")
            .field("granted_scope", &self.granted_scope())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
