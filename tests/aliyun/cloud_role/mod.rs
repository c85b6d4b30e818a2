//! STS credentials of cloud roles from end to end: each test's name is the property it proves.
//!
//! Tokens come from a real IDaaS on the loopback interface, credentials from a DeveloperAPI that verifies them,
//! and the clock is turned by hand.

pub(crate) mod support;

mod caching;
mod configuration;
mod example;
mod failure;
mod lives;
mod rejection;
mod responses;
mod secrecy;
mod timeouts;
