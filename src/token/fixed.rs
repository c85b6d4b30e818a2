//! One token that a test sets, for every scope and subject, without an end.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::entry::CacheEntry;
use crate::cache::recheck::Recheck;
use crate::cache::slot::Settings;
use crate::cache::window::Window;
use crate::clock::Timestamp;
use crate::error::{BoxFuture, Error};
use crate::scope::Scope;
use crate::token::cache::{CacheLimits, TokenCache};
use crate::token::response::TokenResponse;
use crate::token::source::TokenSource;
use crate::token::token::Token;

/// The latest timestamp.
const NEVER: Timestamp = Timestamp { monotonic: u64::MAX, wall: u64::MAX };

const A_DAY: Duration = Duration::from_secs(86_400);

impl TokenCache {
    /// A cache that holds this token and never requests another.
    pub(crate) fn fixed(response: TokenResponse, scope: Scope, settings: Settings) -> Self {
        // Invalidating the token invalidates this recheck, which the slot does not read: the entry has its own.
        let without_effect = Arc::new(Recheck::new());
        let end = NEVER.system_time();
        let token = Token::new(response.clone(), scope.clone(), end, without_effect, None);
        // An entry whose edges are all the same would be rechecked each time.
        let due = NEVER.before(A_DAY).unwrap_or(NEVER);
        let endless = Window { advisory: due, mandatory: due, expiry: NEVER };
        let entry = CacheEntry::new(token, endless, Arc::new(Recheck::new()));

        let mut cache = Self::new(Arc::new(Fixed(response)), scope, settings, CacheLimits::default());
        cache.fixed = true;
        cache.default_slot().insert(entry);
        cache
    }
}

/// The source of the token; no refresh ever calls it.
#[derive(Debug)]
struct Fixed(TokenResponse);

impl TokenSource for Fixed {
    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::admission::Party;
    use crate::clock::Clock;
    use crate::telemetry::Telemetry;

    #[test]
    fn it_is_served_without_a_recheck() {
        let settings = Settings {
            clock: Clock::System,
            wait: A_DAY,
            attempt_timeout: A_DAY,
            admission: Arc::default(),
            party: Party::Own,
            runtimes: Arc::default(),
            telemetry: Telemetry::new("app", "test"),
        };
        let scope = Scope::parse("api://a|read").unwrap();
        let cache = TokenCache::fixed(TokenResponse::bearer("made-up").unwrap(), scope.clone(), settings);
        assert!(cache.with_servable(&scope, |_| ()).is_some());
    }
}
