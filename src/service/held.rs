//! What a service holds on to, to spare itself the look into what all services share.
//!
//! Taking hold counts a reference that all cores share, so a service that is used once, cloned for a single
//! request, does not.

use std::sync::Arc;

use crate::cache::entry::CacheEntry;
use crate::scope::Scope;
use crate::service::service::Shared;
use crate::token::{HeaderShard, ScopesView, Token};

/// What one service holds; nothing, to begin with.
#[derive(Default)]
pub(super) struct Held {
    token: HeldToken,
    scopes: HeldScopes,
}

/// The token of the layer's own scope.
#[derive(Default)]
enum HeldToken {
    #[default]
    Unused,
    UsedOnce,
    Token {
        live: Arc<CacheEntry<Token>>,
        last_tick: u64,
    },
}

/// The slots of other scopes.
#[derive(Default)]
enum HeldScopes {
    #[default]
    Unused,
    UsedOnce,
    View(ScopesView),
}

impl Held {
    /// The header of the layer's own token, when it needs no closer look.
    #[inline]
    pub(super) fn settled(&mut self, shared: &Shared) -> Option<Arc<HeaderShard>> {
        if let HeldToken::Token { live, last_tick } = &mut self.token
            && live.is_servable_since(shared.slot.clock(), last_tick)
        {
            return header(live);
        }
        self.settled_in_slot(shared)
    }

    fn settled_in_slot(&mut self, shared: &Shared) -> Option<Arc<HeaderShard>> {
        let header = shared.slot.with_servable(|live| {
            self.token = match self.token {
                HeldToken::Unused => HeldToken::UsedOnce,
                HeldToken::UsedOnce | HeldToken::Token { .. } => {
                    HeldToken::Token { live: Arc::clone(live), last_tick: 0 }
                }
            };
            header(live)
        });
        header.flatten()
    }

    /// The same for another scope.
    #[inline]
    pub(super) fn settled_for(&mut self, shared: &Shared, scope: &Scope) -> Option<Arc<HeaderShard>> {
        if let HeldScopes::View(view) = &mut self.scopes {
            return shared.cache.with_servable_through(view, scope, header).flatten();
        }
        self.scopes = match self.scopes {
            HeldScopes::Unused => HeldScopes::UsedOnce,
            HeldScopes::UsedOnce | HeldScopes::View(_) => HeldScopes::View(shared.cache.view()),
        };
        shared.cache.with_servable(scope, header).flatten()
    }
}

#[inline]
fn header(live: &Arc<CacheEntry<Token>>) -> Option<Arc<HeaderShard>> {
    live.value.header_shard().cloned()
}
