//! A Tower [`Layer`](tower::Layer) that puts a cached machine-to-machine bearer token of Alibaba Cloud
//! IDaaS (EIAM) on every outgoing HTTP request.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod authn;
mod builder;
mod clock;
mod config;
mod environment;
mod error;
mod idaas;
mod scope;
mod secret;
mod service;
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
pub use token::{SubjectToken, Token, TokenResponse, TokenSource};

/// A boxed future, for the traits that are called once per token life and never on a hit.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The README's code compiles.
#[cfg(all(doctest, feature = "transport"))]
#[doc = include_str!("../README.md")]
struct Readme;
