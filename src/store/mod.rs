//! One token for a whole fleet: a store that many processes share, behind each one's cache.
//!
//! A service that runs as 10,000 instances asks its issuer 10,000 times per token life and scope, and all at once
//! when it is rolled out. With a store, instances leave their tokens for each other, sealed, and one of them
//! fetches for all.
//!
//! ```no_run
//! use tower_idaas::store::SharedStore;
//! use tower_idaas::{Idaas, SecretSource};
//!
//! # #[cfg(feature = "redis")]
//! # fn example() -> Result<(), tower_idaas::ConfigError> {
//! use tower_idaas::store::RedisStore;
//!
//! // REDIS_URL=rediss://idaas:password@cache.example:6380/0
//! // IDAAS_STORE_KEYS=the output of `openssl rand -base64 32`, the same for all instances
//! let redis = RedisStore::builder(SecretSource::variable("REDIS_URL")).build()?;
//! let store = SharedStore::new(redis, SecretSource::variable("IDAAS_STORE_KEYS"));
//! let idaas = Idaas::builder().config_from_env().token_store(store).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # When to use it, and when not
//!
//! Use it when the issuer throttles a roll-out, counts token requests, or is far away, and a Redis is close by
//! that is run anyway. Do without it for a handful of instances: their own caches ask a few times an hour, and a
//! store is one more thing to run, to watch, and to break into. Where an API or the issuer's log must tell
//! instances apart by their tokens, do not share them.
//!
//! Shared are the tokens of the client itself, for all scopes, whichever source they come from. Not shared are
//! exchanged tokens, because they speak for a person and are of use to few instances, and STS credentials of cloud
//! roles.
//!
//! # How it works
//!
//! A request with a live token asks nobody, as ever. When a token has to be fetched, the store is looked into
//! first. A token that is younger than half of its life is taken from there; no instance renews before 8/15 of a
//! life, so who renews never gets back what it has. Otherwise one instance takes a lock, with a lease, fetches,
//! and leaves the token with its true age; the others wait for it. So jitter spreads renewals over time as ever,
//! the first one renews for all, and the rest find its token when they come.
//!
//! A token's age is what the instance's wall clock makes of the time at which it was asked for, or what Redis says
//! of the time that it still keeps it, whichever is more.
//!
//! The lease ([`SharedStore::lease`], 5 seconds) is renewed for as long as the fetch takes; an instance that dies
//! meanwhile costs the others its lease. After [`SharedStore::wait`] they fetch for themselves, leave what they get
//! if it lives longer than what is stored, and do not wait for that name again for a minute, or for up to an hour
//! when that happens again and again.
//!
//! While the issuer is down and an instance has no token at all, it takes what is stored to within a tenth of its
//! end. It looks there when it would ask the issuer: between its failures, for 1 to 32 seconds, a request for a scope
//! without a token fails at once, and the store is not looked into either.
//!
//! A token that an API rejects with 401 is removed from the store by whoever comes to fetch the next one, if it is
//! still the one stored, and that instance does not take it again, whoever may put it back.
//!
//! # When the store fails
//!
//! It is a miss: the token is fetched as if there were no store. Each call is given up after
//! [`SharedStore::timeout`], 250 ms; after a failure the store is left alone for 1, 2, 4 … 32 seconds, or for 5 while
//! its address cannot be read, each of them shortened by chance to no less than half; then one call finds out. What
//! does not open, does not parse, is over, was sealed for another name, or has no end in Redis is a miss, and
//! overwritten.
//!
//! # The keys
//!
//! Each token is sealed with AES-256-GCM under a random nonce, bound to its name. A key is 32 random bytes in Base64
//! or hexadecimal, as `openssl rand -base64 32` makes them: a secret worth as much as the tokens, so keep it where
//! the client's secret is kept, and not in Redis. [`SharedStore::new`] takes several: the first one seals, all of
//! them open. To rotate, while all instances go on sharing:
//!
//! 1. append the new key on all instances: `old,new`;
//! 2. when all have it, put it first: `new,old`;
//! 3. after the longest life of a token, remove the old one: `new`.
//!
//! A variable changes with a restart; a file ([`SecretSource::file`](crate::SecretSource::file)) is read again for
//! each fetch. One key may seal four thousand million tokens; rotate long before that.
//!
//! # What an attacker can do who has the Redis password
//!
//! Not read tokens, make tokens that are taken, or move one to another client or scope: for that it takes a key.
//! Names are hashes; a guess at issuer, client and scope can be checked against them. What is left:
//!
//! - remove, garble, fill up, or hold all locks: instances fetch for themselves, at worst after
//!   [`SharedStore::wait`], which is not waited each time;
//! - put back a sealed token that was valid for that name before: one that is over is not taken, one that was
//!   revoked costs each instance one 401 and is not taken twice;
//! - learn from times and sizes which names are in use, and when they are renewed.
//!
//! Who has a key besides has the tokens until they end, as who has the client's secret has any. Use `rediss://`, and
//! a user of Redis's that may do no more than is needed:
//!
//! ```text
//! ACL SETUSER idaas on >password resetkeys ~idaas:* resetchannels -@all +eval +getrange +pttl +get +set +del
//! ```
//!
//! `+select` besides where the address names a database (`redis://…/2`), and `+asking` in a cluster. A user of
//! sentinels needs `+sentinel|get-master-addr-by-name`.
//!
//! # Metrics
//!
//! With the feature `metrics`:
//!
//! | name | labels | |
//! |---|---|---|
//! | `idaas_store_lookups_total` | `client`, `method`, `scope`, `outcome` | `hit`; `late` for half of a life or more; `miss`; `unusable` for what does not open, parse or live; `rejected`; `unreachable` |
//! | `idaas_store_faults_total` | `client`, `method`, `operation` | `get`, `put`, `lock`, `unlock`, `remove`; `key` when the keys cannot be read |
//! | `idaas_store_gate_open` | `client`, `method` | 1 from the first answer on, 0 while the store is left alone |
//! | `idaas_refreshes_total` | as ever | `outcome` is `shared` for a token that another instance has fetched |
//!
//! The same is told to `tracing` under the target `tower_idaas::store`.

mod gate;
mod guarded;
mod keys;
mod known;
#[cfg(feature = "test-util")]
mod memory;
mod names;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod sealing;
mod settings;
mod source;
#[cfg(any())]
mod tests;
mod token_store;
mod turn;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use self::gate::Gate;
use self::guarded::Guarded;
use self::keys::Keys;
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub use self::memory::MemoryStore;
pub(crate) use self::names::Owner;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::{RedisStore, RedisStoreBuilder};
pub use self::settings::SharedStore;
use self::source::{NAMES, SharedSource};
pub use self::token_store::{StoredValue, TokenStore};
use self::turn::Turns;
use crate::cache::lru_map::LruMap;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::Error;
use crate::telemetry::Telemetry;
use crate::token::TokenSource;

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
    let known = LruMap::new(NAMES).into();
    let keyless = AtomicBool::new(false);
    Ok(Arc::new(SharedSource { inner, owner, keys, environment, keyless, guarded, turns, known }))
}
