//! The shared store on a real `redis-server`: two clients and more, and everything that can go wrong.
//!
//! Where `redis-server` is not installed, these tests say so and pass.
#![allow(missing_docs)]

mod addresses;
mod client;
mod clusters;
mod contract;
mod files;
mod imitations;
mod locks;
#[allow(dead_code, unreachable_pub)]
#[allow(clippy::unwrap_used)]
#[path = "../../../../tests/support/log.rs"]
mod log;
mod nodes;
mod outages;
mod processes;
mod public;
#[allow(dead_code, unreachable_pub)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
#[path = "../../../../tests/support/raw.rs"]
mod raw;
mod runtimes;
mod secrecy;
mod server;
mod sharing;
mod values;
