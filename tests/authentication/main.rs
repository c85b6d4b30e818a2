//! Who the client is: methods, configuration, secrets and keys, and the requests that the captures hold.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "each test uses its part of what they share")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "the clock of the test itself")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "transport")]
mod assertion_methods;
#[cfg(feature = "transport")]
mod attested_methods;
#[cfg(feature = "transport")]
mod configuration;
mod conformance;
#[cfg(all(target_os = "linux", feature = "transport"))]
mod hanging_files;
#[cfg(feature = "transport")]
mod rotation;
#[cfg(feature = "transport")]
mod secrets;
#[cfg(feature = "transport")]
mod surroundings;
