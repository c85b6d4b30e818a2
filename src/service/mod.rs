//! The Tower middleware: [`IdaasLayer`] wraps an HTTP client, [`IdaasService`] is what comes out. What most
//! programs name is at the crate's root, too.

mod attach;
mod destination;
mod future;
mod held;
mod layer;
mod origins;
#[cfg(feature = "reqwest")]
mod over_reqwest;
mod request;
mod response;
mod retry;
#[cfg(feature = "reqwest")]
mod send;
#[expect(clippy::module_inception, reason = "the file a reader looks for in a Tower middleware")]
mod service;
mod target;

pub use self::future::ResponseFuture;
pub use self::layer::IdaasLayer;
pub use self::request::{HttpRequest, NoToken};
pub use self::response::HttpResponse;
pub use self::retry::{Cloned, RetryUnauthorized};
#[cfg(feature = "reqwest")]
pub use self::send::SendError;
pub use self::service::IdaasService;

/// Keeps [`HttpRequest`] and [`HttpResponse`] ours to extend.
mod sealed {
    /// Implemented in this crate alone.
    pub trait Sealed {}
}
