//! Sends a flight off as a task, and sees to it that it ends, however it ends.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::flight::{Announcer, Outcome};
use crate::cache::loader::Loaded;
use crate::cache::pilot::{Flown, Pilot};
use crate::cache::slot::Slot;
use crate::cache::sync::Handle;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::telemetry::Outcome as Told;

/// A flight that is ready to go.
#[derive(Debug)]
pub(crate) struct Launch<V: Debug + Send + Sync + 'static> {
    pub(crate) runtime: Handle,
    pub(crate) landing: Landing<V>,
}

impl<V: Debug + Send + Sync + 'static> Launch<V> {
    /// The only task this crate starts. It lives as long as one fetch.
    pub(crate) fn go(self) {
        let Self { runtime, mut landing } = self;
        runtime.spawn(async move {
            let flown = landing.pilot.fly().await;
            landing.land(flown);
        });
    }
}

/// A flight, and what is left to do when it ends.
#[derive(Debug)]
pub(crate) struct Landing<V: Debug + Send + Sync + 'static> {
    pilot: Pilot<V>,
    slot: Arc<Slot<V>>,
    id: u64,
    announcer: Announcer<V>,
    landed: bool,
}

impl<V: Debug + Send + Sync + 'static> Landing<V> {
    pub(crate) fn new(pilot: Pilot<V>, slot: Arc<Slot<V>>, id: u64, announcer: Announcer<V>) -> Self {
        Self { pilot, slot, id, announcer, landed: false }
    }

    fn land(mut self, flown: Flown<V>) {
        self.landed = true;
        let brought = flown.as_ref().map(Brought::of).map_err(|failure| failure.error.clone());
        let outcome = self.slot.record(self.id, flown);
        let counts = !matches!(outcome, Outcome::Void);
        let told = match &brought {
            Err(error) if self.pilot.attempt == 0 => Told::Refused(error),
            Err(error) => Told::Failed(error),
            Ok(_) if !counts => Told::Void,
            Ok(Brought { life, from_issuer: true, .. }) => Told::Loaded(*life),
            Ok(Brought { life, sent, .. }) => {
                Told::Shared(life.saturating_sub(self.pilot.clock.now().since(*sent)))
            }
        };
        let request_id =
            brought.as_ref().map_or_else(Error::request_id, |brought| brought.request_id.as_deref());
        self.pilot.report(told, request_id);
        self.announcer.announce(outcome);
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
            let error = Error::new(ErrorKind::Runtime, message);
            let outcome = self.slot.record(self.id, Err(error.clone().into()));
            self.pilot.report(Told::Panicked(&error), None);
            self.announcer.announce(outcome);
        } else {
            self.slot.lose(self.id);
            self.pilot.report(Told::Lost, None);
        }
    }
}

/// What is told of a value when it is the slot's.
struct Brought {
    sent: Timestamp,
    life: Duration,
    from_issuer: bool,
    request_id: Option<String>,
}

impl Brought {
    fn of<V>(fetched: &Loaded<V>) -> Self {
        let Loaded { sent, life, from_issuer, .. } = *fetched;
        Self { sent, life, from_issuer, request_id: fetched.request_id.clone() }
    }
}
