//! The providers of the chain, each with the cache of what it fetched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::aliyun::credential::fetch::FetchTemporary;
use crate::aliyun::credential::lookup::{FetchContext, Lookup, NoCredential, TemporarySource};
use crate::aliyun::credential::{
    Credential, cli_profile, environment, instance_role, oidc_role, profile_file, uri,
};
use crate::cache::slot::{Settings, Slot};
use crate::environment::Environment;
use crate::error::Error;

/// The providers, in the vendor's order.
pub(super) const PROVIDERS: [Provider; 6] = [
    Provider { name: "environment", lookup: environment::lookup },
    Provider { name: "OIDC role (RRSA)", lookup: oidc_role::lookup },
    Provider { name: "profile of the command line", lookup: cli_profile::lookup },
    Provider { name: "credentials file", lookup: profile_file::lookup },
    Provider { name: "RAM role of the ECS instance", lookup: instance_role::lookup },
    Provider { name: "credentials URI", lookup: uri::lookup },
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Provider {
    /// For messages.
    pub(super) name: &'static str,
    /// Reads variables and files, and sends nothing.
    pub(super) lookup: fn(&Environment) -> Result<Lookup, NoCredential>,
}

#[derive(Debug)]
pub(super) struct CachedProvider {
    pub(super) provider: Provider,
    fetched: Mutex<Option<Fetched>>,
}

#[derive(Debug)]
struct Fetched {
    source: TemporarySource,
    slot: Arc<Slot<Arc<Credential>>>,
}

impl CachedProvider {
    pub(super) fn new(provider: Provider) -> Self {
        Self { provider, fetched: Mutex::new(None) }
    }

    /// The provider's credential now. Variables and files are read each time.
    pub(super) async fn credential(
        &self,
        context: &Arc<FetchContext>,
        settings: &Settings,
    ) -> Result<Arc<Credential>, NoCredential> {
        let (source, failed): (_, fn(Error) -> NoCredential) =
            match (self.provider.lookup)(&context.environment)? {
                Lookup::Key(key) => return Ok(Arc::new(key)),
                Lookup::Temporary(source) => (source, NoCredential::Failed),
                Lookup::IfPresent(source) => (source, NoCredential::NotFound),
            };
        let entry = self.slot(source, context, settings).acquire().await.map_err(failed)?;
        Ok(Arc::clone(&entry.value))
    }

    /// Invalidates the credential if it is the one that was fetched here.
    pub(super) fn forget(&self, credential: &Credential) {
        if let Some(fetched) = &*self.fetched()
            && let Some(entry) = fetched.slot.peek()
            && entry.value.is(credential)
        {
            entry.recheck().invalidate();
        }
    }

    /// The slot of the source; a new one when another was in place before.
    fn slot(
        &self,
        source: TemporarySource,
        context: &Arc<FetchContext>,
        settings: &Settings,
    ) -> Arc<Slot<Arc<Credential>>> {
        let mut fetched = self.fetched();
        match &*fetched {
            Some(fetched) if fetched.source == source => Arc::clone(&fetched.slot),
            _ => {
                let loader = FetchTemporary { source: source.clone(), context: Arc::clone(context) };
                // Each has a server of its own, whose failures are no concern of the others.
                let settings = Settings { admission: Arc::default(), ..settings.clone() };
                let slot = Arc::new(Slot::new(Arc::new(loader), settings));
                *fetched = Some(Fetched { source, slot: Arc::clone(&slot) });
                slot
            }
        }
    }

    fn fetched(&self) -> MutexGuard<'_, Option<Fetched>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
