//! The way to a server: connections, proxies, TLS, and what servers send.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "each test uses its part of what they share")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "the clock of the test itself")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "transport")]
mod addresses;
#[cfg(all(feature = "aliyun", feature = "transport"))]
mod forgotten_connections;
mod hostile_input;
mod own_transport;
#[cfg(feature = "transport")]
mod proxies;
#[cfg(feature = "transport")]
mod raw_responses;
#[cfg(feature = "transport")]
mod responses;
#[cfg(feature = "transport")]
mod transport;
#[cfg(feature = "transport")]
mod trust;
