//! One token for a whole fleet: a store that many processes share, behind each one's own cache.
//!
//! A service that runs as 10,000 instances calls its issuer 10,000 times per token life and scope, and all at once when
//! it is rolled out. With a store, the instances keep their tokens for each other, sealed, and one of them fetches for
//! all.
//!
//! ```no_run
//! use tower_idaas::{Idaas, SecretSource};
//! use tower_idaas_redis::{RedisStore, SharedStore};
//!
//! # fn example() -> Result<(), tower_idaas::ConfigError> {
//! // REDIS_URL=rediss://idaas:password@cache.example:6380/0
//! // IDAAS_STORE_KEYS=the output of `openssl rand -base64 32`, the same for all instances
//! let redis = RedisStore::builder(SecretSource::variable("REDIS_URL")).build()?;
//! let store = SharedStore::new(redis, SecretSource::variable("IDAAS_STORE_KEYS"));
//! let idaas = Idaas::builder()
//!     .config_from_env()
//!     .wrap_source(|source, context| store.in_front_of(source, context))
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # When to use it, and when not
//!
//! Use it when the issuer throttles a roll-out, counts token requests, or is far away, and a Redis that is run anyway
//! is close by. Do without it for a handful of instances: their own caches ask a few times an hour, and a store is one
//! more thing to run, to watch, and to break into. Where an API or the issuer's log must distinguish instances by their
//! tokens, do not share them.
//!
//! Shared are the tokens of the client itself, for all scopes, whichever source they come from. Not shared are
//! exchanged tokens, because they speak for a person and are of use to few instances, and STS credentials of cloud
//! roles.
//!
//! # How it works
//!
//! A request with a live token calls neither store nor issuer, as without a store. When a token has to be fetched, the
//! store is looked into first. A token younger than half of its life is used from there; no instance refreshes before
//! 8/15 of a life, so a refresh never gets the token that it is to replace. Otherwise one instance takes a lock, with a
//! lease, fetches, and stores the token with its true age; the others wait for it. So jitter spreads refreshes over
//! time as without a store, the first one refreshes for all, and the rest find its token when they look.
//!
//! A token's age is the time since it was requested, by the instance's wall clock, or what follows from the time that
//! Redis still keeps it, whichever is more.
//!
//! The lease ([`SharedStore::lease`], 5 seconds) is renewed for as long as the fetch takes; an instance that dies
//! meanwhile costs the others its lease. After [`SharedStore::wait`] the others fetch for themselves, store the token if
//! it lives longer than the stored one, and do not wait for that name again for a minute, or for up to an hour when that
//! happens again and again.
//!
//! While the issuer is down and an instance has no token at all, it uses a stale one from the store, to within a tenth
//! of its end. The store is looked into when the issuer would be called: between failures, for 1 to 32 seconds, a request
//! for a scope without a token fails at once, and the store is not looked into either.
//!
//! A token that an API rejects with 401 is removed from the store by the instance that fetches the next one, if it is
//! still the one stored, and that instance does not use it again, even if it is stored again.
//!
//! # When the store fails
//!
//! A failure is a miss: the token is fetched as without a store. Each call is given up after [`SharedStore::timeout`],
//! 250 ms. A circuit breaker opens after a failure, for 1, 2, 4 … 32 seconds, or for 5 while the address cannot be read,
//! each of them shortened by chance to no less than half; then one call is the probe. A value that does not open or
//! parse, whose token is over, that was sealed for another name, or that has no end in Redis is a miss, and overwritten.
//!
//! The addresses of a host, of the nodes of a cluster and of sentinels are tried side by side, 50 ms apart. While a file
//! with the address or the keys is torn for a moment, for 10 seconds at most, the last good content stands in.
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
//! A variable changes with a restart; a file ([`SecretSource::file`](tower_idaas::SecretSource::file)) is read again for
//! each fetch. One key may seal four thousand million tokens; rotate long before that.
//!
//! # What an attacker with the Redis password can do
//!
//! Not read tokens, make tokens that are used, or move one to another client or scope: all of that takes a key. Names are
//! hashes; a guess at issuer, client and scope can be checked against them. What is left:
//!
//! - remove, garble, fill up, or hold all locks: instances fetch for themselves, at worst after [`SharedStore::wait`],
//!   which is not waited each time;
//! - put back a sealed token that was valid for that name before: one that is over is not used, one that was revoked
//!   costs each instance one 401 and is not used twice;
//! - learn from times and sizes which names are in use, and when they are refreshed.
//!
//! An attacker who has a key as well has the tokens until they end, as one who has the client's secret has any. Use
//! `rediss://`, and a user of Redis that may do no more than is needed:
//!
//! ```text
//! ACL SETUSER idaas on >password resetkeys ~idaas:* resetchannels -@all +eval +getrange +pttl +get +set +del
//! ```
//!
//! Add `+select` where the address names a database (`redis://…/2`), and `+asking` in a cluster. A user of sentinels
//! needs `+sentinel|get-master-addr-by-name`.
//!
//! # Metrics
//!
//! With the feature `metrics`:
//!
//! | name | labels | |
//! |---|---|---|
//! | `idaas_store_lookups_total` | `client`, `method`, `scope`, `outcome` | `hit`; `stale` for half of a life or more; `miss`; `unusable` for what does not open, parse or live; `rejected`; `unreachable` |
//! | `idaas_store_faults_total` | `client`, `method`, `operation` | `get`, `put`, `lock`, `unlock`, `remove`; `key` when the keys cannot be read |
//! | `idaas_store_circuit_closed` | `client`, `method` | 1, or 0 while the store is not used after failures, 32 seconds at most before a call tries it again; `Idaas::record_metrics` brings it up to date |
//! | `idaas_refreshes_total` | as in `tower-idaas` | `outcome` is `shared` for a token that another instance has fetched |
//!
//! `tracing` events with the same fields have the target `tower_idaas::store`.
//!
//! # Features
//!
//! - `rustls-aws-lc-rs` (default): `rediss://` works out of the box. Without it, TLS takes the provider that the process has
//!   installed, and [`RedisStoreBuilder::build`] says so when there is none.
//! - `metrics`: the metrics above.
//! - `test-util`: `MemoryStore`, for tests of several clients.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod guarded;
mod history;
mod last_good;
mod lock;
#[cfg(feature = "test-util")]
mod memory;
mod name;
mod record;
mod redis;
mod sealing;
mod shared_source;
mod shared_store;
mod telemetry;
#[cfg(test)]
mod tests;
mod token_store;

#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub use self::memory::MemoryStore;
pub use self::redis::{RedisStore, RedisStoreBuilder};
pub use self::shared_store::SharedStore;
#[cfg(feature = "metrics")]
pub use self::telemetry::describe_metrics;
pub use self::token_store::{StoredValue, TokenStore};
