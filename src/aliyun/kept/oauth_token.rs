//! The handle of a third party's access token, and the token.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;

use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::kept::secrets::{KeptSecrets, SecretKey, Wanted, checked_name};
use crate::aliyun::kept::third_party::Request;
use crate::error::{ConfigError, Error};
use crate::scope::Scope;
use crate::service::SecretLayer;
use crate::token::Token;

/// The access token of a third party, which IDaaS gets there as the provider's settings have it, machine to machine;
/// made by [`Idaas::oauth_token`](crate::Idaas::oauth_token).
///
/// Clone it freely. The token is cached in the [`Idaas`](crate::Idaas) that made the handle, by provider, scope and
/// parameters: handles for the same share it. It lives until its `expirationTime`, is fetched anew in the background at
/// two thirds of its life, and at once when the API that it is for rejects it.
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
/// [`ConsentRequired::of`](crate::aliyun::ConsentRequired::of) has the address. Once the user has consented, the next
/// call has the token, a few seconds later at the most.
#[derive(Clone)]
pub struct OauthToken {
    kept: Arc<KeptSecrets>,
    api: Arc<DeveloperApi>,
    request: Arc<Request>,
    scope: Scope,
}

/// A live access token of a third party, as the cache hands it out. Cheap to clone; `Debug` does not show it.
#[derive(Clone)]
pub struct OauthAccessToken(Token);

impl OauthToken {
    pub(crate) fn new(kept: &Arc<KeptSecrets>, provider: &str) -> Result<Self, ConfigError> {
        let (api, scope) = kept.asked()?;
        let provider = checked_name("credentialProviderIdentifier", provider)?;
        let request = Request { provider, scope: None, parameters: BTreeMap::new() };
        Ok(Self { kept: Arc::clone(kept), api, request: Arc::new(request), scope })
    }

    /// Asks for a token with this scope of the third party's, as it writes it: `repo read:user`. Default: what the
    /// provider's settings say.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.request).scope = Some(scope.into());
        self
    }

    /// Adds a parameter of the provider's own: `customParameters`. Its value is treated as a secret.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.request).parameters.insert(name.into(), value.into());
        self
    }

    /// Asks IDaaS with a token for this scope, such as `urn:cloud:idaas:pam|authentication_token:obtain`: see
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
    /// When the list is empty, and every entry that is no origin.
    pub fn layer<I>(&self, origins: I) -> Result<SecretLayer, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        SecretLayer::new(self.kept.slot(&self.api, &self.key()), origins)
    }

    /// A live token, from the cache where possible.
    ///
    /// # Errors
    ///
    /// When there is none in the cache and none can be fetched: for want of a token of IDaaS, because a user must
    /// consent first, or because IDaaS does not know the provider, refuses, fails, or gives a token that has ended.
    pub async fn token(&self) -> Result<OauthAccessToken, Error> {
        let entry = self.kept.slot(&self.api, &self.key()).acquire().await?;
        Ok(OauthAccessToken(entry.value.clone()))
    }

    /// Invalidates a token that its API has rejected. If the cache holds another one already, that one stays.
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
    /// None in practice: a token that cannot stand in a header is refused when it comes.
    pub fn expose_authorization(&self) -> Result<HeaderValue, Error> {
        self.0.expose_authorization()
    }

    /// The scope that the third party granted, when IDaaS tells it.
    pub fn granted_scope(&self) -> Option<&str> {
        self.0.granted_scope()
    }

    /// When the token expires by this machine's wall clock: `expirationTime`, or one minute from when it was asked for
    /// if the response names no end.
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
