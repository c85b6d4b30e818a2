//! How a request waits for a slot's value.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::entry::CacheEntry;
use crate::cache::in_flight::Outcome;
use crate::cache::slot::{Resolution, Slot};
use crate::cache::sync::timeout;
use crate::error::{Error, ErrorKind};

/// How long a request waits for the next value in the mandatory part of the current one's life: a server that hangs
/// must not delay a request that can be served.
const MANDATORY_WAIT: Duration = Duration::from_secs(2);

impl<V: Debug + Send + Sync + 'static> Slot<V> {
    /// The value, waiting for it where need be.
    ///
    /// # Errors
    ///
    /// The failure of the refresh, or of the wait for it, when there is no live value either.
    pub(crate) async fn acquire(self: Arc<Self>) -> Result<Arc<CacheEntry<V>>, Error> {
        match self.with_servable(Arc::clone) {
            Some(entry) => Ok(entry),
            None => Arc::clone(&self).wait_for(self.resolve()).await,
        }
    }

    /// The value that a resolution leads to, within the time that a request waits.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub(crate) async fn wait_for(
        self: Arc<Self>,
        resolution: Resolution<V>,
    ) -> Result<Arc<CacheEntry<V>>, Error> {
        // Without timers only the end of the refresh ends the wait.
        if !matches!(resolution, Resolution::Wait(_)) || self.current_runtime().is_err() {
            return self.follow(resolution, false).await;
        }
        let waiting = self.settings.telemetry.wait(self.loader.label());
        let wait = self.settings.wait;
        let limit = if self.peek().is_some() { wait.min(MANDATORY_WAIT) } else { wait };
        let mut following = pin!(self.follow(resolution, true));
        let result = match (timeout(limit, following.as_mut()).await, self.peek()) {
            (Ok(result), _) => result,
            (Err(_elapsed), Some(entry)) => Ok(entry),
            (Err(_elapsed), None) => timeout(wait.saturating_sub(limit), following)
                .await
                .unwrap_or_else(|_elapsed| Err(self.no_response(waiting.elapsed()))),
        };
        waiting.ended(result.as_ref().err());
        result
    }

    async fn follow(
        self: &Arc<Self>,
        mut resolution: Resolution<V>,
        timers: bool,
    ) -> Result<Arc<CacheEntry<V>>, Error> {
        let mut expired_before = false;
        loop {
            let in_flight = match resolution {
                Resolution::Serve(entry) => return Ok(entry),
                Resolution::Refuse(error) => return Err(error),
                Resolution::Wait(in_flight) => in_flight,
            };
            let id = in_flight.id;
            let outcome = match timers {
                true => in_flight.wait_while_running().await,
                false => Some(in_flight.wait().await),
            };
            match outcome {
                // When a waiter wakes late, the value may have expired.
                Some(Outcome::Cached(entry)) if entry.is_live(self.settings.clock.now()) => {
                    return Ok(entry);
                }
                Some(Outcome::Uncacheable(entry)) => return Ok(self.peek().unwrap_or(entry)),
                Some(Outcome::Failed(error)) => return self.peek().ok_or(error),
                // Once: the machine was suspended, or its clock set ahead. Twice: the server is that slow, and the next
                // request tries again.
                Some(Outcome::Expired) if expired_before => return self.peek().ok_or_else(|| self.expired()),
                Some(Outcome::Expired) => expired_before = true,
                Some(Outcome::Cached(_) | Outcome::Void) => {}
                // The runtime of the refresh is not driven, but this waiter's is.
                None => self.abandon(id),
            }
            resolution = self.resolve();
        }
    }

    fn expired(&self) -> Error {
        let message = format!(
            "the response for {} had expired on the way, twice in a row; the issuer is too slow for so short a life, \
             or the clock jumps",
            self.loader.label()
        );
        Error::new(ErrorKind::Timeout, message)
    }

    /// `elapsed` is how long the wait was by the machine's clock.
    fn no_response(&self, elapsed: Duration) -> Error {
        let (label, wait) = (self.loader.label(), self.settings.wait);
        let paused = match elapsed < wait / 2 {
            true => {
                "; the runtime's time ran ahead of the machine's clock: is it paused (`tokio::time::pause`)?"
            }
            false => "",
        };
        let message =
            format!("no response for {label} within {wait:?}; the refresh goes on; try again{paused}");
        Error::new(ErrorKind::Timeout, message)
    }
}
