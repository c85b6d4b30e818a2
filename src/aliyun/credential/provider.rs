//! The providers of the chain, each with a cache of its temporary credential.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::aliyun::credential::fetch::FetchTemporary;
use crate::aliyun::credential::lookup::{FetchContext, Lookup, NoCredential, TemporarySource};
use crate::aliyun::credential::{
    Credential, cli_profile, environment, instance_role, oidc_role, profile_file, uri,
};
use crate::cache::slot::{Settings, Slot};
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::secret::off_worker::off_worker;

/// How long the last content of a file stands in while the file cannot be read, as for other secret files.
const STAND_IN: Duration = Duration::from_secs(60);

/// The providers, in the vendor's order.
pub(super) const PROVIDERS: [Provider; 6] = [
    Provider { name: "environment", lookup: environment::lookup, reads_files: false },
    Provider { name: "OIDC role (RRSA)", lookup: oidc_role::lookup, reads_files: false },
    Provider { name: "profile of the command line", lookup: cli_profile::lookup, reads_files: true },
    Provider { name: "credentials file", lookup: profile_file::lookup, reads_files: true },
    Provider { name: "RAM role of the ECS instance", lookup: instance_role::lookup, reads_files: false },
    Provider { name: "credentials URI", lookup: uri::lookup, reads_files: false },
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Provider {
    /// The name in messages.
    pub(super) name: &'static str,
    /// Reads variables and files, and sends nothing.
    pub(super) lookup: fn(&Environment) -> Result<Lookup, NoCredential>,
    /// Whether the lookup reads files, and so may block.
    reads_files: bool,
}

#[derive(Debug)]
pub(super) struct CachedProvider {
    pub(super) provider: Provider,
    fetched: Mutex<Option<Fetched>>,
    bridge: Mutex<Bridge>,
}

/// The last lookup, which stands in while the files cannot be read.
#[derive(Debug, Default)]
struct Bridge {
    last: Option<Lookup>,
    failing_since: Option<Timestamp>,
}

impl Bridge {
    /// The lookup to use: the last good one, while the files are missing or half written for a moment.
    fn conclude(
        &mut self,
        lookup: Result<Lookup, NoCredential>,
        now: Timestamp,
    ) -> Result<Lookup, NoCredential> {
        let passes = match &lookup {
            Ok(_) => false,
            Err(NoCredential::Missing(_) | NoCredential::Failed(_)) => true,
            Err(NoCredential::NotConfigured(_) | NoCredential::NotFound(_)) => false,
        };
        if passes {
            let since = *self.failing_since.get_or_insert(now);
            if now.since(since) < STAND_IN
                && let Some(last) = &self.last
            {
                tracing::debug!(target: "tower_idaas::credential", "a profile's file cannot be read; what it held last is used meanwhile");
                return Ok(last.clone());
            }
        }
        *self = Self {
            last: lookup.as_ref().ok().cloned(),
            failing_since: self.failing_since.filter(|_| passes),
        };
        lookup
    }
}

#[derive(Debug)]
struct Fetched {
    source: TemporarySource,
    slot: Arc<Slot<Arc<Credential>>>,
}

impl CachedProvider {
    pub(super) fn new(provider: Provider) -> Self {
        Self { provider, fetched: Mutex::new(None), bridge: Mutex::default() }
    }

    /// The provider's current credential. Variables and files are read each time.
    pub(super) async fn credential(
        &self,
        context: &Arc<FetchContext>,
        settings: &Settings,
    ) -> Result<Arc<Credential>, NoCredential> {
        let (source, failed): (_, fn(Error) -> NoCredential) = match self.lookup(context).await? {
            Lookup::Key(key) => return Ok(Arc::new(key)),
            Lookup::Temporary(source) => (source, NoCredential::Failed),
            Lookup::IfPresent(source) => (source, NoCredential::NotFound),
        };
        let entry = self.slot(source, context, settings).acquire().await.map_err(failed)?;
        Ok(Arc::clone(&entry.value))
    }

    /// Reads variables, and files outside the runtime's workers.
    async fn lookup(&self, context: &Arc<FetchContext>) -> Result<Lookup, NoCredential> {
        let Provider { lookup, reads_files, .. } = self.provider;
        if !reads_files {
            return lookup(&context.environment);
        }
        let environment = context.environment.clone();
        let looked = off_worker(move || lookup(&environment)).await;
        let looked = looked.unwrap_or_else(|cause| {
            let message =
                "a profile's file was not read: no thread could be started, or the runtime is shutting down";
            let error = Error::new(ErrorKind::Runtime, message);
            Err(NoCredential::Failed(error.with_source(cause)))
        });
        let now = context.channel.clock.now();
        self.bridge.lock().unwrap_or_else(PoisonError::into_inner).conclude(looked, now)
    }

    /// Invalidates the credential if this cache fetched it.
    pub(super) fn forget(&self, credential: &Credential) {
        if let Some(fetched) = &*self.fetched()
            && let Some(entry) = fetched.slot.peek()
            && entry.value.is(credential)
        {
            entry.recheck().invalidate();
        }
    }

    /// The source's slot; a new one when the source has changed.
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
                let loader = FetchTemporary::new(source.clone(), Arc::clone(context));
                // Each source has its own server, so its failures must not open a circuit breaker for the others.
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
