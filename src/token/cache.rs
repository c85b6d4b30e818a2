//! The tokens of one handle: a slot per scope.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Cache};

use crate::cache::entry::CacheEntry;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::slot::{Settings, Slot};
use crate::clock::Clock;
use crate::error::BoxFuture;
use crate::error::Error;
use crate::scope::Scope;
use crate::token::exchange::ExchangeCache;
use crate::token::source::TokenSource;
use crate::token::subject::SubjectToken;
use crate::token::{Token, fetched};

/// How many scopes beside the default one keep their slot. The least recently used one beyond it goes.
const SCOPES: usize = 64;

/// A token slot per scope.
#[derive(Debug)]
pub(crate) struct TokenCache {
    source: Arc<dyn TokenSource>,
    settings: Settings,
    default_scope: Scope,
    default: Arc<Slot<Token>>,
    exchange: ExchangeCache,
    /// Whether the default slot is everybody's: see `fixed.rs`.
    pub(super) fixed: bool,
    /// Read without a lock; replaced whole, under `writing`, when a scope comes or goes.
    others: Arc<ArcSwap<Entries>>,
    /// How many scopes have come. Only when one comes does another go, so this is all the time that there is.
    arrivals: AtomicU64,
    writing: Mutex<()>,
}

type Entries = HashMap<Scope, Arc<Entry>, BuildHasherDefault<AsHashed>>;

#[derive(Debug)]
struct Entry {
    slot: Arc<Slot<Token>>,
    /// By the count of arrivals.
    last_used: AtomicU64,
}

/// What the cache's scopes were when last looked at. As long as none comes or goes, looking again costs a
/// comparison; a view that is not used keeps nothing from being fetched, served or withdrawn.
pub(crate) struct ScopesView(Cache<Arc<ArcSwap<Entries>>, Arc<Entries>>);

/// A scope is hashed when it is made.
#[derive(Debug, Default)]
struct AsHashed(u64);

impl Hasher for AsHashed {
    fn write(&mut self, bytes: &[u8]) {
        // Scopes do not write this way; another key would find its entry all the same.
        for byte in bytes {
            self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

impl TokenCache {
    pub(crate) fn new(
        source: Arc<dyn TokenSource>,
        default_scope: Scope,
        settings: Settings,
        exchange_capacity: usize,
    ) -> Self {
        Self {
            default: Arc::new(slot(&source, &default_scope, &settings)),
            exchange: ExchangeCache::new(Arc::clone(&source), settings.clone(), exchange_capacity),
            source,
            settings,
            default_scope,
            fixed: false,
            others: Arc::default(),
            arrivals: AtomicU64::new(0),
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
    pub(crate) fn exchange_slot(
        &self,
        subject: &SubjectToken,
        scope: &Scope,
    ) -> Result<Arc<Slot<Token>>, Error> {
        if self.fixed {
            return Ok(Arc::clone(&self.default));
        }
        Ok(self.exchange.slot(subject, scope))
    }

    /// Looks at the token of a scope, if it may be served without a closer look, without counting a reference.
    #[inline]
    pub(crate) fn with_servable<T>(
        &self,
        scope: &Scope,
        look: impl FnOnce(&Arc<CacheEntry<Token>>) -> T,
    ) -> Option<T> {
        self.with_servable_in(&self.others.load(), scope, look)
    }

    /// A view of the scopes for one who asks again and again.
    pub(crate) fn view(&self) -> ScopesView {
        ScopesView(Cache::new(Arc::clone(&self.others)))
    }

    /// The same as [`with_servable`](Self::with_servable), through a view of this cache.
    #[inline]
    pub(crate) fn with_servable_through<T>(
        &self,
        view: &mut ScopesView,
        scope: &Scope,
        look: impl FnOnce(&Arc<CacheEntry<Token>>) -> T,
    ) -> Option<T> {
        self.with_servable_in(view.0.load(), scope, look)
    }

    #[inline]
    fn with_servable_in<T>(
        &self,
        entries: &Entries,
        scope: &Scope,
        look: impl FnOnce(&Arc<CacheEntry<Token>>) -> T,
    ) -> Option<T> {
        match entries.get(scope) {
            Some(entry) => entry.touched(&self.arrivals).with_servable(look),
            None if *scope == self.default_scope => self.default.with_servable(look),
            None => None,
        }
    }

    /// The slot of a scope; made on first use.
    pub(crate) fn slot(&self, scope: &Scope) -> Arc<Slot<Token>> {
        if self.fixed || *scope == self.default_scope {
            return Arc::clone(&self.default);
        }
        match self.others.load().get(scope) {
            Some(entry) => Arc::clone(entry.touched(&self.arrivals)),
            None => self.add(scope),
        }
    }

    fn add(&self, scope: &Scope) -> Arc<Slot<Token>> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.others.load_full();
        if let Some(entry) = before.get(scope) {
            return Arc::clone(entry.touched(&self.arrivals));
        }
        let mut after = HashMap::clone(&before);
        drop(before);
        while after.len() >= SCOPES
            && let Some(idle) = least_recently_used(&after)
        {
            let _gone = after.remove(&idle);
            #[cfg(feature = "metrics")]
            _gone.iter().for_each(|entry| entry.slot.record_end());
        }
        let arrival = self.arrivals.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = Arc::new(slot(&self.source, scope, &self.settings));
        let entry = Entry { slot: Arc::clone(&slot), last_used: AtomicU64::new(arrival) };
        after.insert(scope.clone(), Arc::new(entry));
        self.others.store(Arc::new(after));
        slot
    }
}

impl Entry {
    /// The slot, noting that it is in use. The note is written once between two arrivals, so that readers on
    /// several cores do not fight over it.
    #[inline]
    fn touched(&self, arrivals: &AtomicU64) -> &Arc<Slot<Token>> {
        let now = arrivals.load(Ordering::Relaxed);
        if self.last_used.load(Ordering::Relaxed) != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
        &self.slot
    }
}

/// The idle scope to give up. One that a layer or a request holds on to is not idle: giving it up would
/// make a second refresh for its scope possible.
fn least_recently_used(entries: &Entries) -> Option<Scope> {
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

impl Loader<Token> for FetchToken {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Token>, Error>> {
        Box::pin(async move {
            let sent = self.clock.now();
            Ok(fetched(self.source.fetch(&self.scope).await?, &self.scope, sent))
        })
    }

    fn rejected(&self, token: &Token) {
        self.source.rejected(&self.scope, token);
    }

    fn label(&self) -> &str {
        self.scope.as_str()
    }
}
