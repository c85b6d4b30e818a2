//! A source in its place in the chain, with the cache of what it fetched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::aliyun::credential::lookup::{Miss, Plan};
use crate::aliyun::credential::order::{FetchOrdered, Means, Order};
use crate::aliyun::credential::{
    Credential, cli_profile, environment, instance_role, oidc_role, profile_file, uri,
};
use crate::cache::slot::{Settings, Slot};
use crate::environment::Environment;
use crate::error::Error;

/// The sources, in the vendor's order.
pub(super) const SOURCES: [Source; 6] = [
    Source { name: "environment", plan: environment::plan },
    Source { name: "OIDC role (RRSA)", plan: oidc_role::plan },
    Source { name: "profile of the command line", plan: cli_profile::plan },
    Source { name: "credentials file", plan: profile_file::plan },
    Source { name: "RAM role of the ECS instance", plan: instance_role::plan },
    Source { name: "credentials URI", plan: uri::plan },
];

#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// For messages.
    pub(super) name: &'static str,
    /// Reads variables and files, and sends nothing.
    pub(super) plan: fn(&Environment) -> Result<Plan, Miss>,
}

#[derive(Debug)]
pub(super) struct Stand {
    pub(super) source: Source,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    order: Order,
    slot: Arc<Slot<Arc<Credential>>>,
}

impl Stand {
    pub(super) fn new(source: Source) -> Self {
        Self { source, kept: Mutex::new(None) }
    }

    /// What the source gives now. Variables and files are read each time.
    pub(super) async fn look(
        &self,
        means: &Arc<Means>,
        settings: &Settings,
    ) -> Result<Arc<Credential>, Miss> {
        let (order, miss): (_, fn(Error) -> Miss) = match (self.source.plan)(&means.environment)? {
            Plan::Key(key) => return Ok(Arc::new(key)),
            Plan::Temporary(order) => (order, Miss::Fault),
            Plan::InCase(order) => (order, Miss::InVain),
        };
        let live = self.slot(order, means, settings).acquire().await.map_err(miss)?;
        Ok(Arc::clone(&live.value))
    }

    /// The credential is not to be given again, if it is of those that were fetched.
    pub(super) fn forget(&self, credential: &Credential) {
        if let Some(kept) = &*self.kept()
            && let Some(live) = kept.slot.peek()
            && live.value.is(credential)
        {
            live.recheck().invalidate();
        }
    }

    /// The slot of the order; a new one when another was in place before.
    fn slot(&self, order: Order, means: &Arc<Means>, settings: &Settings) -> Arc<Slot<Arc<Credential>>> {
        let mut kept = self.kept();
        match &*kept {
            Some(kept) if kept.order == order => Arc::clone(&kept.slot),
            _ => {
                let fetch = FetchOrdered { order: order.clone(), means: Arc::clone(means) };
                // Each asks somebody else, so what one learns about its issuer is no business of another's.
                let settings = Settings { admission: Arc::default(), ..settings.clone() };
                let slot = Arc::new(Slot::new(Arc::new(fetch), settings));
                *kept = Some(Kept { order, slot: Arc::clone(&slot) });
                slot
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
