//! Which behaviour is next, and the requests that wait for a word.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::behaviour::Behaviour;
use super::ledger::Ledger;

/// The behaviours to come, and what came of those before.
pub(super) struct Stage<R> {
    pub(super) ledger: Ledger<R>,
    script: Mutex<Script>,
    /// Tells held requests what to do now.
    release: watch::Sender<Behaviour>,
}

#[derive(Debug, Default)]
struct Script {
    /// For one request each; they come before the standing one.
    next: VecDeque<Behaviour>,
    standing: Behaviour,
}

impl Script {
    fn take(&mut self) -> Behaviour {
        self.next.pop_front().unwrap_or_else(|| self.standing.clone())
    }
}

impl<R> Stage<R> {
    pub(super) fn new() -> Self {
        let release = watch::Sender::new(Behaviour::Normal);
        Self { ledger: Ledger::new(), script: Mutex::default(), release }
    }

    /// For all requests from now on; what was planned before is forgotten.
    pub(super) fn set(&self, behaviour: Behaviour) {
        *self.script() = Script { next: VecDeque::new(), standing: behaviour };
    }

    /// For that many requests, after those planned before.
    pub(super) fn plan(&self, times: usize, behaviour: &Behaviour) {
        self.script().next.extend(std::iter::repeat_n(behaviour, times).cloned());
    }

    /// Held requests go on with this behaviour, and no more are held unless planned one by one.
    pub(super) fn release(&self, behaviour: Behaviour) {
        let mut script = self.script();
        if matches!(script.standing, Behaviour::Hold) {
            script.standing = Behaviour::Normal;
        }
        self.release.send_replace(behaviour);
    }

    /// Whether the connection that was just accepted is to hang; counts as one planned behaviour.
    pub(super) fn hangs_next_connection(&self) -> bool {
        let mut script = self.script();
        let next = script.next.front().unwrap_or(&script.standing);
        let hangs = matches!(next, Behaviour::HangHandshake);
        if hangs {
            script.next.pop_front();
        }
        hangs
    }

    /// What to do with the request that has just arrived; returns when it is not to be held any longer.
    pub(super) async fn next(&self) -> Behaviour {
        // Subscribed under the same lock that `release` takes: no request can miss its release.
        let (mut behaviour, mut released) = {
            let mut script = self.script();
            (script.take(), self.release.subscribe())
        };
        while matches!(behaviour, Behaviour::Hold) {
            let _held = self.ledger.hold();
            behaviour = match released.changed().await {
                Ok(()) => released.borrow_and_update().clone(),
                Err(_) => Behaviour::Normal,
            };
        }
        behaviour
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> fmt::Debug for Stage<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.script(), f)
    }
}
