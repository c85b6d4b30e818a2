//! Exchanged tokens (RFC 8693), cached like any other: one slot per subject token, scope and type.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::admission::Party;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::lru_map::LruMap;
use crate::cache::slot::{Settings, Slot};
use crate::clock::Clock;
use crate::error::BoxFuture;
use crate::error::Error;
use crate::scope::Scope;
use crate::token::source::TokenSource;
use crate::token::subject::{ExchangeKey, SubjectToken};
use crate::token::{Token, fetched};

/// The exchanged tokens of one handle.
#[derive(Debug)]
pub(crate) struct ExchangeCache {
    source: Arc<dyn TokenSource>,
    settings: Settings,
    slots: Mutex<LruMap<ExchangeKey, Arc<Slot<Token>>>>,
}

impl ExchangeCache {
    pub(crate) fn new(source: Arc<dyn TokenSource>, settings: Settings, capacity: usize) -> Self {
        let telemetry = settings.telemetry.of_exchanges();
        let settings = Settings { party: Party::Other, telemetry, ..settings };
        Self { source, settings, slots: Mutex::new(LruMap::new(capacity)) }
    }

    /// The slot of an exchange; made on first use, and the least recently used one gone for it. One that a
    /// request or a refresh holds on to stays: giving it up would make a second refresh for it possible.
    pub(crate) fn slot(&self, subject: &SubjectToken, scope: &Scope) -> Arc<Slot<Token>> {
        let key = subject.key(scope);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let fetch = FetchExchanged {
                source: Arc::clone(&self.source),
                clock: self.settings.clock.clone(),
                subject: subject.clone(),
                scope: scope.clone(),
            };
            Arc::new(Slot::new(Arc::new(fetch), self.settings.clone()))
        };
        Arc::clone(slots.get_or_insert_with(key, make))
    }
}

/// One exchange.
#[derive(Debug)]
struct FetchExchanged {
    source: Arc<dyn TokenSource>,
    clock: Clock,
    subject: SubjectToken,
    scope: Scope,
}

impl Loader<Token> for FetchExchanged {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Token>, Error>> {
        Box::pin(async move {
            let sent = self.clock.now();
            let response = self.source.exchange(&self.subject, &self.scope).await?;
            Ok(fetched(response, &self.scope, sent))
        })
    }

    fn label(&self) -> &str {
        self.scope.as_str()
    }
}
