//! The Tower middleware: [`IdaasLayer`] wraps an HTTP client, [`IdaasService`] is what comes out.

mod answer;
mod attach;
mod destination;
mod future;
mod layer;
mod origins;
mod outgoing;
mod retry;
#[expect(clippy::module_inception, reason = "the file a reader looks for in a Tower middleware")]
mod service;

pub use self::answer::Answer;
pub use self::future::ResponseFuture;
pub use self::layer::IdaasLayer;
pub use self::outgoing::{NoToken, Outgoing};
pub use self::retry::RetryUnauthorized;
pub use self::service::IdaasService;

/// Keeps [`Outgoing`] and [`Answer`] ours to extend.
mod sealed {
    /// Implemented in this crate alone.
    pub trait Sealed {}
}
