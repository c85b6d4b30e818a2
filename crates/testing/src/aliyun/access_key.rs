//! Access keys of Alibaba Cloud, as a test's servers know them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tower_idaas::Secret;
use tower_idaas::environment::ManualEnvironment;

/// An access key that an [`OpenApiService`](crate::OpenApiService) knows: a permanent one, or with a security
/// token one of STS.
#[derive(Clone)]
pub struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    pub(crate) security_token: Option<Secret>,
    pub(crate) expires_at: Option<SystemTime>,
}

impl AccessKey {
    /// A permanent access key.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: Secret::new(secret), security_token: None, expires_at: None }
    }

    /// Makes it a temporary one of STS, which is valid together with this security token alone.
    #[must_use]
    pub fn with_security_token(mut self, token: impl Into<String>) -> Self {
        self.security_token = Some(Secret::new(token));
        self
    }

    /// When it ends, by the clock of the test IDaaS. Default: never.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret.
    pub fn secret(&self) -> Secret {
        self.secret.clone()
    }

    /// New environment variables that hold the key, as the vendor's clients read it, and nothing else.
    pub fn environment(&self) -> ManualEnvironment {
        let environment = ManualEnvironment::from_iter([
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", self.id.as_str()),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", self.secret.expose_secret()),
        ]);
        if let Some(token) = &self.security_token {
            environment.set("ALIBABA_CLOUD_SECURITY_TOKEN", token.expose_secret());
        }
        environment
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, secret: _, security_token, expires_at } = self;
        f.debug_struct("AccessKey")
            .field("id", id)
            .field("temporary", &security_token.is_some())
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

/// The access keys that servers share.
#[derive(Debug, Default)]
pub(crate) struct AccessKeys(Mutex<HashMap<String, AccessKey>>);

impl AccessKeys {
    /// In place of an earlier one of this id.
    pub(crate) fn add(&self, key: AccessKey) {
        self.keys().insert(key.id.clone(), key);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.keys().remove(id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<AccessKey> {
        self.keys().get(id).cloned()
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<String, AccessKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
