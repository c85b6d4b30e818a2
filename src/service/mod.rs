//! The Tower middleware: [`IdaasLayer`] wraps an HTTP client and makes an [`IdaasService`]. The types that most
//! programs need are at the crate's root, too.

mod authorize;
mod deadline;
mod destination;
mod future;
mod grpc_timeout;
mod layer;
mod origin;
mod protocol;
mod public_suffix;
#[cfg(feature = "reqwest")]
mod redirect;
mod rejection;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "reqwest-middleware")]
mod reqwest_middleware;
mod response;
mod retry;
#[cfg(feature = "aliyun")]
mod secret_layer;
#[cfg(feature = "aliyun")]
mod secret_placement;
#[cfg(feature = "aliyun")]
mod secret_service;
#[cfg(feature = "reqwest")]
mod send;
#[expect(clippy::module_inception, reason = "the file a reader looks for in a Tower middleware")]
mod service;
mod shared;
mod target;
mod wait;

pub use self::authorize::Authorized;
pub use self::future::ResponseFuture;
pub use self::layer::IdaasLayer;
pub use self::protocol::{Grpc, Http, Protocol};
#[cfg(feature = "reqwest")]
pub(crate) use self::redirect::within_the_origin;
pub use self::rejection::rejects_token;
pub use self::request::{HttpRequest, NoToken};
pub use self::response::HttpResponse;
pub use self::retry::{Cloned, RetryUnauthorized};
#[cfg(feature = "aliyun")]
#[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
pub use self::secret_layer::SecretLayer;
#[cfg(feature = "aliyun")]
#[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
pub use self::secret_service::{SecretFuture, SecretService};
#[cfg(feature = "reqwest")]
pub use self::send::SendError;
pub use self::service::IdaasService;

/// Seals [`HttpRequest`], [`HttpResponse`] and [`Protocol`], so that this crate may extend them.
mod sealed {
    /// Implemented in this crate alone.
    pub trait Sealed {}
}
