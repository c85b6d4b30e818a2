//! A token source with a store in front of it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tower_idaas::clock::{Clock, Timestamp};
use tower_idaas::environment::Environment;
use tower_idaas::{
    BoxFuture, Error, ErrorKind, Scope, Secret, SecretSource, SubjectToken, Token, TokenResponse, TokenSource,
};

use crate::guarded::{GuardedStore, Unreachable};
use crate::history::History;
use crate::last_good::LastGood;
use crate::lock::{Lock, LockSettings, Next, unique_owner};
use crate::name::Identity;
use crate::record::{self, Record, digest_of};
use crate::sealing::Keys;
use crate::telemetry::Telemetry;

/// How many names a process keeps the history of.
pub(crate) const NAMES: NonZeroUsize = match NonZeroUsize::new(256) {
    Some(names) => names,
    None => NonZeroUsize::MIN,
};

/// A token that lives for less is not stored: it would be over when it is read.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// Looks into the store before it calls the source behind it, and stores what that one returns.
#[derive(Debug)]
pub(crate) struct SharedSource {
    pub(crate) inner: Arc<dyn TokenSource>,
    pub(crate) identity: Identity,
    pub(crate) keys: SecretSource,
    pub(crate) last_keys: LastGood<Keys>,
    /// How long reading the keys may take.
    pub(crate) keys_timeout: Duration,
    pub(crate) environment: Environment,
    /// Whether the keys could not be read the last time.
    pub(crate) keyless: AtomicBool,
    pub(crate) store: GuardedStore,
    pub(crate) locks: LockSettings,
    pub(crate) longest_delay: Duration,
    pub(crate) histories: Mutex<LruCache<String, Arc<Mutex<History>>>>,
}

/// What the store has under a name.
#[derive(Debug)]
pub(crate) enum Found {
    /// A token that is used instead of a new one.
    Fresh(TokenResponse),
    /// A token to fall back on.
    Stale(TokenResponse),
    Nothing,
}

impl TokenSource for SharedSource {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            match self.load_keys().await {
                Ok(keys) => {
                    self.keyless.store(false, Ordering::Relaxed);
                    self.attempt(scope, &keys).fetch().await
                }
                Err(error) => {
                    let news = !self.keyless.swap(true, Ordering::Relaxed);
                    self.telemetry().keys_failed(&error, news);
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
        lock(&self.history(&self.identity.name(scope))).reject(digest_of(token.expose_token()));
        self.inner.rejected(scope, token);
    }

    fn time_limit(&self, default: Duration) -> Duration {
        self.inner.time_limit(default).saturating_add(self.longest_delay)
    }

    fn record_metrics(&self) {
        self.store.record_state();
        self.inner.record_metrics();
    }
}

impl SharedSource {
    async fn load_keys(&self) -> Result<Arc<Keys>, Error> {
        let read = tokio::time::timeout(self.keys_timeout, self.keys.read(&self.environment)).await;
        let text = read.unwrap_or_else(|_elapsed| Err(self.keys_hang()));
        let keys = text.and_then(|text| self.parse_keys(&text));
        self.last_keys.or_stand_in(keys, self.clock().now())
    }

    /// Reads the keys when the client is built.
    pub(crate) fn check_keys(&self) -> Result<(), Error> {
        // What only a function knows is read at run time.
        if let Some(text) = self.keys.read_blocking(&self.environment)? {
            self.last_keys.keep(Arc::new(self.parse_keys(&text)?));
        }
        Ok(())
    }

    fn keys_hang(&self) -> Error {
        let (keys, limit) = (&self.keys, self.keys_timeout);
        Error::new(ErrorKind::Timeout, format!("{keys} brought no keys of the token store within {limit:?}"))
    }

    fn parse_keys(&self, text: &Secret) -> Result<Keys, Error> {
        let unusable = |problem| Error::new(ErrorKind::Credential, format!("{} {problem}", self.keys));
        Keys::parse(text.expose_secret()).map_err(unusable)
    }

    fn attempt<'a>(&'a self, scope: &'a Scope, keys: &'a Keys) -> Attempt<'a> {
        let name = self.identity.name(scope);
        Attempt { history: self.history(&name), source: self, scope, keys, name }
    }

    fn history(&self, name: &str) -> Arc<Mutex<History>> {
        Arc::clone(lock(&self.histories).get_or_insert(name.to_owned(), Arc::default))
    }

    fn telemetry(&self) -> &Telemetry {
        &self.store.telemetry
    }

    fn clock(&self) -> &Clock {
        &self.store.clock
    }
}

