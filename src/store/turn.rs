//! Whose turn it is to fetch, among all processes.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::clock::Timestamp;
use crate::store::guarded::{Guarded, Unreachable};
use crate::store::source::{Found, Visit};
use crate::token::TokenResponse;

/// The first look at what somebody else is fetching; each further one comes half as much later again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long to hold a turn, and how long to wait for one.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) lease: Duration,
    pub(super) wait: Duration,
}

/// What waiting came to.
#[derive(Debug)]
pub(super) enum Turn {
    /// To fetch, and to leave the token for the others.
    Loader(Lock),
    /// Somebody else has fetched.
    Spared(TokenResponse),
}

/// What is known of the lock that was asked for.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) owner: String,
    held: bool,
    /// The store has failed since it was asked for: it may be held for all that.
    pub(super) in_doubt: bool,
}

impl Turns {
    /// Returns when it is this process's turn, or somebody else has left a token, or neither comes to pass.
    pub(super) async fn wait(&self, store: &Guarded, visit: &Visit<'_>) -> Turn {
        let owner = unique_name(visit.now());
        let longest = if visit.is_patient() { self.wait } else { Duration::ZERO };
        let mut longest = pin!(sleep(longest));
        let mut pause = FIRST_PAUSE;
        loop {
            let held = match store.try_lock(&visit.name, &owner, self.lease).await {
                Ok(held) => held,
                Err(Unreachable) => return Turn::Loader(Lock { owner, held: false, in_doubt: true }),
            };
            if held {
                visit.had_its_turn();
            } else {
                // By chance up to twice as long, or all would look at once. No call of the store is cut short.
                if timeout(pause.mul_f64(1.0 + fastrand::f64()), &mut longest).await.is_ok() {
                    visit.waited_in_vain();
                    return Turn::Loader(Lock { owner, held, in_doubt: false });
                }
                pause = LONGEST_PAUSE.min(pause * 3 / 2);
            }
            // Who holds it looks too: the one before may have left a token since.
            match visit.look().await {
                Ok(Found::Fresh(response)) => {
                    visit.had_its_turn();
                    if held {
                        // Should it fail, it is the others who wait, and for the lease at most.
                        let _ = store.unlock(&visit.name, &Lock { owner, held, in_doubt: false }).await;
                    }
                    return Turn::Spared(response);
                }
                Ok(Found::Late(_) | Found::Nothing) if !held => {}
                look => return Turn::Loader(Lock { owner, held, in_doubt: look.is_err() }),
            }
        }
    }

    /// Fetches, and renews the lease meanwhile: as long as this process lives, others wait for what it brings.
    pub(super) async fn hold<T>(
        &self,
        store: &Guarded,
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
            // The renewal comes to its end, or it might take the lock anew behind the one who gives it back.
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
            // Who has lost it leaves it to whoever has it. A store that does not answer is asked again.
            held = !matches!(renewed, Ok(false));
        }
        fetch.await
    }
}

/// A name that no other process has: from the system's randomness, and from the time in case that the machine is a
/// copy of another. It keeps nothing secret, so that it need not wait until a cryptographic generator is seeded,
/// which takes a process tens of milliseconds.
fn unique_name(now: Timestamp) -> String {
    let half = || RandomState::new().hash_one((now.monotonic, now.wall));
    format!("{:016x}{:016x}", half(), half())
}
