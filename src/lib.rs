//! A Tower [`Layer`](tower::Layer) that puts a cached machine-to-machine bearer token of Alibaba Cloud
//! IDaaS (EIAM) on every outgoing HTTP request.
//!
#![cfg_attr(feature = "reqwest", doc = "```no_run")]
#![cfg_attr(not(feature = "reqwest"), doc = "```ignore")]
//! use tower::ServiceBuilder;
//! use tower_idaas::Idaas;
//!
//! # async fn example() -> Result<(), tower_idaas::BoxError> {
//! let idaas = Idaas::from_env()?;
//! let http = reqwest::Client::new();
//! let response = idaas.send(http.get("https://api.example.com/orders")).await?;
//!
//! // Or through Tower; so it is with hyper's client and a TLS connector, tonic's channel, or any other service.
//! let client = ServiceBuilder::new().layer(idaas.layer()).service(http);
//! # Ok(())
//! # }
//! ```
//!
#![doc = include_str!("../docs/manual.md")]
//!
//! # Features
//!
//! - `transport` (default): the built-in client for token requests, on hyper-util and rustls. Without it,
//!   give [`IdaasBuilder::transport`] a Tower service of your own.
//! - `reqwest`: `Idaas::send` for requests of reqwest's, and the layer over `reqwest::Client`. Reqwest's own
//!   features are yours to choose.
//! - `aliyun` (default): tokens through the EIAM OpenAPI with an Alibaba Cloud identity, method PLUGIN; STS
//!   credentials of cloud roles for a token, `Idaas::cloud_role`.
//! - `metrics`: counters and gauges through the `metrics` facade, see above.
//! - `test-util`: a clock and an environment to set by hand, and `Idaas::fixed`. The crate `tower-idaas-testing` has
//!   an IDaaS in your test's process.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "aliyun")]
#[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
pub mod aliyun;
pub mod authn;
mod cache;
mod client;
pub mod clock;
mod config;
pub mod environment;
mod error;
pub mod explanation {
    //! How a configuration is understood, for programs that explain it.

    #[doc(inline)]
    pub use crate::client::builder::explanation::{Explanation, Proxy, Route};
}
mod scope;
mod secret;
pub mod service;
mod telemetry;
pub mod token;
mod transport;
mod wire;

pub use client::builder::IdaasBuilder;
pub use client::idaas::Idaas;
pub use error::{BoxError, BoxFuture, ConfigError, ConfigFault, Error, ErrorKind};
pub use scope::Scope;
pub use secret::{Secret, SecretSource};
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use service::SendError;
pub use service::{IdaasLayer, IdaasService, NoToken, RetryUnauthorized};
pub use token::{RefreshGuard, SubjectToken, Token, TokenResponse, TokenSource};

/// The README's code compiles.
#[cfg(all(doctest, feature = "reqwest", feature = "transport"))]
#[doc = include_str!("../README.md")]
struct Readme;
