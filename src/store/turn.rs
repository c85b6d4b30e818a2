//! Whose turn it is to fetch, among all processes.

use std::time::Duration;

use super::guarded::{Guarded, Unreachable};
use super::source::{Found, Visit};
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
    /// To fetch, and to leave the token for the others, as this owner of the lock or of none.
    Fetch { owner: String },
    /// To fetch for oneself: the store does not answer.
    Alone,
    /// Somebody else has fetched.
    Spared(TokenResponse),
}

impl Turn {
    pub(super) fn owner(&self) -> Option<&str> {
        match self {
            Self::Fetch { owner } => Some(owner),
            Self::Alone | Self::Spared(_) => None,
        }
    }
}

impl Turns {
    /// Returns when it is this process's turn, or somebody else has left a token.
    pub(super) async fn wait(&self, store: &Guarded, visit: &Visit<'_>) -> Turn {
        let owner = random_name();
        let turn = tokio::time::timeout(self.wait, self.take(store, visit, &owner)).await;
        match turn {
            Ok(Ok(None)) => Turn::Fetch { owner },
            Ok(Ok(Some(response))) => Turn::Spared(response),
            Ok(Err(Unreachable)) => Turn::Alone,
            // What it fetches now is left for the others if nobody has the lock any more.
            Err(_elapsed) => Turn::Fetch { owner },
        }
    }

    async fn take(
        &self,
        store: &Guarded,
        visit: &Visit<'_>,
        owner: &str,
    ) -> Result<Option<TokenResponse>, Unreachable> {
        let mut pause = FIRST_PAUSE;
        loop {
            let won = store.try_lock(&visit.name, owner, self.lease).await?;
            if !won {
                // By chance up to twice as long, or all would look at once.
                tokio::time::sleep(pause.mul_f64(1.0 + fastrand::f64())).await;
                pause = LONGEST_PAUSE.min(pause * 3 / 2);
            }
            // Who has won looks too: the one before may have left a token since.
            match visit.look().await? {
                Found::Fresh(response) => {
                    if won {
                        store.unlock(&visit.name, owner).await?;
                    }
                    return Ok(Some(response));
                }
                Found::Late(_) | Found::Nothing if won => return Ok(None),
                Found::Late(_) | Found::Nothing => {}
            }
        }
    }
}

/// A name that no other process has.
fn random_name() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}
