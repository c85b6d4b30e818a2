//! HTTP for the token traffic: its own stack, so that a token request can never need a token.

#[cfg(feature = "transport")]
mod client;
#[cfg(feature = "transport")]
mod connector;
mod error;
mod failure;
#[cfg(feature = "transport")]
pub(crate) mod metadata;
#[cfg(feature = "transport")]
mod no_proxy;
#[cfg(feature = "reqwest")]
mod over_reqwest;
#[cfg(feature = "transport")]
mod probe;
#[cfg(feature = "transport")]
mod proxy;
#[cfg(feature = "transport")]
mod recording_verifier;
#[cfg(feature = "transport")]
mod roots;
mod send;
#[cfg(feature = "transport")]
mod silence;
#[cfg(feature = "transport")]
mod stream;
#[cfg(feature = "transport")]
mod tcp;
#[cfg(feature = "transport")]
mod tls;
#[cfg(feature = "transport")]
mod tunnel;

#[cfg(feature = "transport")]
pub(crate) use self::client::BuiltIn;
#[cfg(feature = "aliyun")]
pub(crate) use self::client::direct;
#[cfg(feature = "reqwest")]
pub(crate) use self::over_reqwest::OverReqwest;
#[cfg(feature = "transport")]
pub(crate) use self::probe::Prober;
#[cfg(feature = "transport")]
pub use self::probe::{Probe, ProbeStep, ServerTime};
pub(crate) use self::send::{SingleUse, Transport};

/// The proxy that the built-in client would use for this destination, by the current values of the variables.
#[cfg(feature = "transport")]
pub(crate) fn proxy_for(
    environment: &crate::environment::Environment,
    destination: &http::Uri,
) -> Option<Result<hyper_util::client::proxy::matcher::Intercept, crate::error::ConfigFault>> {
    proxy::Proxies::load(environment).proxy_for(destination)
}
