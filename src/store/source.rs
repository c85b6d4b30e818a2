//! A source of tokens with a store in front.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::guarded::{Guarded, Unreachable};
use super::keys::Keys;
use super::names::Owner;
use super::record::{self, Digest, Record, digest_of};
use super::turn::{Turn, Turns};
use crate::BoxFuture;
use crate::clock::{Clock, Moment};
use crate::environment::Environment;
use crate::error::Error;
use crate::scope::Scope;
use crate::secret::SecretSource;
use crate::telemetry::Telemetry;
use crate::token::{Recent, Token, TokenResponse, TokenSource};

/// How many names a process remembers the last tokens of.
pub(super) const NAMES: usize = 256;

/// How many rejected tokens of a name are told from others: more than an API rejects in one life.
const REJECTED: usize = 16;

/// A token that lives for less is not worth sharing: it would be gone when it is read.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// Asks the store before the source, and leaves in it what the source brings. Called inside a flight and nowhere
/// else.
#[derive(Debug)]
pub(crate) struct SharedSource {
    pub(super) inner: Arc<dyn TokenSource>,
    pub(super) owner: Owner,
    pub(super) keys: SecretSource,
    pub(super) environment: Environment,
    pub(super) guarded: Guarded,
    pub(super) turns: Turns,
    pub(super) known: Mutex<Recent<String, Arc<Mutex<Known>>>>,
}

/// What this process knows of the tokens under one name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Refused by an API: it is not taken from the store again, whoever may put it there.
    rejected: VecDeque<Digest>,
    /// Taken from the store last.
    taken: Option<Digest>,
}

impl Known {
    fn reject(&mut self, digest: Digest) {
        self.rejected.truncate(REJECTED - 1);
        self.rejected.push_front(digest);
    }
}

/// What the store has under a name.
#[derive(Debug)]
pub(super) enum Found {
    /// A token that spares a fetch.
    Fresh(TokenResponse),
    /// One that is better than none.
    Late(TokenResponse),
    Nothing,
}

impl TokenSource for SharedSource {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            match Keys::read(&self.keys, &self.environment) {
                Ok(keys) => self.visit(scope, &keys).fetch().await,
                Err(error) => {
                    self.telemetry().store_failed("key", &error, true);
                    self.inner.fetch(scope).await
                }
            }
        })
    }

    fn rejected(&self, scope: &Scope, token: &Token) {
        lock(&self.known(&self.owner.name(scope))).reject(digest_of(token.expose_token()));
        self.inner.rejected(scope, token);
    }
}

impl SharedSource {
    fn visit<'a>(&'a self, scope: &'a Scope, keys: &'a Keys) -> Visit<'a> {
        let name = self.owner.name(scope);
        Visit { known: self.known(&name), source: self, scope, keys, name }
    }

    fn known(&self, name: &str) -> Arc<Mutex<Known>> {
        Arc::clone(lock(&self.known).get_or_insert_with(name.to_owned(), Arc::default))
    }

    fn telemetry(&self) -> &Telemetry {
        &self.guarded.telemetry
    }

    fn clock(&self) -> &Clock {
        &self.guarded.clock
    }
}

/// One fetch of one scope's token.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    source: &'a SharedSource,
    scope: &'a Scope,
    keys: &'a Keys,
    pub(super) name: String,
    known: Arc<Mutex<Known>>,
}

impl Visit<'_> {
    async fn fetch(&self) -> Result<TokenResponse, Error> {
        let Self { source, scope, .. } = self;
        let spare = match self.look().await {
            Ok(Found::Fresh(response)) => return Ok(response),
            Ok(Found::Late(response)) => Some(response),
            Ok(Found::Nothing) => None,
            Err(Unreachable) => return source.inner.fetch(scope).await,
        };
        let turn = match source.turns.wait(&source.guarded, self).await {
            Turn::Spared(response) => return Ok(response),
            turn => turn,
        };
        let sent = source.clock().now();
        match source.inner.fetch(scope).await {
            Ok(response) => {
                self.leave(&response, sent, turn.owner()).await;
                Ok(response)
            }
            Err(error) => {
                if let Some(owner) = turn.owner() {
                    // The next one need not wait for the end of the lease.
                    let _ = source.guarded.unlock(&self.name, owner).await;
                }
                spare.filter(|spare| error.is_transient() && self.take(spare)).ok_or(error)
            }
        }
    }

    /// What the store has.
    pub(super) async fn look(&self) -> Result<Found, Unreachable> {
        let Self { source, scope, keys, name, .. } = self;
        let telemetry = source.telemetry();
        let stored = match source.guarded.get(name).await {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                telemetry.store_looked(scope.as_str(), "miss");
                return Ok(Found::Nothing);
            }
            Err(Unreachable) => {
                telemetry.store_looked(scope.as_str(), "unreachable");
                return Err(Unreachable);
            }
        };
        let opened = keys.open(name, &stored.value);
        let record = opened.and_then(|text| Record::read(&text, &stored, source.clock().now()));
        let Some(record) = record else {
            telemetry.store_looked(scope.as_str(), "unusable");
            return Ok(Found::Nothing);
        };
        if lock(&self.known).rejected.contains(&record.digest()) {
            telemetry.store_looked(scope.as_str(), "rejected");
            source.guarded.remove(name, &stored.value).await?;
            return Ok(Found::Nothing);
        }
        if record.is_fresh() {
            telemetry.store_looked(scope.as_str(), "hit");
            self.take(&record.response);
            return Ok(Found::Fresh(record.response));
        }
        telemetry.store_looked(scope.as_str(), "late");
        Ok(if record.is_of_use() { Found::Late(record.response) } else { Found::Nothing })
    }

    /// Notes that a token was taken. False when it was taken before: then the cache had it, and comes for a better
    /// one.
    fn take(&self, response: &TokenResponse) -> bool {
        let digest = digest_of(response.token());
        lock(&self.known).taken.replace(digest) != Some(digest)
    }

    async fn leave(&self, response: &TokenResponse, sent: Moment, owner: Option<&str>) {
        let Self { source, name, keys, .. } = self;
        let Some(owner) = owner else { return };
        lock(&self.known).taken = Some(digest_of(response.token()));
        let left = response.life().saturating_sub(source.clock().now().since(sent));
        let sealed = keys.seal(name, &record::write(response, sent));
        let _ = match sealed.filter(|_| left >= SHORTEST_LIFE) {
            Some(value) => source.guarded.put(name, owner, &value, left).await.map(drop),
            None => source.guarded.unlock(name, owner).await,
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
