//! Requests through the layer and its kin: destinations, rejections, replays, reqwest, gRPC.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "each test uses its part of what they share")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "the clock of the test itself")]

#[cfg(feature = "transport")]
#[path = "../support/handles.rs"]
mod handles;
#[cfg(feature = "transport")]
#[path = "../support/slow_to_be_ready.rs"]
mod slow_to_be_ready;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "transport")]
#[path = "../../examples/verifier/mod.rs"]
mod verifier;

#[cfg(feature = "transport")]
mod deadlines;
#[cfg(feature = "transport")]
mod grpc;
#[cfg(feature = "transport")]
mod grpc_status;
#[cfg(feature = "transport")]
mod layer;
#[cfg(feature = "transport")]
mod origins;
#[cfg(all(feature = "reqwest", feature = "transport"))]
mod plaintext;
#[cfg(feature = "transport")]
mod redirects;
#[cfg(all(feature = "reqwest", feature = "transport"))]
mod redirects_over_reqwest;
#[cfg(feature = "transport")]
mod rejection;
#[cfg(feature = "transport")]
mod replay;
#[cfg(feature = "transport")]
mod replay_among_layers;
#[cfg(all(feature = "reqwest", feature = "transport"))]
mod reqwest;
#[cfg(feature = "transport")]
mod waits;
