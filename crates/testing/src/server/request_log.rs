//! What happened at a server: counts, and a log of the requests.

use tokio::sync::watch;

pub(crate) struct Entries<R> {
    pub(crate) received: Vec<R>,
    pub(crate) granted: usize,
    pub(crate) rejected: usize,
    pub(crate) held: usize,
}

impl<R> Default for Entries<R> {
    fn default() -> Self {
        Self { received: Vec::new(), granted: 0, rejected: 0, held: 0 }
    }
}

/// The entries, which tests can wait on.
pub(crate) struct RequestLog<R>(watch::Sender<Entries<R>>);

impl<R> RequestLog<R> {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Entries::default()))
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Entries<R>) -> T) -> T {
        read(&self.0.borrow())
    }

    pub(crate) fn write(&self, write: impl FnOnce(&mut Entries<R>)) {
        self.0.send_modify(write);
    }

    /// Counts a request as held until the guard is dropped, for whatever reason.
    pub(crate) fn hold(&self) -> Held<'_, R> {
        self.write(|entries| entries.held += 1);
        Held(self)
    }

    /// Forgets the past; requests that are held now stay counted.
    pub(crate) fn reset(&self) {
        self.write(|entries| *entries = Entries { held: entries.held, ..Entries::default() });
    }

    pub(crate) async fn wait_for(&self, reached: impl FnMut(&Entries<R>) -> bool) {
        // Fails only when the sender is gone, which `self` owns.
        let _ = self.0.subscribe().wait_for(reached).await;
    }
}

pub(crate) struct Held<'a, R>(&'a RequestLog<R>);

impl<R> Drop for Held<'_, R> {
    fn drop(&mut self) {
        self.0.write(|entries| entries.held -= 1);
    }
}
