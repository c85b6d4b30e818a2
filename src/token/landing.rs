//! Sends a flight off as a task, and sees to it that it ends, however it ends.

use std::fmt::Debug;
use std::sync::Arc;

use super::flight::Announcer;
use super::pilot::{Flown, Pilot};
use super::slot::Slot;
use super::sync::Handle;
use crate::error::{Error, ErrorKind};

/// A flight that is ready to go.
#[derive(Debug)]
pub(super) struct Launch<V: Debug + Send + Sync + 'static> {
    pub(super) runtime: Handle,
    pub(super) pilot: Pilot<V>,
    pub(super) landing: Landing<V>,
}

impl<V: Debug + Send + Sync + 'static> Launch<V> {
    /// The only task this crate starts. It lives as long as one fetch.
    pub(super) fn go(self) {
        let Self { runtime, pilot, landing } = self;
        runtime.spawn(async move { landing.land(pilot.fly().await) });
    }
}

/// What is left to do when a flight ends.
#[derive(Debug)]
pub(super) struct Landing<V: Debug + Send + Sync + 'static> {
    slot: Arc<Slot<V>>,
    id: u64,
    announcer: Announcer<V>,
    landed: bool,
}

impl<V: Debug + Send + Sync + 'static> Landing<V> {
    pub(super) fn new(slot: Arc<Slot<V>>, id: u64, announcer: Announcer<V>) -> Self {
        Self { slot, id, announcer, landed: false }
    }

    fn land(mut self, flown: Flown<V>) {
        self.landed = true;
        self.announcer.announce(self.slot.record(self.id, flown));
    }
}

impl<V: Debug + Send + Sync + 'static> Drop for Landing<V> {
    /// A task dropped with its runtime is nobody's fault: the next waiter starts another. One that
    /// panicked, in an authenticator or source of the user's, is an error like any other.
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        if std::thread::panicking() {
            let subject = self.slot.subject();
            let message = format!("the fetch of {subject} panicked; the panic's own message tells where");
            self.announcer
                .announce(self.slot.record(self.id, Err(Error::new(ErrorKind::Runtime, message).into())));
        } else {
            self.slot.lose(self.id);
        }
    }
}
