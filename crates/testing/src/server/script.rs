//! The script of a server: which behaviour is next, and which requests are held.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::server::behaviour::Behaviour;
use crate::server::request_log::RequestLog;

/// The behaviours to come, and the log of the requests that met those before.
pub(crate) struct Script<R> {
    pub(crate) log: RequestLog<R>,
    plan: Mutex<Plan>,
    /// Tells held requests what to do now.
    release: watch::Sender<Behaviour>,
}

#[derive(Debug, Default)]
struct Plan {
    /// For one request each; they come before the standing one.
    next: VecDeque<Behaviour>,
    standing: Behaviour,
}

impl Plan {
    fn take(&mut self) -> Behaviour {
        self.next.pop_front().unwrap_or_else(|| self.standing.clone())
    }
}

impl<R> Script<R> {
    pub(crate) fn new() -> Self {
        let release = watch::Sender::new(Behaviour::Normal);
        Self { log: RequestLog::new(), plan: Mutex::default(), release }
    }

    /// For all requests from now on; what was planned before is forgotten.
    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.plan() = Plan { next: VecDeque::new(), standing: behaviour };
    }

    /// For that many requests, after those planned before.
    pub(crate) fn add(&self, times: usize, behaviour: &Behaviour) {
        self.plan().next.extend(std::iter::repeat_n(behaviour, times).cloned());
    }

    /// Held requests go on with this behaviour, and no more are held unless planned one by one.
    pub(crate) fn release(&self, behaviour: Behaviour) {
        let mut plan = self.plan();
        if matches!(plan.standing, Behaviour::Hold) {
            plan.standing = Behaviour::Normal;
        }
        self.release.send_replace(behaviour);
    }

    /// Whether the connection that was just accepted is to hang; counts as one planned behaviour.
    pub(crate) fn hangs_next_connection(&self) -> bool {
        let mut plan = self.plan();
        let next = plan.next.front().unwrap_or(&plan.standing);
        let hangs = matches!(next, Behaviour::HangHandshake);
        if hangs {
            plan.next.pop_front();
        }
        hangs
    }

    /// What to do with the request that has just arrived; returns when it is not to be held any longer.
    pub(crate) async fn next(&self) -> Behaviour {
        // Subscribed under the same lock that `release` takes: no request can miss its release.
        let (mut behaviour, mut released) = {
            let mut plan = self.plan();
            (plan.take(), self.release.subscribe())
        };
        while matches!(behaviour, Behaviour::Hold) {
            let _held = self.log.hold();
            behaviour = match released.changed().await {
                Ok(()) => released.borrow_and_update().clone(),
                Err(_) => Behaviour::Normal,
            };
        }
        behaviour
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> fmt::Debug for Script<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.plan(), f)
    }
}
