//! The tokens of one handle: of the default scope, of other scopes, and exchanged ones.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use crate::cache::admission::Party;
use crate::cache::entry::CacheEntry;
use crate::cache::lru_map::Limits;
use crate::cache::slot::{Settings, Slot};
use crate::clock::Clock;
use crate::error::Error;
use crate::scope::Scope;
use crate::token::loader::{ExchangeLoader, ScopeLoader};
use crate::token::retained_subject::{RetainedSubject, SubjectGuard};
use crate::token::sharded_header::ShardBudget;
use crate::token::slot_map::{SlotMap, TokenSlot};
use crate::token::source::TokenSource;
use crate::token::subject::{ExchangeKey, SubjectToken};
use crate::token::token::Token;

/// How many header shards the exchanged tokens have together, besides the first one of each.
const EXCHANGE_SHARDS: usize = 1_024;

/// Per this many slots of exchanges that have a token, there is one for an exchange that never had one; a few at least.
const EXCHANGE_PROBATION: usize = 8;
const LEAST_EXCHANGE_PROBATION: usize = 64;

/// How many tokens a handle caches, besides that of the default scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheLimits {
    /// Of other scopes.
    pub(crate) scopes: usize,
    /// Exchanged ones.
    pub(crate) exchanges: usize,
    /// Bytes that exchanged tokens take.
    pub(crate) exchange_bytes: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { scopes: 1_000, exchanges: 10_000, exchange_bytes: 64 * 1024 * 1024 }
    }
}

/// The tokens of one handle: a slot per scope, and per subject token, scope and type of an exchange.
#[derive(Debug)]
pub(crate) struct TokenCache {
    source: Arc<dyn TokenSource>,
    default_scope: Scope,
    default: Arc<Slot<Token>>,
    scopes: Arc<SlotMap<Scope>>,
    exchanges: Arc<SlotMap<ExchangeKey>>,
    exchange_shards: ShardBudget,
    /// Whether the default slot serves all scopes and subjects: see `fixed.rs`.
    pub(super) fixed: bool,
}

/// A slot, and for an exchange the subject token that a refresh needs. Keep it for as long as a request waits.
#[derive(Debug)]
pub(crate) struct RequestSlot {
    slot: Arc<Slot<Token>>,
    _subject: Option<SubjectGuard>,
}

impl From<Arc<Slot<Token>>> for RequestSlot {
    fn from(slot: Arc<Slot<Token>>) -> Self {
        Self { slot, _subject: None }
    }
}

impl Deref for RequestSlot {
    type Target = Arc<Slot<Token>>;

    fn deref(&self) -> &Self::Target {
        &self.slot
    }
}

impl TokenCache {
    pub(crate) fn new(
        source: Arc<dyn TokenSource>,
        default_scope: Scope,
        settings: Settings,
        limits: CacheLimits,
    ) -> Self {
        let exchange_settings = Settings {
            party: Party::Other,
            telemetry: settings.telemetry.of_exchanges(),
            ..settings.clone()
        };
        let scope_limits = Limits { probation: limits.scopes, protected: limits.scopes, weight: usize::MAX };
        let exchange_limits = Limits {
            probation: (limits.exchanges / EXCHANGE_PROBATION).max(LEAST_EXCHANGE_PROBATION),
            protected: limits.exchanges,
            weight: limits.exchange_bytes,
        };
        Self {
            default: scope_slot(&source, &default_scope, &settings, Weak::new()),
            source,
            default_scope,
            scopes: Arc::new(SlotMap::new(scope_limits, settings, "scope_capacity")),
            exchanges: Arc::new(SlotMap::new(exchange_limits, exchange_settings, "exchange_capacity")),
            exchange_shards: ShardBudget::new(EXCHANGE_SHARDS),
            fixed: false,
        }
    }

    pub(crate) fn default_slot(&self) -> &Arc<Slot<Token>> {
        &self.default
    }

    pub(crate) fn default_scope(&self) -> &Scope {
        &self.default_scope
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.default.clock()
    }

    /// Reports how long the tokens of all scopes still live, whether requests are refused after failures, and what the
    /// source has to report.
    #[cfg(feature = "metrics")]
    pub(crate) fn record_metrics(&self) {
        self.scopes.settings().telemetry.record_circuits();
        self.source.record_metrics();
        self.default.record_life();
        self.scopes.for_each(|TokenSlot { slot, .. }| slot.record_life());
    }

    /// Reads the token of a scope, if it may be served without a recheck. Takes no lock and counts no reference.
    #[inline]
    pub(crate) fn with_servable<T>(
        &self,
        scope: &Scope,
        read: impl FnOnce(&Arc<CacheEntry<Token>>) -> T,
    ) -> Option<T> {
        if self.fixed || *scope == self.default_scope {
            return self.default.with_servable(read);
        }
        self.scopes.with_servable(scope, |key| key == scope, read)
    }

