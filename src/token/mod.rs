//! Tokens: where they come from, how long they live, and the cache that holds them.
//!
//! The names that a user's own source of tokens needs besides those at the root of the crate are here:
//! [`token_source_fn`] makes a [`TokenSource`] of a closure, and [`SourceContext`] describes the handle to a source
//! that [wraps](crate::IdaasBuilder::wrap_source) the configured one.

mod cache;
mod endpoint;
#[cfg(feature = "test-util")]
mod fixed;
mod issued;
mod loader;
mod refresh_guard;
mod response;
mod retained_subject;
mod sharded_header;
mod skew;
mod slot_map;
mod source;
mod subject;
#[allow(clippy::module_inception, reason = "the type of that name")]
mod token;

pub(crate) use self::cache::{CacheLimits, RequestSlot, TokenCache};
pub(crate) use self::endpoint::TokenEndpoint;
#[cfg(any(feature = "aliyun", test))]
pub(crate) use self::issued::issued;
pub use self::refresh_guard::RefreshGuard;
pub use self::response::TokenResponse;
#[cfg(feature = "aliyun")]
pub(crate) use self::retained_subject::{RetainedSubject, SubjectGuard};
#[cfg(test)]
pub(crate) use self::sharded_header::ShardedHeader;
pub(crate) use self::sharded_header::{HeaderShard, shard_count, thread_number};
pub(crate) use self::skew::Skew;
pub use self::source::{SourceContext, TokenSource, token_source_fn};
#[cfg(feature = "aliyun")]
pub(crate) use self::subject::ExchangeKey;
pub use self::subject::SubjectToken;
pub use self::token::Token;