/// One attempt to get one scope's token.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    source: &'a SharedSource,
    scope: &'a Scope,
    keys: &'a Keys,
    pub(crate) name: String,
    history: Arc<Mutex<History>>,
}

impl Attempt<'_> {
    async fn fetch(&self) -> Result<TokenResponse, Error> {
        let Self { source, scope, .. } = self;
        let stale = match self.lookup().await {
            Ok(Found::Fresh(response)) => return Ok(response),
            Ok(Found::Stale(response)) => Some(response),
            Ok(Found::Nothing) => None,
            Err(Unreachable) => return source.inner.fetch(scope).await,
        };
        let lock = match source.locks.acquire(&source.store, self).await {
            Next::Use(response) => return Ok(response),
            Next::Fetch(lock) => lock,
        };
        let sent = source.clock().now();
        let fetch = source.inner.fetch(scope);
        match source.locks.fetch_with(&source.store, &self.name, &lock, fetch).await {
            Ok(response) => {
                self.store(&response, sent, &lock).await;
                Ok(response)
            }
            Err(error) => {
                // So that the next process does not wait for the end of the lease.
                self.unlock(&lock).await;
                stale.filter(|stale| error.is_transient() && self.take(stale)).ok_or(error)
            }
        }
    }

    /// What the store has.
    pub(crate) async fn lookup(&self) -> Result<Found, Unreachable> {
        let Self { source, scope, keys, name, .. } = self;
        let telemetry = source.telemetry();
        let stored = match source.store.get(name).await {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                telemetry.looked(scope.as_str(), "miss");
                return Ok(Found::Nothing);
            }
            Err(Unreachable) => {
                telemetry.looked(scope.as_str(), "unreachable");
                return Err(Unreachable);
            }
        };
        let opened = keys.open(name, stored.value());
        let record = opened.and_then(|text| Record::read(&text, &stored, source.clock().now()));
        let Some(record) = record else {
            telemetry.looked(scope.as_str(), "unusable");
            return Ok(Found::Nothing);
        };
        let is_rejected = lock(&self.history).is_rejected(&record.digest());
        if is_rejected {
            telemetry.looked(scope.as_str(), "rejected");
            source.store.remove(name, stored.value()).await?;
            return Ok(Found::Nothing);
        }
        if record.is_fresh() {
            telemetry.looked(scope.as_str(), "hit");
            self.take(&record.response);
            return Ok(Found::Fresh(record.response));
        }
        telemetry.looked(scope.as_str(), "stale");
        Ok(if record.is_usable() { Found::Stale(record.response) } else { Found::Nothing })
    }

    /// Stores a token for the other processes, if it is of use to them, and ends the lock.
    async fn store(&self, response: &TokenResponse, sent: Timestamp, held: &Lock) {
        let Self { source, name, keys, .. } = self;
        self.take(response);
        let age = source.clock().now().since(sent).saturating_add(response.age().unwrap_or_default());
        let left = response.life().saturating_sub(age);
        // Some issuers issue the same token again, and an API that has rejected it rejects it again.
        let is_rejected = lock(&self.history).is_rejected(&digest_of(response.expose_token()));
        let is_of_use = left >= SHORTEST_LIFE && response.is_bearer() && !is_rejected;
        let sealed = is_of_use.then(|| keys.seal(name, &record::write(response, sent))).flatten();
        match sealed {
            Some(value) => {
                if source.store.put(name, held, &value, left).await.is_ok() {
                    lock(&self.history).ended(&held.owner);
                }
            }
            None => self.unlock(held).await,
        }
    }

    pub(crate) async fn unlock(&self, held: &Lock) {
        if self.source.store.unlock(&self.name, held).await.is_ok() {
            lock(&self.history).ended(&held.owner);
        }
    }

    pub(crate) fn lock_owner(&self) -> String {
        let now = self.now();
        lock(&self.history).owner(|| unique_owner(now))
    }

    pub(crate) fn may_wait(&self) -> bool {
        lock(&self.history).may_wait(self.now())
    }

    pub(crate) fn waited_in_vain(&self) {
        lock(&self.history).waited_in_vain(self.now());
    }

    pub(crate) fn lock_works(&self) {
        lock(&self.history).lock_works();
    }

    fn take(&self, response: &TokenResponse) -> bool {
        lock(&self.history).take(digest_of(response.expose_token()))
    }

    fn now(&self) -> Timestamp {
        self.source.clock().now()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
