//! Secrets stored in IDaaS, from end to end: each test's name is the property it proves.
//!
//! Tokens come from a real IDaaS on the loopback interface, secrets from a DeveloperAPI that verifies them; the APIs that
//! the secrets are for are services in the process, and the clock is turned by hand.

mod api_key;
mod layer;
mod oauth_client;
mod oauth_token;
mod secrecy;
mod support;
