//! One token for a whole fleet: a store that many processes share, behind each one's cache.

mod gate;
mod guarded;
mod keys;
#[cfg(feature = "testing")]
mod memory;
mod names;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod sealing;
mod settings;
mod source;
mod token_store;
mod turn;

use std::sync::Arc;

use self::gate::Gate;
use self::guarded::Guarded;
use self::keys::Keys;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use self::memory::MemoryStore;
pub(crate) use self::names::Owner;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::{RedisStore, RedisStoreBuilder};
pub use self::settings::SharedStore;
use self::source::{NAMES, SharedSource};
pub use self::token_store::{StoredValue, TokenStore};
use self::turn::Turns;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::Error;
use crate::telemetry::Telemetry;
use crate::token::{Recent, TokenSource};

/// What a shared source needs besides the store's settings.
#[derive(Debug)]
pub(crate) struct Injected {
    pub(crate) owner: Owner,
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

/// Puts a store in front of a source.
///
/// # Errors
///
/// When the keys cannot be read now.
pub(crate) fn share(
    store: SharedStore,
    inner: Arc<dyn TokenSource>,
    injected: Injected,
) -> Result<Arc<dyn TokenSource>, Error> {
    let Injected { owner, environment, clock, telemetry } = injected;
    Keys::read(&store.keys, &environment)?;
    let turns = Turns { lease: store.lease, wait: store.longest_wait() };
    let SharedStore { store, keys, timeout, .. } = store;
    let guarded = Guarded { store, gate: Gate::default(), timeout, clock, telemetry };
    let known = Recent::new(NAMES).into();
    Ok(Arc::new(SharedSource { inner, owner, keys, environment, guarded, turns, known }))
}
