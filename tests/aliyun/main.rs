//! The Alibaba Cloud side: credentials, the OpenAPI, cloud roles.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "each test uses its part of what they share")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "the clock of the test itself")]

#[cfg(feature = "aliyun")]
#[path = "../support/slow_to_be_ready.rs"]
mod slow_to_be_ready;
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "aliyun")]
mod cloud_role;
#[cfg(feature = "aliyun")]
mod credentials;
#[cfg(feature = "aliyun")]
mod plugin;
#[cfg(feature = "aliyun")]
mod stored;
