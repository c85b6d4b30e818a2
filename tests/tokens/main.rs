//! How long tokens live, when they are refreshed, and what happens when that fails.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "each test uses its part of what they share")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "the clock of the test itself")]

#[cfg(feature = "transport")]
#[path = "../support/handles.rs"]
mod handles;
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "transport")]
mod anything;
#[cfg(feature = "transport")]
mod cold_start;
#[cfg(feature = "transport")]
mod exchange;
#[cfg(feature = "transport")]
mod failure;
#[cfg(feature = "transport")]
mod fixed;
#[cfg(feature = "transport")]
mod lives;
#[cfg(feature = "transport")]
mod misbehaviour;
#[cfg(feature = "transport")]
mod observability;
#[cfg(feature = "transport")]
mod outage;
#[cfg(feature = "transport")]
mod readiness;
#[cfg(feature = "transport")]
mod refresh_guard;
#[cfg(feature = "transport")]
mod renewal;
#[cfg(feature = "transport")]
mod responses_with_odd_lives;
#[cfg(feature = "transport")]
mod runtimes;
#[cfg(feature = "transport")]
mod scopes;
#[cfg(feature = "transport")]
mod sources;
