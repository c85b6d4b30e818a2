//! The lock that makes one process fetch for all.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tower_idaas::TokenResponse;
use tower_idaas::clock::Timestamp;

use crate::guarded::{GuardedStore, Unreachable};
use crate::shared_source::{Attempt, Found};

/// The pause before the next look at what another process is fetching; each further one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a lock lasts, and how long to wait for one.
#[derive(Debug)]
pub(crate) struct LockSettings {
    pub(crate) lease: Duration,
    pub(crate) wait: Duration,
}

/// How a process that requested the lock goes on.
#[derive(Debug)]
pub(crate) enum Next {
    /// It fetches, and stores the token.
    Fetch(Lock),
    /// Another process has stored a token.
    Use(TokenResponse),
}

/// What is known of the lock that was requested.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(crate) owner: String,
    held: bool,
    /// The store has failed since: the lock may be held all the same.
    pub(crate) in_doubt: bool,
}

impl LockSettings {
    /// Takes the lock. Waits while another process holds it, until that one has stored a token or the wait is over.
    pub(crate) async fn acquire(&self, store: &GuardedStore, attempt: &Attempt<'_>) -> Next {
        let owner = attempt.lock_owner();
        let longest = if attempt.may_wait() { self.wait } else { Duration::ZERO };
        let mut longest = pin!(sleep(longest));
        let mut pause = FIRST_PAUSE;
        loop {
            let held = match store.try_lock(&attempt.name, &owner, self.lease).await {
                Ok(held) => held,
                Err(Unreachable) => return Next::Fetch(Lock { owner, held: false, in_doubt: true }),
            };
            if held {
                attempt.lock_works();
            } else {
                // Up to twice as long, by chance: otherwise all processes would look at once. No call of the store
                // is cut short.
                if timeout(pause.mul_f64(1.0 + fastrand::f64()), &mut longest).await.is_ok() {
                    attempt.waited_in_vain();
                    return Next::Fetch(Lock { owner, held, in_doubt: false });
                }
                pause = LONGEST_PAUSE.min(pause * 3 / 2);
            }
            // With the lock, too: its last owner may have stored a token since the last look.
            match attempt.lookup().await {
                Ok(Found::Fresh(response)) => {
                    attempt.lock_works();
                    if held {
                        // If that fails, other processes wait for the end of the lease.
                        attempt.unlock(&Lock { owner, held, in_doubt: false }).await;
                    }
                    return Next::Use(response);
                }
                Ok(Found::Stale(_) | Found::Nothing) if !held => {}
                lookup => return Next::Fetch(Lock { owner, held, in_doubt: lookup.is_err() }),
            }
        }
    }

    /// Fetches, and renews the lease meanwhile: for as long as this process lives, the others wait for its token.
    pub(crate) async fn fetch_with<T>(
        &self,
        store: &GuardedStore,
        name: &str,
        lock: &Lock,
        fetch: impl Future<Output = T>,
    ) -> T {
        let mut fetch = pin!(fetch);
        let mut held = lock.held;
        while held {
            if let Ok(fetched) = timeout((self.lease / 3).max(FIRST_PAUSE), &mut fetch).await {
                return fetched;
            }
            let mut renewal = pin!(store.try_lock(name, &lock.owner, self.lease));
            let mut fetched = None;
            // The renewal is not cut short: it might take the lock anew after the call that ends it.
            let renewed = poll_fn(|context| {
                if fetched.is_none()
                    && let Poll::Ready(done) = fetch.as_mut().poll(context)
                {
                    fetched = Some(done);
                }
                renewal.as_mut().poll(context)
            })
            .await;
            if let Some(fetched) = fetched {
                return fetched;
            }
            // A lock that was lost is not taken back. A store that does not respond gets the request again.
            held = !matches!(renewed, Ok(false));
        }
        fetch.await
    }
}

/// A name that no other owner has: from the system's randomness, and from the time in case that the machine is a copy
/// of another. It keeps nothing secret, so it does not wait until a cryptographic generator is seeded, which takes a
/// process tens of milliseconds.
pub(crate) fn unique_owner(now: Timestamp) -> String {
    let half = || RandomState::new().hash_one((now.monotonic, now.wall));
    format!("{:016x}{:016x}", half(), half())
}
