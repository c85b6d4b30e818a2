//! A Tower [`Layer`](tower::Layer) that puts a cached machine-to-machine bearer token of Alibaba Cloud
//! IDaaS (EIAM) on every outgoing HTTP request.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
#[allow(dead_code)]
mod config;
mod environment;
mod error;
mod scope;
mod secret;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

pub use error::{BoxError, ConfigError, ConfigFault, Error, ErrorKind};
pub use scope::Scope;
pub use secret::{Secret, SecretSource};

/// A boxed future, for the traits that are called once per token life and never on a hit.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
