//! The cache, the single flight and the layer from end to end: each test's name is the property it proves.
//!
//! No test sleeps for its correctness. Real requests are parked at the issuer and released, the clock is
//! turned by hand, and where waiting is the subject, Tokio's time is paused.
#![cfg(feature = "transport")]
#![allow(missing_docs)]

mod support;

mod anything;
mod cold_start;
mod failure;
mod fixed;
mod grpc;
mod layer;
mod lives;
mod misbehaviour;
mod observability;
mod origins;
mod outage;
mod readiness;
mod redirects;
mod refresh_guard;
mod rejection;
mod renewal;
mod replay;
mod replay_among_layers;
mod runtimes;
mod scopes;
mod sources;
