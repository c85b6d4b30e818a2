//! The credentials of one handle: a slot per role, scope and session duration.

use std::sync::Arc;

use crate::aliyun::bearer::Bearer;
use crate::aliyun::cloud_role::credentials::CloudCredentials;
use crate::aliyun::cloud_role::obtain::{Obtained, REFRESH_AHEAD, RoleKey, operation, read};
use crate::aliyun::developer_api::DeveloperApi;
use crate::cache::admission::Party;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::lru_map::LruMap;
use crate::cache::slot::{Settings, Slot};
use crate::error::BoxFuture;
use crate::error::{ConfigFault, Error};
use crate::scope::Scope;
use crate::token::{SubjectToken, TokenCache};

/// The number of roles whose credentials are kept, a few kilobytes each. The least recently used entry beyond it is
/// dropped.
const ROLES: usize = 1_000;

/// The roles of one handle.
#[derive(Debug)]
pub(crate) struct CloudRoles {
    tokens: Arc<TokenCache>,
    /// The DeveloperAPI, or what is missing in the configuration for it.
    api: Result<Arc<DeveloperApi>, ConfigFault>,
    settings: Settings,
    slots: LruMap<RoleKey, Arc<Slot<CloudCredentials>>>,
}

impl CloudRoles {
    pub(crate) fn new(
        tokens: Arc<TokenCache>,
        api: Result<Arc<DeveloperApi>, ConfigFault>,
        settings: Settings,
    ) -> Self {
        Self { tokens, api, settings, slots: LruMap::new(ROLES) }
    }

    /// The scope of the configuration.
    pub(super) fn configured_scope(&self) -> &Scope {
        self.tokens.default_scope()
    }

    /// # Errors
    /// When the configuration of the DeveloperAPI is incomplete.
    pub(super) fn api(&self) -> Result<&Arc<DeveloperApi>, ConfigFault> {
        self.api.as_ref().map_err(Clone::clone)
    }

    /// The slot of a role, made on first use; the least recently used one may be dropped for it.
    pub(super) fn slot(
        &self,
        api: &Arc<DeveloperApi>,
        key: &RoleKey,
        subject: Option<&SubjectToken>,
    ) -> Arc<Slot<CloudCredentials>> {
        self.slots.get_or_insert_with(key, || {
            let fetch = FetchCredentials {
                label: format!("STS credentials of {}", key.arn),
                bearer: Bearer {
                    tokens: Arc::clone(&self.tokens),
                    api: Arc::clone(api),
                    scope: key.scope.clone(),
                    subject: subject.cloned(),
                },
                key: key.clone(),
            };
            // What fails for one subject is evidence about that subject alone.
            let party = if subject.is_some() { Party::Other } else { Party::Own };
            Arc::new(Slot::new(Arc::new(fetch), Settings { party, ..self.settings.clone() }))
        })
    }
}

/// The loader of one role's credentials.
#[derive(Debug)]
struct FetchCredentials {
    label: String,
    bearer: Bearer,
    key: RoleKey,
}

impl Loader<CloudCredentials> for FetchCredentials {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<CloudCredentials>, Error>> {
        Box::pin(async move {
            let obtained = self.bearer.send(&operation(&self.key), read).await?;
            let Obtained { credentials: value, sent, life, request_id } = obtained;
            let recheck = Arc::clone(value.recheck());
            Ok(Loaded {
                value,
                recheck,
                sent,
                life,
                refresh_ahead: REFRESH_AHEAD,
                from_issuer: true,
                request_id,
            })
        })
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn what(&self) -> &'static str {
        "credentials"
    }
}
