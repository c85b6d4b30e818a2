//! A refresh in flight, as its waiters see it: how it ended, and whether its runtime is driven.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cache::entry::CacheEntry;
use crate::cache::heartbeat::Heartbeat;
use crate::cache::sync::timeout;
use crate::error::Error;

/// How often a waiter checks the heartbeat. After two checks in a row without a beat the refresh counts as stalled.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How a refresh ended, for its waiters.
#[derive(Debug)]
pub(crate) enum Outcome<V> {
    /// With a value, which is cached.
    Cached(Arc<CacheEntry<V>>),
    /// With a value whose life is zero: it serves the waiters alone, and only if there is no better one.
    Uncacheable(Arc<CacheEntry<V>>),
    /// With a value whose life was over when the response came.
    Expired,
    /// With an error.
    Failed(Error),
    /// Without a result that counts: the value was invalidated meanwhile, the refresh was replaced, or its runtime is
    /// gone.
    Void,
}

impl<V> Clone for Outcome<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Cached(entry) => Self::Cached(Arc::clone(entry)),
            Self::Uncacheable(entry) => Self::Uncacheable(Arc::clone(entry)),
            Self::Expired => Self::Expired,
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Void => Self::Void,
        }
    }
}

/// A refresh in flight, as its waiters see it.
#[derive(Debug)]
pub(crate) struct InFlight<V> {
    pub(crate) id: u64,
    outcome: watch::Receiver<Option<Outcome<V>>>,
    heartbeat: Heartbeat,
}

impl<V> Clone for InFlight<V> {
    fn clone(&self) -> Self {
        Self { id: self.id, outcome: self.outcome.clone(), heartbeat: self.heartbeat.clone() }
    }
}

impl<V> InFlight<V> {
    /// A refresh in flight, with the sender of its outcome and its heartbeat.
    pub(crate) fn new(id: u64) -> (watch::Sender<Option<Outcome<V>>>, Heartbeat, Self) {
        let (sender, outcome) = watch::channel(None);
        let heartbeat = Heartbeat::default();
        (sender, heartbeat.clone(), Self { id, outcome, heartbeat })
    }

    /// Waits for the outcome.
    pub(crate) async fn wait(mut self) -> Outcome<V> {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Void),
            Err(_lost) => Outcome::Void,
        }
    }

    /// Waits for the outcome; `None` when the runtime of the refresh is not driven.
    pub(crate) async fn wait_while_running(self) -> Option<Outcome<V>> {
        let heartbeat = self.heartbeat.clone();
        let mut outcome = pin!(self.wait());
        let (mut seen, mut missed) = (heartbeat.count(), 0);
        while missed < 2 {
            if let Ok(outcome) = timeout(CHECK_INTERVAL, outcome.as_mut()).await {
                return Some(outcome);
            }
            let beats = heartbeat.count();
            missed = if beats.is_some() && beats == seen { missed + 1 } else { 0 };
            seen = beats;
        }
        None
    }

    /// Whether the refresh ended without a result.
    pub(crate) fn is_lost(&self) -> bool {
        self.outcome.has_changed().is_err() && self.outcome.borrow().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refresh_that_blocks_its_worker_is_waited_for_and_one_that_is_not_driven_is_not() {
        let (_sender, heartbeat, in_flight) = InFlight::<()>::new(1);
        heartbeat.set_polled(true);
        let mut waiting = pin!(in_flight.wait_while_running());
        assert!(timeout(Duration::from_secs(60), waiting.as_mut()).await.is_err());
        heartbeat.set_polled(false);
        assert!(
            timeout(CHECK_INTERVAL * 2, waiting.as_mut()).await.is_err(),
            "it may just have ended its poll"
        );
        assert!(matches!(timeout(CHECK_INTERVAL * 2, waiting).await, Ok(None)));
    }
}
