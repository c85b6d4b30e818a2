//! An OAuth client stored in IDaaS, and its loader.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::bearer::Bearer;
use crate::aliyun::keyed_slots::MapKey;
use crate::aliyun::stored::credential::{self, OAUTH_CLIENT};
use crate::cache::loader::{Loaded, Loader};
use crate::cache::recheck::Recheck;
use crate::cache::slot::Slot;
use crate::cache::window::RefreshAhead;
use crate::error::{BoxFuture, Error};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::wire::call::{ApiResponse, text};
use crate::wire::redact::Redactor;

/// The cache key of an OAuth client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub(super) name: Arc<str>,
    pub(super) scope: Scope,
    pub(super) life: Duration,
}

/// The credentials stored in IDaaS for an [`OauthClient`](crate::aliyun::OauthClient). Cheap to clone; `Debug` does
/// not show the secret.
#[derive(Clone)]
pub struct OauthClientCredentials(Arc<Content>);

struct Content {
    client_id: String,
    client_secret: Secret,
    recheck: Arc<Recheck>,
}

impl OauthClientCredentials {
    /// `clientId`, which is no secret.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// `clientSecret`.
    pub fn client_secret(&self) -> &Secret {
        &self.0.client_secret
    }

    pub(super) fn recheck(&self) -> &Recheck {
        &self.0.recheck
    }
}

impl fmt::Debug for OauthClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthClientCredentials").field("client_id", &self.0.client_id).finish_non_exhaustive()
    }
}

pub(super) type ClientSlot = Arc<Slot<OauthClientCredentials>>;

#[derive(Debug)]
pub(super) struct FetchClient {
    label: String,
    bearer: Bearer,
    key: MapKey<ClientKey, OauthClientCredentials>,
}

impl FetchClient {
    pub(super) fn new(key: MapKey<ClientKey, OauthClientCredentials>, bearer: Bearer) -> Self {
        Self { label: format!("OAuth client {}", key.key.name), bearer, key }
    }

    fn read(&self, response: &ApiResponse<'_>) -> Result<Loaded<OauthClientCredentials>, Error> {
        let ClientKey { name, life, .. } = &self.key.key;
        let content = OAUTH_CLIENT.of(response, name)?;
        let field = |field| {
            let missing = || response.unusable(&format!("its `oauthClientContent` carries no `{field}`"));
            text(content, &[field]).filter(|text| !text.trim().is_empty()).ok_or_else(missing)
        };
        let (id, secret) = (field("clientId")?, field("clientSecret")?);
        let client_id = response.redactor().value(id);
        let client_id = client_id.ok_or_else(|| response.unusable("the client's id in it is too long"))?;
        let recheck = Arc::new(Recheck::new());
        let content =
            Content { client_id, client_secret: Secret::new(secret), recheck: Arc::clone(&recheck) };
        Ok(Loaded {
            value: OauthClientCredentials(Arc::new(content)),
            recheck,
            sent: response.sent(),
            life: *life,
            refresh_ahead: RefreshAhead::TwoThirds,
            from_issuer: true,
            request_id: response.request_id().map(|id| Redactor::new([secret]).id(id)),
        })
    }
}

impl Loader<OauthClientCredentials> for FetchClient {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<OauthClientCredentials>, Error>> {
        Box::pin(async move {
            let operation = credential::operation(&self.key.key.name);
            let loaded = self.bearer.send(&operation, |response| self.read(response)).await?;
            self.key.loaded();
            Ok(loaded)
        })
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn what(&self) -> &'static str {
        "credentials"
    }
}
