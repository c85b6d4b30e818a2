//! A Tower [`Layer`](tower::Layer) that puts a cached machine-to-machine bearer token of Alibaba Cloud
//! IDaaS (EIAM) on every outgoing HTTP request.
//!
//! ```no_run
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::ServiceBuilder;
//! use tower_idaas::Idaas;
//!
//! # fn example() -> Result<(), tower_idaas::ConfigError> {
//! let idaas = Idaas::from_env()?;
//! let client = ServiceBuilder::new()
//!     .layer(idaas.layer())
//!     .service(Client::builder(TokioExecutor::new()).build_http::<http_body_util::Empty<bytes::Bytes>>());
//! # Ok(())
//! # }
//! ```
//!
//! [`Idaas`] is the client: built once, from the vendor's `client-config.json` or in code
//! ([`IdaasBuilder`]), and cloned freely. [`Idaas::layer`] wraps HTTP clients; [`Idaas::token`] gives the
//! token itself.
//!
//! # When a token is fetched
//!
//! When the first request needs it, and then before it ends. A token's life is counted from the moment it
//! was asked for, on the monotonic and on the wall clock; the earlier end counts. Until two thirds of its
//! life, less up to a fifth by chance, it is *fresh*. Then it is *advisory*: the next request starts a fetch
//! and is served at once, like all others. In its last minute, or tenth if that is shorter, it is
//! *mandatory*: requests wait for the next token, and get this one if none comes in 2 seconds. After that it is *dead* and
//! never leaves the cache.
//!
//! There is one fetch at a time for each scope. It runs as a task of its own on the Tokio runtime of the
//! request that started it, so that a request which gives up neither stops nor restarts it; a fetch that is
//! lost with its runtime is started again by the next request. Between fetches there is no task. The runtime
//! needs its time and I/O drivers, as `#[tokio::main]` has them.
//!
//! # When a fetch fails
//!
//! A live token goes on being served. Without one, all requests that waited get the same [`Error`], found in
//! the service's [`BoxError`] by downcast. Until the issuer is asked again, later requests get it at once:
//! that is after 1, 2, 4 … 32 seconds, halved at most by chance, when the failure may pass; after the
//! issuer's `Retry-After`, of 5 minutes at most; and within 5 seconds when it is definitive. A first failure
//! that may pass is tried twice more within 2 seconds, if somebody waits.
//!
//! # Layer order
//!
//! Put the layer *inside* layers that retry or that set an `Authorization` header of the caller's (it stays),
//! so that each attempt gets a live token. Around a layer that follows redirects, the token is on the first
//! request alone, and the redirect layer takes it off for another origin; *inside* one, the layer would put a
//! token on the request to wherever the redirect leads.
//!
//! # Security
//!
//! [`Secret`]s are wiped from memory when dropped, and every way out of them is spelled `expose_`. No secret,
//! assertion or token is in any `Debug`, error or log line, and echoes of them in an issuer's answer are
//! masked. Tokens leave over plain HTTP only to loopback hosts and to those that
//! [`IdaasLayer::allow_plaintext`] names; redirects of the token endpoint are refused. What cannot be wiped:
//! the header values themselves, the buffers of TLS, and what the system swaps out.
//!
//! # Features
//!
//! - `transport` (default): the built-in client for token requests, on hyper-util and rustls. Without it,
//!   give [`IdaasBuilder::transport`] a Tower service of your own.
//! - `aliyun` (default): tokens through the EIAM OpenAPI with an Alibaba Cloud identity, method PLUGIN; STS
//!   credentials of cloud roles for a token, `Idaas::cloud_role`.
//! - `redis`: tokens shared by many processes through Redis, see [`store`].
//! - `testing`: an IDaaS in your test's process, an API that its tokens protect, and a clock and environment
//!   to set by hand.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "aliyun")]
#[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
pub mod aliyun;
mod authn;
mod builder;
mod clock;
mod config;
mod environment;
mod error;
mod idaas;
mod loopback;
#[cfg(feature = "transport")]
mod metadata;
#[cfg(feature = "transport")]
mod percent;
mod scope;
mod secret;
mod service;
pub mod store;
mod telemetry;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod token;
mod token_file;
mod transport;

pub use authn::{AssertionKey, AssertionSigner, AssertionSource, SigningAlgorithm};
pub use authn::{Authenticator, TokenRequest};
pub use builder::IdaasBuilder;
pub use error::{BoxError, ConfigError, ConfigFault, Error, ErrorKind};
pub use idaas::Idaas;
pub use scope::Scope;
pub use secret::{Secret, SecretSource};
pub use service::{Answer, IdaasLayer, IdaasService, NoToken, Outgoing, ResponseFuture};
pub use token::{KeepWarm, SubjectToken, Token, TokenResponse, TokenSource};

/// A boxed future, for the traits that are called once per token life and never on a hit.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The README's code compiles.
#[cfg(all(doctest, feature = "transport"))]
#[doc = include_str!("../README.md")]
struct Readme;
