//! Where a slot's value comes from.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::circuit_breaker::Subject;
use crate::cache::entry::Recheck;
use crate::cache::window::Renewal;
use crate::clock::Timestamp;
use crate::error::BoxFuture;
use crate::error::Error;

/// Where a slot's value comes from.
pub(crate) trait Loader<V>: Debug + Send + Sync + 'static {
    /// One attempt.
    fn fetch(&self) -> BoxFuture<'_, Result<Loaded<V>, Error>>;

    /// Somebody has found out that this value is no good, and the next attempt is to bring another.
    fn rejected(&self, value: &V) {
        let _ = value;
    }

    /// What is fetched, for log lines.
    fn subject(&self) -> &str;

    /// What kind of thing it is, likewise.
    fn what(&self) -> &'static str {
        "token"
    }

    /// Whose request the issuer sees.
    fn issuer_subject(&self) -> Subject<'_> {
        Subject::Own(self.subject())
    }
}

/// A value as it came, with the moment it was asked for and its life from then.
#[derive(Debug)]
pub(crate) struct Loaded<V> {
    pub(crate) value: V,
    /// Shared with whoever may find out that the value is no good.
    pub(crate) recheck: Arc<Recheck>,
    pub(crate) sent: Timestamp,
    pub(crate) life: Duration,
    pub(crate) renewal: Renewal,
    /// Whether the issuer was asked, and not only a store: then it has answered.
    pub(crate) from_issuer: bool,
    /// What the issuer calls the request, for the log line.
    pub(crate) request_id: Option<String>,
}
