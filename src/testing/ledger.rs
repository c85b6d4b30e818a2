//! What happened at the token endpoint: counts, and a log without secrets.

use http::{HeaderName, Method, Version};
use tokio::sync::watch;

use super::client_authentication::ClientAuthentication;

/// One request that reached the token endpoint, without anything secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The HTTP method.
    pub method: Method,
    /// The HTTP version.
    pub version: Version,
    /// How the client said who it is; `None` if it did not, or in several ways at once.
    pub client_authentication: Option<ClientAuthentication>,
    /// The form field `grant_type`.
    pub grant_type: Option<String>,
    /// The form field `scope`, as it came.
    pub scope: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The names of the headers, each once, sorted.
    pub header_names: Vec<HeaderName>,
    /// The names of the form fields, in the order they came.
    pub field_names: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) received: Vec<ReceivedRequest>,
    pub(super) issued: usize,
    pub(super) rejected: usize,
    pub(super) held: usize,
}

/// The entries, which tests can wait on.
#[derive(Debug, Default)]
pub(super) struct Ledger(watch::Sender<Entries>);

impl Ledger {
    pub(super) fn read<T>(&self, read: impl FnOnce(&Entries) -> T) -> T {
        read(&self.0.borrow())
    }

    pub(super) fn write(&self, write: impl FnOnce(&mut Entries)) {
        self.0.send_modify(write);
    }

    /// Counts a request as held until the guard is dropped, by whatever cause.
    pub(super) fn hold(&self) -> Held<'_> {
        self.write(|entries| entries.held += 1);
        Held(self)
    }

    /// Forgets the past; requests that are held now stay counted.
    pub(super) fn reset(&self) {
        self.write(|entries| *entries = Entries { held: entries.held, ..Entries::default() });
    }

    pub(super) async fn wait_for(&self, reached: impl FnMut(&Entries) -> bool) {
        // Fails only when the sender is gone, which `self` owns.
        let _ = self.0.subscribe().wait_for(reached).await;
    }
}

pub(super) struct Held<'a>(&'a Ledger);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.write(|entries| entries.held -= 1);
    }
}
