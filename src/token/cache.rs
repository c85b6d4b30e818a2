//! The tokens of one handle: a slot per scope.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::exchange::ExchangeCache;
use super::fetch::{Fetch, Fetched};
use super::slot::{Settings, Slot};
use super::source::TokenSource;
use super::subject::SubjectToken;
use super::{Token, fetched};
use crate::BoxFuture;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;

/// How many scopes beside the default one keep their slot. The least recently used one beyond it goes.
const SCOPES: usize = 64;

/// A token slot per scope.
#[derive(Debug)]
pub(crate) struct TokenCache {
    source: Arc<dyn TokenSource>,
    settings: Settings,
    default_scope: Scope,
    default: Arc<Slot<Token>>,
    /// None when tokens come from a source of the user's own, which exchanges nothing.
    exchange: Option<ExchangeCache>,
    /// Read without a lock; replaced whole, under `writing`, when a scope comes or goes.
    others: ArcSwap<HashMap<Scope, Arc<Entry>>>,
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<Slot<Token>>,
    last_used: AtomicU64,
}

impl TokenCache {
    pub(crate) fn new(
        source: Arc<dyn TokenSource>,
        exchange: Option<ExchangeCache>,
        default_scope: Scope,
        settings: Settings,
    ) -> Self {
        Self {
            default: Arc::new(slot(&source, &default_scope, &settings)),
            source,
            settings,
            default_scope,
            exchange,
            others: ArcSwap::default(),
            writing: Mutex::new(()),
        }
    }

    pub(crate) fn default_slot(&self) -> &Arc<Slot<Token>> {
        &self.default
    }

    pub(crate) fn default_scope(&self) -> &Scope {
        &self.default_scope
    }

    /// Tells how long the tokens of all scopes still live.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_lives(&self) {
        self.default.record_life();
        self.others.load().values().for_each(|entry| entry.slot.record_life());
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    /// The slot of an exchange; made on first use.
    ///
    /// # Errors
    ///
    /// When there is no token endpoint to exchange at.
    pub(crate) fn exchange_slot(
        &self,
        subject: &SubjectToken,
        scope: &Scope,
    ) -> Result<Arc<Slot<Token>>, Error> {
        let exchange = self.exchange.as_ref().ok_or_else(|| {
            let message = "no token is exchanged: PLUGIN, as any source of tokens given in code, has no token \
                           endpoint to do it; choose another authentication method";
            Error::new(ErrorKind::Rejected, message)
        })?;
        Ok(exchange.slot(subject, scope))
    }

    /// The slot of a scope; made on first use.
    pub(crate) fn slot(&self, scope: &Scope) -> Arc<Slot<Token>> {
        if *scope == self.default_scope {
            return Arc::clone(&self.default);
        }
        match self.others.load().get(scope) {
            Some(entry) => entry.touched(&self.settings.clock),
            None => self.add(scope),
        }
    }

    fn add(&self, scope: &Scope) -> Arc<Slot<Token>> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.others.load_full();
        if let Some(entry) = before.get(scope) {
            return entry.touched(&self.settings.clock);
        }
        let mut after = HashMap::clone(&before);
        drop(before);
        while after.len() >= SCOPES
            && let Some(idle) = least_recently_used(&after)
        {
            after.remove(&idle);
        }
        let entry = Entry {
            slot: Arc::new(slot(&self.source, scope, &self.settings)),
            last_used: AtomicU64::new(self.settings.clock.coarse_monotonic()),
        };
        let slot = Arc::clone(&entry.slot);
        after.insert(scope.clone(), Arc::new(entry));
        self.others.store(Arc::new(after));
        slot
    }
}

impl Entry {
    /// The slot, noting that it is in use. The note is written once a second at most, so that readers on
    /// several cores do not fight over it.
    fn touched(&self, clock: &Clock) -> Arc<Slot<Token>> {
        let now = clock.coarse_monotonic();
        if now.saturating_sub(self.last_used.load(Ordering::Relaxed)) > 1_000_000_000 {
            self.last_used.store(now, Ordering::Relaxed);
        }
        Arc::clone(&self.slot)
    }
}

/// The idle scope to give up. One that a layer or a request holds on to is not idle: giving it up would
/// make a second flight for its scope possible.
fn least_recently_used(entries: &HashMap<Scope, Arc<Entry>>) -> Option<Scope> {
    entries
        .iter()
        .filter(|(_, entry)| Arc::strong_count(&entry.slot) == 1)
        .min_by_key(|(_, entry)| entry.last_used.load(Ordering::Relaxed))
        .map(|(scope, _)| scope.clone())
}

fn slot(source: &Arc<dyn TokenSource>, scope: &Scope, settings: &Settings) -> Slot<Token> {
    let fetch =
        FetchToken { source: Arc::clone(source), scope: scope.clone(), clock: settings.clock.clone() };
    Slot::new(Arc::new(fetch), settings.clone())
}

/// A token of one scope, from any source.
#[derive(Debug)]
struct FetchToken {
    source: Arc<dyn TokenSource>,
    scope: Scope,
    clock: Clock,
}

impl Fetch<Token> for FetchToken {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched<Token>, Error>> {
        Box::pin(async move {
            let sent = self.clock.now();
            Ok(fetched(self.source.fetch(&self.scope).await?, &self.scope, sent))
        })
    }

    fn rejected(&self, token: &Token) {
        self.source.rejected(&self.scope, token);
    }

    fn subject(&self) -> &str {
        self.scope.as_str()
    }
}
