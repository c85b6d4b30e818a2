//! Keeps a token fresh when no request needs it.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::in_flight::Outcome;
use crate::cache::slot::Resolution;
use crate::cache::sync::AbortHandle;
use crate::error::Error;
use crate::scope::Scope;
use crate::token::TokenCache;

/// The longest time between two checks, because a machine may sleep and a token may be invalidated.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// The shortest time between two checks, whatever they find.
const SHORTEST_NAP: Duration = Duration::from_millis(100);

/// Refreshes a token before it ends, even when no request needs it; made by
/// [`Idaas::keep_fresh`](crate::Idaas::keep_fresh). Dropping the guard stops that, and so does dropping the last of the
/// handle's clones and layers.
#[derive(Debug)]
#[must_use = "dropped, it stops"]
pub struct RefreshGuard(AbortHandle);

impl RefreshGuard {
    /// # Errors
    ///
    /// Outside a Tokio runtime.
    pub(crate) fn start(cache: &Arc<TokenCache>, scope: Scope) -> Result<Self, Error> {
        let runtime = cache.default_slot().current_runtime()?;
        let (weak, clock) = (Arc::downgrade(cache), cache.clock().clone());
        let task = runtime.spawn(async move {
            // The slot is looked up at each check, so that nothing stays alive between two of them.
            while let Some(cache) = weak.upgrade() {
                let slot = cache.slot(&scope);
                drop(cache);
                let resolution = slot.resolve();
                let nap = match resolution {
                    Resolution::Wait(in_flight) => {
                        let (waiting, id) = (Arc::downgrade(&slot), in_flight.id);
                        drop(slot);
                        let outcome = in_flight.wait_while_running().await;
                        if outcome.is_none()
                            && let Some(slot) = waiting.upgrade()
                        {
                            slot.abandon(id);
                        }
                        // A token without a life is not cached, and the next one would be like it.
                        if matches!(outcome, Some(Outcome::Uncacheable(_))) {
                            LONGEST_NAP
                        } else {
                            SHORTEST_NAP
                        }
                    }
                    Resolution::Serve(_) | Resolution::Refuse(_) => slot.next_recheck(),
                };
                clock.sleep(nap.clamp(SHORTEST_NAP, LONGEST_NAP)).await;
            }
        });
        Ok(Self(task.abort_handle()))
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}
