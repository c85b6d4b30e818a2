//! The credentials of one handle: a slot per role, scope and session duration.

use std::sync::Arc;

use http::StatusCode;

use crate::aliyun::cloud_role::credentials::CloudCredentials;
use crate::aliyun::cloud_role::obtain::{Obtained, RENEWAL, RoleKey, obtain};
use crate::aliyun::developer_api::DeveloperApi;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::lru_map::LruMap;
use crate::cache::slot::{Settings, Slot};
use crate::error::BoxFuture;
use crate::error::{ConfigFault, Error};
use crate::scope::Scope;
use crate::token::{SubjectToken, Token, TokenCache};

/// How many roles keep their credentials: a few kilobytes each. The least recently used one beyond it goes.
const ROLES: usize = 1_000;

/// The roles of one handle.
#[derive(Debug)]
pub(crate) struct CloudRoles {
    tokens: Arc<TokenCache>,
    /// Or what is missing for it.
    api: Result<Arc<DeveloperApi>, ConfigFault>,
    settings: Settings,
    slots: LruMap<RoleKey, Arc<Slot<CloudCredentials>>>,
}

impl CloudRoles {
    pub(crate) fn new(
        tokens: Arc<TokenCache>,
        api: Result<DeveloperApi, ConfigFault>,
        settings: Settings,
    ) -> Self {
        Self { tokens, api: api.map(Arc::new), settings, slots: LruMap::new(ROLES) }
    }

    /// The scope of the configuration.
    pub(super) fn configured_scope(&self) -> &Scope {
        self.tokens.default_scope()
    }

    /// # Errors
    ///
    /// What is missing for the DeveloperAPI.
    pub(super) fn api(&self) -> Result<&Arc<DeveloperApi>, ConfigFault> {
        self.api.as_ref().map_err(Clone::clone)
    }

    /// The slot of a role; made on first use, and the least recently used one gone for it.
    pub(super) fn slot(
        &self,
        api: &Arc<DeveloperApi>,
        key: &RoleKey,
        subject: Option<&SubjectToken>,
    ) -> Arc<Slot<CloudCredentials>> {
        self.slots.get_or_insert_with(key, || {
            let fetch = FetchCredentials {
                label: format!("STS credentials of {}", key.arn),
                subject: subject.cloned(),
                tokens: Arc::clone(&self.tokens),
                api: Arc::clone(api),
                key: key.clone(),
            };
            Arc::new(Slot::new(Arc::new(fetch), self.settings.clone()))
        })
    }
}

/// The credentials of one role.
#[derive(Debug)]
struct FetchCredentials {
    label: String,
    /// Of the user for whom the role is assumed.
    subject: Option<SubjectToken>,
    tokens: Arc<TokenCache>,
    api: Arc<DeveloperApi>,
    key: RoleKey,
}

impl FetchCredentials {
    async fn token(&self) -> Result<Token, Error> {
        let scope = &self.key.scope;
        match &self.subject {
            Some(subject) => self.tokens.exchange(subject, scope).await,
            None => Ok(self.tokens.slot(scope).acquire().await?.value.clone()),
        }
    }

    /// Makes one call, or two when the token of the first was refused: it may have been revoked meanwhile.
    async fn obtain(&self) -> Result<Obtained, Error> {
        let token = self.token().await?;
        match obtain(&self.api, &self.key, &token).await {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => token.invalidate(),
            result => return result,
        }
        obtain(&self.api, &self.key, &self.token().await?).await
    }
}

impl Loader<CloudCredentials> for FetchCredentials {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<CloudCredentials>, Error>> {
        Box::pin(async move {
            let Obtained { credentials: value, sent, life, request_id } = self.obtain().await?;
            let recheck = Arc::clone(value.recheck());
            Ok(Loaded { value, recheck, sent, life, renewal: RENEWAL, from_issuer: true, request_id })
        })
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn what(&self) -> &'static str {
        "credentials"
    }
}
