//! Keeps a token warm without requests that ask for it.

use std::sync::Weak;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::TokenCache;
use super::slot::{Resolution, no_runtime};
use crate::clock::Clock;
use crate::error::Error;
use crate::scope::Scope;

/// A machine may sleep and a token may be withdrawn: nobody naps for longer.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// Between two looks, whatever they find.
const SHORTEST_NAP: Duration = Duration::from_millis(100);

/// Renews a token before it ends though no request asks for it; made by
/// [`Idaas::keep_warm`](crate::Idaas::keep_warm). Dropping it stops that, and so does dropping the last of
/// the handle's clones and layers.
#[derive(Debug)]
#[must_use = "dropped, it stops"]
pub struct KeepWarm(AbortHandle);

impl KeepWarm {
    /// # Errors
    ///
    /// Outside a Tokio runtime.
    pub(crate) fn start(cache: Weak<TokenCache>, clock: Clock, scope: Scope) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        let task = runtime.spawn(async move {
            // The slot is looked up each time: between two looks nothing is held on to.
            while let Some(cache) = cache.upgrade() {
                let slot = cache.slot(&scope);
                drop(cache);
                let resolution = slot.resolve();
                let nap = match resolution {
                    Resolution::Wait(arrival) => {
                        drop(slot);
                        arrival.wait().await;
                        SHORTEST_NAP
                    }
                    Resolution::Serve(_) | Resolution::Refuse(_) => slot.next_look(),
                };
                clock.sleep(nap.clamp(SHORTEST_NAP, LONGEST_NAP)).await;
            }
        });
        Ok(Self(task.abort_handle()))
    }
}

impl Drop for KeepWarm {
    fn drop(&mut self) {
        self.0.abort();
    }
}
