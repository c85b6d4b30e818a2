//! How a slot loads its token: by one fetch for a scope, or by one exchange.

use std::any::Any;
use std::sync::{Arc, Weak};

use crate::cache::loader::{Loaded, Loader};
use crate::cache::recheck::Recheck;
use crate::cache::window::RefreshAhead;
use crate::clock::{Clock, Timestamp};
use crate::error::{BoxFuture, Error};
use crate::scope::Scope;
use crate::token::response::TokenResponse;
use crate::token::retained_subject::RetainedSubject;
use crate::token::sharded_header::ShardBudget;
use crate::token::slot_map::SlotMap;
use crate::token::source::TokenSource;
use crate::token::subject::ExchangeKey;
use crate::token::token::Token;

/// About how many bytes an entry takes besides its token's text: slot, key, header shard, places in the map.
const ENTRY_BYTES: usize = 1024;

/// Loads a token of one scope.
#[derive(Debug)]
pub(super) struct ScopeLoader {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) scope: Scope,
    pub(super) clock: Clock,
    /// The map that holds the slot; empty for the default scope's, which is in none.
    pub(super) slots: Weak<SlotMap<Scope>>,
}

impl Loader<Token> for ScopeLoader {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Token>, Error>> {
        Box::pin(async move {
            let sent = self.clock.now();
            let loaded = loaded(self.source.fetch(&self.scope).await?, &self.scope, sent, None);
            if let Some(slots) = self.slots.upgrade() {
                slots.loaded(&self.scope, |key| *key == self.scope, bytes(&loaded.value));
            }
            Ok(loaded)
        })
    }

    fn rejected(&self, token: &Token) {
        self.source.rejected(&self.scope, token);
    }

    fn label(&self) -> &str {
        self.scope.as_str()
    }
}

/// Exchanges one subject's token.
#[derive(Debug)]
pub(super) struct ExchangeLoader {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) key: ExchangeKey,
    pub(super) subject: RetainedSubject,
    pub(super) scope: Scope,
    pub(super) clock: Clock,
    pub(super) budget: ShardBudget,
    pub(super) slots: Weak<SlotMap<ExchangeKey>>,
}

impl Loader<Token> for ExchangeLoader {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Token>, Error>> {
        Box::pin(async move {
            let subject = self.subject.get()?;
            let sent = self.clock.now();
            let response = self.source.exchange(&subject, &self.scope).await?;
            let loaded = loaded(response, &self.scope, sent, Some(&self.budget));
            if let Some(slots) = self.slots.upgrade() {
                let query = self.key.query();
                slots.loaded(&query, |key| query.is(key), bytes(&loaded.value));
            }
            Ok(loaded)
        })
    }

    fn label(&self) -> &str {
        self.scope.as_str()
    }

    fn guard(&self) -> Option<Box<dyn Any + Send + Sync>> {
        self.subject.guard().map(|guard| Box::new(guard) as _)
    }
}

/// The text is stored twice: as it came, and in the header.
fn bytes(token: &Token) -> usize {
    token.expose_token().len().saturating_mul(2).saturating_add(ENTRY_BYTES)
}

/// What a slot makes of a response. The life is counted from before the request was sent, so that the time in transit
/// is never added to it.
fn loaded(
    mut response: TokenResponse,
    scope: &Scope,
    sent: Timestamp,
    budget: Option<&ShardBudget>,
) -> Loaded<Token> {
    let life = response.life();
    let from_issuer = response.age.is_none();
    // A shared token is refreshed by its true age, unless this machine's clock has not run for so long.
    let (sent, life) = match response.age {
        Some(age) => sent.before(age).map_or((sent, life.saturating_sub(age)), |sent| (sent, life)),
        None => (sent, life),
    };
    let recheck = Arc::new(Recheck::new());
    let expires_at = sent.after(life).system_time();
    let request_id = response.request_id.take();
    let value = Token::new(response, scope.clone(), expires_at, Arc::clone(&recheck), budget);
    Loaded { value, recheck, sent, life, refresh_ahead: RefreshAhead::TwoThirds, from_issuer, request_id }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_with_an_age_loses_that_of_its_life_where_the_clock_did_not_run_when_it_was_issued() {
        const LIFE: Duration = Duration::from_secs(1200);
        let response = TokenResponse::bearer("t").unwrap().with_expires_in(LIFE).with_age(LIFE / 4);
        let young = Timestamp { monotonic: 1, wall: 1_700_000_000_000_000_000 };
        let loaded = loaded(response, &Scope::parse("a|b").unwrap(), young, None);
        assert_eq!((loaded.sent, loaded.life), (young, LIFE * 3 / 4));
    }
}