    /// The slot of a scope; made at first use.
    pub(crate) fn slot(&self, scope: &Scope) -> Arc<Slot<Token>> {
        if self.fixed || *scope == self.default_scope {
            return Arc::clone(&self.default);
        }
        let make = || {
            let slots = Arc::downgrade(&self.scopes);
            let slot = scope_slot(&self.source, scope, self.scopes.settings(), slots);
            (scope.clone(), TokenSlot { slot, subject: None })
        };
        self.scopes.get_or_insert(scope, |key| key == scope, make).slot
    }

    /// The token of a scope, if it is live. Fetches, makes and evicts nothing.
    pub(crate) fn peek(&self, scope: &Scope) -> Option<Token> {
        let slot = match self.fixed || *scope == self.default_scope {
            true => Arc::clone(&self.default),
            false => self.scopes.peek(scope, |key| key == scope)?.slot,
        };
        slot.peek().map(|entry| entry.value.clone())
    }

    /// A live token of a scope, waiting for it if need be.
    ///
    /// # Errors
    ///
    /// When there is none and none can be fetched.
    pub(crate) async fn token(&self, scope: &Scope) -> Result<Token, Error> {
        match self.with_servable(scope, |live| live.value.clone()) {
            Some(token) => Ok(token),
            None => Ok(self.slot(scope).acquire().await?.value.clone()),
        }
    }

    /// Reads an exchanged token, if it may be served without a recheck. Takes no lock and counts no reference.
    #[inline]
    pub(crate) fn with_servable_exchange<T>(
        &self,
        subject: &SubjectToken,
        scope: &Scope,
        read: impl FnOnce(&Arc<CacheEntry<Token>>) -> T,
    ) -> Option<T> {
        if self.fixed {
            return self.default.with_servable(read);
        }
        if subject.is_too_long() {
            return None;
        }
        let query = subject.query(scope);
        self.exchanges.with_servable(&query, |key| query.is(key), read)
    }

    /// The slot of an exchange; made at first use.
    ///
    /// # Errors
    ///
    /// When the subject or the actor token is blank or too long: no request is sent for it.
    pub(crate) fn exchange_slot(&self, subject: &SubjectToken, scope: &Scope) -> Result<RequestSlot, Error> {
        if self.fixed {
            return Ok(Arc::clone(&self.default).into());
        }
        subject.check()?;
        let query = subject.query(scope);
        let make = || {
            let retained = RetainedSubject::default();
            let settings = self.exchanges.settings();
            let loader = ExchangeLoader {
                source: Arc::clone(&self.source),
                key: query.to_key(),
                subject: retained.clone(),
                scope: scope.clone(),
                clock: settings.clock.clone(),
                budget: self.exchange_shards.clone(),
                slots: Arc::downgrade(&self.exchanges),
            };
            let slot = Arc::new(Slot::new(Arc::new(loader), settings.clone()));
            (query.to_key(), TokenSlot { slot, subject: Some(retained) })
        };
        let TokenSlot { slot, subject: retained } =
            self.exchanges.get_or_insert(&query, |key| query.is(key), make);
        Ok(RequestSlot { slot, _subject: retained.map(|retained| retained.retain(subject)) })
    }

    /// A token for this scope on the subject's behalf, waiting for it if need be.
    ///
    /// # Errors
    ///
    /// When there is none and the subject token cannot be exchanged.
    pub(crate) async fn exchange(&self, subject: &SubjectToken, scope: &Scope) -> Result<Token, Error> {
        if let Some(token) = self.with_servable_exchange(subject, scope, |live| live.value.clone()) {
            return Ok(token);
        }
        let slot = self.exchange_slot(subject, scope)?;
        Ok(Arc::clone(&slot).acquire().await?.value.clone())
    }
}

fn scope_slot(
    source: &Arc<dyn TokenSource>,
    scope: &Scope,
    settings: &Settings,
    slots: Weak<SlotMap<Scope>>,
) -> Arc<Slot<Token>> {
    let (source, clock) = (Arc::clone(source), settings.clock.clone());
    let loader = ScopeLoader { source, scope: scope.clone(), clock, slots };
    Arc::new(Slot::new(Arc::new(loader), settings.clone()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Telemetry;
    use crate::token::response::TokenResponse;
    use crate::token::source::token_source_fn;

    #[test]
    fn a_subject_token_that_is_too_long_is_refused_before_it_is_hashed() {
        let settings = Settings {
            clock: Clock::System,
            wait: Duration::from_secs(20),
            attempt_timeout: Duration::from_secs(20),
            admission: Arc::default(),
            party: Party::Own,
            runtimes: Arc::default(),
            telemetry: Telemetry::new("app", "test"),
        };
        let scope = Scope::parse("api://a|read").unwrap();
        let source = token_source_fn(|_| async { TokenResponse::bearer("a-token") });
        let cache = TokenCache::new(Arc::new(source), scope.clone(), settings, CacheLimits::default());
        for (length, is_hashed) in [(SubjectToken::MAX_LENGTH, true), (SubjectToken::MAX_LENGTH + 1, false)] {
            let subject = SubjectToken::access_token("x".repeat(length));
            assert!(cache.with_servable_exchange(&subject, &scope, |_| ()).is_none());
            assert_eq!(cache.exchange_slot(&subject, &scope).is_ok(), is_hashed);
            assert_eq!(subject.is_hashed(), is_hashed);
        }
    }
}
