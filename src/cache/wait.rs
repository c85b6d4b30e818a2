//! Waiting for a slot's value, within a time of the caller's own.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::entry::CacheEntry;
use crate::cache::flight::Outcome;
use crate::cache::slot::{Resolution, Slot};
use crate::cache::sync::{Handle, timeout};
use crate::cache::window::State;
use crate::error::{Error, ErrorKind};

/// How long a request waits for the next value while the overdue one still lives: an issuer that hangs must
/// not hold up what could be served.
const OVERDUE_PATIENCE: Duration = Duration::from_secs(2);

impl<V: Debug + Send + Sync + 'static> Slot<V> {
    /// The value, waiting for it where need be.
    ///
    /// # Errors
    ///
    /// The failure of the fetch, or of the wait for it, when there is no live value either.
    pub(crate) async fn acquire(self: Arc<Self>) -> Result<Arc<CacheEntry<V>>, Error> {
        match self.with_servable(Arc::clone) {
            Some(live) => Ok(live),
            None => Arc::clone(&self).settle_for(self.resolve()).await,
        }
    }

    /// What comes of a resolution, within the time that a request waits.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub(crate) async fn settle_for(
        self: Arc<Self>,
        resolution: Resolution<V>,
    ) -> Result<Arc<CacheEntry<V>>, Error> {
        // Without a runtime there is no timer; the flight that is waited for has its own end.
        if Handle::try_current().is_err() {
            return self.await_flights(resolution).await;
        }
        let _waiter = self.settings.telemetry.waits(self.fetch.subject());
        let wait = self.settings.wait;
        let patience = if self.peek().is_some() { wait.min(OVERDUE_PATIENCE) } else { wait };
        let mut flights = pin!(self.await_flights(resolution));
        if let Ok(result) = timeout(patience, flights.as_mut()).await {
            return result;
        }
        if let Some(live) = self.peek() {
            return Ok(live);
        }
        let result = timeout(wait.saturating_sub(patience), flights).await;
        result.unwrap_or_else(|_elapsed| Err(self.waited_in_vain()))
    }

    async fn await_flights(
        self: &Arc<Self>,
        mut resolution: Resolution<V>,
    ) -> Result<Arc<CacheEntry<V>>, Error> {
        let mut expired_before = false;
        loop {
            let arrival = match resolution {
                Resolution::Serve(live) => return Ok(live),
                Resolution::Refuse(error) => return Err(error),
                Resolution::Wait(arrival) => arrival,
            };
            match arrival.wait().await {
                // One that wakes late may find that the value has had its day meanwhile.
                Outcome::Landed(live) if live.state(self.settings.clock.now()) < State::Dead => {
                    return Ok(live);
                }
                Outcome::DeadOnArrival(live) => return Ok(self.peek().unwrap_or(live)),
                Outcome::Failed(error) => return self.peek().ok_or(error),
                // Once, that was a suspended machine or a clock set ahead; an issuer so slow is asked again by
                // the next request.
                Outcome::Expired if expired_before => return self.peek().ok_or_else(|| self.expired()),
                Outcome::Expired => {
                    expired_before = true;
                    resolution = self.resolve();
                }
                Outcome::Landed(_) | Outcome::Void => resolution = self.resolve(),
            }
        }
    }

    fn expired(&self) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!(
                "what came for {} had expired on the way, twice in a row; the issuer is too slow for so short a life, or the clock jumps",
                self.fetch.subject()
            ),
        )
    }

    fn waited_in_vain(&self) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!(
                "no answer for {} within {:?}; the fetch goes on, try again",
                self.fetch.subject(),
                self.settings.wait
            ),
        )
    }
}
