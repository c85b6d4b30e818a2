//! The credentials of one handle: a slot per role, scope, session duration and user.

use std::any::Any;
use std::sync::Arc;

use crate::aliyun::bearer::Bearer;
use crate::aliyun::cloud_role::credentials::CloudCredentials;
use crate::aliyun::cloud_role::obtain::{REFRESH_AHEAD, RoleCredentials, RoleKey, operation, read};
use crate::aliyun::developer_api::DeveloperApi;
use crate::aliyun::keyed_slots::{KeyedSlot, KeyedSlots, MapKey};
use crate::cache::admission::Party;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::slot::{Settings, Slot};
use crate::error::BoxFuture;
use crate::error::{ConfigError, Error};
use crate::scope::Scope;
use crate::token::{RetainedSubject, SubjectToken, TokenCache};

/// The roles of one handle.
#[derive(Debug)]
pub(crate) struct CloudRoles {
    tokens: Arc<TokenCache>,
    /// The DeveloperAPI, or what is missing in the configuration for it.
    api: Result<Arc<DeveloperApi>, ConfigError>,
    settings: Settings,
    /// Of the client itself.
    own: KeyedSlots<RoleKey, CloudCredentials>,
    /// Of the users on whose behalf it calls.
    of_subjects: KeyedSlots<RoleKey, CloudCredentials>,
}

impl CloudRoles {
    pub(crate) fn new(
        tokens: Arc<TokenCache>,
        api: Result<Arc<DeveloperApi>, ConfigError>,
        settings: Settings,
    ) -> Self {
        Self { tokens, api, settings, own: KeyedSlots::new(), of_subjects: KeyedSlots::of_subjects() }
    }

    /// The scope of the configuration.
    pub(super) fn configured_scope(&self) -> &Scope {
        self.tokens.default_scope()
    }

    /// # Errors
    /// When the configuration of the DeveloperAPI is incomplete.
    pub(super) fn api(&self) -> Result<&Arc<DeveloperApi>, ConfigError> {
        self.api.as_ref().map_err(Clone::clone)
    }

    /// The slot of a role, made at first use; the least recently used one may be dropped for it.
    pub(super) fn slot(
        &self,
        api: &Arc<DeveloperApi>,
        key: &RoleKey,
        subject: Option<&SubjectToken>,
    ) -> RoleSlot {
        // What fails for one subject is evidence about that subject alone.
        let (slots, party) = match subject {
            Some(_) => (&self.of_subjects, Party::Other),
            None => (&self.own, Party::Own),
        };
        slots.slot(key, |key| {
            let subject = subject.map(|_| RetainedSubject::default());
            let fetch = FetchCredentials {
                label: format!("STS credentials of {}", key.key.arn),
                bearer: Bearer {
                    tokens: Arc::clone(&self.tokens),
                    api: Arc::clone(api),
                    scope: key.key.scope.clone(),
                    subject: subject.clone(),
                },
                key,
            };
            let slot = Arc::new(Slot::new(Arc::new(fetch), Settings { party, ..self.settings.clone() }));
            KeyedSlot { slot, subject }
        })
    }
}

pub(super) type RoleSlot = KeyedSlot<CloudCredentials>;

/// The loader of one role's credentials.
#[derive(Debug)]
struct FetchCredentials {
    label: String,
    bearer: Bearer,
    key: MapKey<RoleKey, CloudCredentials>,
}

impl Loader<CloudCredentials> for FetchCredentials {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<CloudCredentials>, Error>> {
        Box::pin(async move {
            let obtained = self.bearer.send(&operation(&self.key.key), read).await?;
            let RoleCredentials { credentials: value, sent, life, request_id } = obtained;
            self.key.loaded();
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

    fn guard(&self) -> Option<Box<dyn Any + Send + Sync>> {
        self.bearer.subject.as_ref()?.guard().map(|guard| Box::new(guard) as _)
    }

    fn what(&self) -> &'static str {
        "credentials"
    }
}
