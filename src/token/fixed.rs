//! One token that a test made up, for every scope and subject and for ever.

use std::sync::Arc;

use crate::cache::entry::{CacheEntry, Recheck};
use crate::cache::slot::Settings;
use crate::cache::window::Window;
use crate::clock::Timestamp;
use crate::error::BoxFuture;
use crate::error::Error;
use crate::scope::Scope;
use crate::token::{Token, TokenCache, TokenResponse, TokenSource};

/// The end of time.
const NEVER: Timestamp = Timestamp { monotonic: u64::MAX, wall: u64::MAX };

impl TokenCache {
    /// A cache that holds this token and never asks for another.
    pub(crate) fn fixed(response: TokenResponse, scope: Scope, settings: Settings) -> Self {
        // Who withdraws the token withdraws this; the slot watches its own.
        let withdrawn_in_vain = Arc::new(Recheck::new());
        let token = Token::new(response.clone(), scope.clone(), NEVER.system_time(), withdrawn_in_vain);
        let endless = Window { advisory: NEVER, mandatory: NEVER, dead: NEVER };
        let live = CacheEntry::new(token, endless, Arc::new(Recheck::new()));

        let mut cache = Self::new(Arc::new(Fixed(response)), scope, settings, 1);
        cache.fixed = true;
        cache.default_slot().hold(live);
        cache
    }
}

/// The source that would be asked, if one ever were.
#[derive(Debug)]
struct Fixed(TokenResponse);

impl TokenSource for Fixed {
    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}
