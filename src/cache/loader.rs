//! Where a slot's value comes from, and what a failure to load it says about the server.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::recheck::Recheck;
use crate::cache::window::RefreshAhead;
use crate::clock::Timestamp;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};

/// Where a slot's value comes from.
pub(crate) trait Loader<V>: Debug + Send + Sync + 'static {
    /// One attempt.
    fn load(&self) -> BoxFuture<'_, Result<Loaded<V>, Error>>;

    /// What the loader needs while one refresh runs. Called when a refresh begins, and dropped when the refresh
    /// ends, in whatever way.
    fn guard(&self) -> Option<Box<dyn Any + Send + Sync>> {
        None
    }

    /// The value was rejected, and the next attempt must load another.
    fn rejected(&self, value: &V) {
        let _ = value;
    }

    /// What is loaded, for events, metrics and messages.
    fn label(&self) -> &str;

    /// The kind of value that is loaded, for the same uses.
    fn what(&self) -> &'static str {
        "token"
    }
}

/// A loaded value, with the time of the request for it and its life from then.
#[derive(Debug)]
pub(crate) struct Loaded<V> {
    pub(crate) value: V,
    /// Shared with each consumer, which can reject the value.
    pub(crate) recheck: Arc<Recheck>,
    pub(crate) sent: Timestamp,
    pub(crate) life: Duration,
    pub(crate) refresh_ahead: RefreshAhead,
    /// Whether the value comes from the server itself, and not from a store in front of it.
    pub(crate) from_issuer: bool,
    /// The server's id of the request, for events.
    pub(crate) request_id: Option<String>,
}

/// What a failed attempt says about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Nothing: no request was sent to it, or another server failed.
    Nothing,
    /// It responds, and refuses this request.
    Responds,
    /// Something responds, but the cause may be this request alone.
    Doubtful,
    /// It does not respond in time, or says that it cannot serve now.
    Unavailable,
    /// No connection to it can be made, whatever the request: so says the built-in client.
    Unreachable,
}

impl Evidence {
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            _ if error.is_of_another_server() => Self::Nothing,
            _ if error.is_refusal_of_issuer() => Self::Responds,
            // A user's own source may have a server for each label.
            _ if error.is_unreachable() && error.is_of_issuer() => Self::Unreachable,
            // The page of a gateway, or its redirect to one.
            ErrorKind::InvalidResponse => Self::Doubtful,
            ErrorKind::Credential
            | ErrorKind::Runtime
            | ErrorKind::Destination
            | ErrorKind::Unsupported
            | ErrorKind::Overloaded => Self::Nothing,
            // Another server refuses, such as a key service that a user's own source calls.
            _ if !error.is_transient() => Self::Nothing,
            ErrorKind::Unavailable if error.status().is_some_and(|status| status == 500) => Self::Doubtful,
            _ => Self::Unavailable,
        }
    }
}
