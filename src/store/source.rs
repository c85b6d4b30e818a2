//! A source of tokens with a store in front.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cache::lru_map::LruMap;
use crate::clock::{Clock, Timestamp};
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::Error;
use crate::scope::Scope;
use crate::secret::SecretSource;
use crate::store::guarded::{Guarded, Unreachable};
use crate::store::keys::Keys;
use crate::store::known::Known;
use crate::store::names::Owner;
use crate::store::record::{self, Record, digest_of};
use crate::store::turn::{Lock, Turn, Turns};
use crate::telemetry::Telemetry;
use crate::token::{SubjectToken, Token, TokenResponse, TokenSource};

/// How many names a process remembers the last tokens of.
pub(super) const NAMES: usize = 256;

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
    /// Whether the keys could not be read the last time.
    pub(super) keyless: AtomicBool,
    pub(super) guarded: Guarded,
    pub(super) turns: Turns,
    pub(super) known: Mutex<LruMap<String, Arc<Mutex<Known>>>>,
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
                Ok(keys) => {
                    self.keyless.store(false, Ordering::Relaxed);
                    self.visit(scope, &keys).fetch().await
                }
                Err(error) => {
                    let news = !self.keyless.swap(true, Ordering::Relaxed);
                    self.telemetry().store_keys_failed(&error, news);
                    self.inner.fetch(scope).await
                }
            }
        })
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        self.inner.exchange(subject, scope)
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
        let lock = match source.turns.wait(&source.guarded, self).await {
            Turn::Spared(response) => return Ok(response),
            Turn::Loader(lock) => lock,
        };
        let sent = source.clock().now();
        let fetch = source.inner.fetch(scope);
        match source.turns.hold(&source.guarded, &self.name, &lock, fetch).await {
            Ok(response) => {
                self.leave(&response, sent, &lock).await;
                Ok(response)
            }
            Err(error) => {
                // The next one need not wait for the end of the lease.
                let _ = source.guarded.unlock(&self.name, &lock).await;
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
        if lock(&self.known).is_rejected(&record.digest()) {
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

    pub(super) fn now(&self) -> Timestamp {
        self.source.clock().now()
    }

    pub(super) fn is_patient(&self) -> bool {
        lock(&self.known).is_patient(self.now())
    }

    pub(super) fn waited_in_vain(&self) {
        lock(&self.known).waited_in_vain(self.now());
    }

    pub(super) fn had_its_turn(&self) {
        lock(&self.known).had_its_turn();
    }

    fn take(&self, response: &TokenResponse) -> bool {
        lock(&self.known).take(digest_of(response.expose_token()))
    }

    /// Leaves a token for the others, unless it is of no use to them.
    async fn leave(&self, response: &TokenResponse, sent: Timestamp, held: &Lock) {
        let Self { source, name, keys, .. } = self;
        self.take(response);
        let left = response.life().saturating_sub(source.clock().now().since(sent));
        // Some issuers hand out the same token again; one that an API has rejected is no better for that.
        let is_of_use =
            left >= SHORTEST_LIFE && !lock(&self.known).is_rejected(&digest_of(response.expose_token()));
        let sealed = is_of_use.then(|| keys.seal(name, &record::write(response, sent))).flatten();
        let _ = match sealed {
            Some(value) => source.guarded.put(name, held, &value, left).await.map(drop),
            None => source.guarded.unlock(name, held).await,
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
