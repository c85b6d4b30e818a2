//! The handle of one API key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::stored::secrets::{SecretKey, StoredSecrets, Wanted, checked_life, checked_name};
use crate::error::{ConfigError, Error};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::service::SecretLayer;

/// An API key stored in IDaaS; made by [`Idaas::api_key`](crate::Idaas::api_key).
///
/// Clone it freely. The key is cached in the [`Idaas`](crate::Idaas) that made the handle, by name, scope and life, and
/// shared by all handles with the same. IDaaS does not say when a key expires, so its life in the cache is
/// [chosen](Self::with_life): five minutes by default. It is refreshed in the background before that ends, and at once
/// when its API rejects it; while it lives, a failed refresh changes nothing. The 1,000 last used entries are kept.
///
/// ```no_run
/// # async fn example() -> Result<(), tower_idaas::BoxError> {
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::{Layer, ServiceExt};
/// use tower_idaas::Idaas;
///
/// let idaas = Idaas::from_env()?;
/// let layer = idaas.api_key("model")?.layer(["https://llm.example.com"])?;
/// # let connector = hyper_util::client::legacy::connect::HttpConnector::new(); // one that speaks TLS
/// let client = layer.layer(Client::builder(TokioExecutor::new()).build(connector));
///
/// let request = http::Request::post("https://llm.example.com/v1/chat").body(Full::<bytes::Bytes>::from("…"))?;
/// let response = client.oneshot(request).await?;
/// # let _: http::Response<hyper::body::Incoming> = response;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ApiKey {
    secrets: Arc<StoredSecrets>,
    api: Arc<DeveloperApi>,
    name: Arc<str>,
    scope: Scope,
    life: Duration,
}

impl ApiKey {
    /// The default life of a key in the cache.
    pub const LIFE: Duration = Duration::from_secs(5 * 60);

    pub(crate) fn new(secrets: &Arc<StoredSecrets>, name: &str) -> Result<Self, ConfigError> {
        let (api, scope) = secrets.developer_api()?;
        let name = checked_name("credentialIdentifier", name)?;
        Ok(Self { secrets: Arc::clone(secrets), api, name, scope, life: Self::LIFE })
    }

    /// Keeps the key for this long, from one second to 24 hours. A key replaced in IDaaS is noticed this late at most
    /// if its API still accepts the old one.
    ///
    /// # Errors
    ///
    /// When the life is out of range.
    pub fn with_life(mut self, life: Duration) -> Result<Self, ConfigError> {
        self.life = checked_life(life)?;
        Ok(self)
    }

    /// Calls IDaaS with a token for this scope, such as `urn:cloud:idaas:pam|credential:obtain`. Default: the
    /// configured scope if its audience is `urn:cloud:idaas:pam`, or else `urn:cloud:idaas:pam|.all`, everything that
    /// the client is granted there.
    #[must_use]
    pub fn with_idaas_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The credential's identifier.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A layer that puts the key on requests to these origins, and to no others: as `Authorization: Bearer`, or as the
    /// [`SecretLayer`] is configured. Entries are written as in
    /// [`IdaasLayer::allow_origins`](crate::IdaasLayer::allow_origins).
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

    /// The key, from the cache where possible, for uses that the layer does not cover.
    ///
    /// # Errors
    ///
    /// When the cache has none and the fetch fails: no token is available, or IDaaS does not know the credential,
    /// refuses, fails, or keeps no API key under the name. Concurrent callers share one refresh and one error.
    pub async fn key_text(&self) -> Result<Secret, Error> {
        let entry = self.secrets.slot(&self.api, &self.key()).acquire().await?;
        Ok(Secret::new(entry.value.expose_token()))
    }

    /// Invalidates a key that its API has rejected. A newer one in the cache stays.
    pub fn invalidate(&self, key: &Secret) {
        if let Some(entry) = self.secrets.peek(&self.key())
            && entry.value.expose_token() == key.expose_secret()
        {
            entry.recheck().invalidate();
        }
    }

    fn key(&self) -> SecretKey {
        let wanted = Wanted::ApiKey { name: Arc::clone(&self.name), life: self.life };
        SecretKey { wanted, scope: self.scope.clone() }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secrets: _, api: _, name, scope, life } = self;
        f.debug_struct("ApiKey")
            .field("name", name)
            .field("idaas_scope", scope)
            .field("life", life)
            .finish_non_exhaustive()
    }
}
