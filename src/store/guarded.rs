//! A store that can do no harm: each call is time-boxed, counted, and not made while the store is in trouble.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::store::gate::Gate;
use crate::store::token_store::{StoredValue, TokenStore};
use crate::store::turn::Lock;
use crate::telemetry::Telemetry;

/// The store was not asked, or did not answer; it has been told.
#[derive(Debug)]
pub(super) struct Unreachable;

#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) gate: Gate,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
}

impl Guarded {
    pub(super) async fn get(&self, name: &str) -> Result<Option<StoredValue>, Unreachable> {
        self.call("get", false, || self.store.get(name)).await
    }

    pub(super) async fn put(
        &self,
        name: &str,
        lock: &Lock,
        value: &[u8],
        life: Duration,
    ) -> Result<bool, Unreachable> {
        self.call("put", lock.in_doubt, || self.store.put(name, &lock.owner, value, life)).await
    }

    pub(super) async fn try_lock(
        &self,
        name: &str,
        owner: &str,
        lease: Duration,
    ) -> Result<bool, Unreachable> {
        self.call("lock", false, || self.store.try_lock(name, owner, lease)).await
    }

    pub(super) async fn unlock(&self, name: &str, lock: &Lock) -> Result<(), Unreachable> {
        self.call("unlock", lock.in_doubt, || self.store.unlock(name, &lock.owner)).await
    }

    pub(super) async fn remove(&self, name: &str, value: &[u8]) -> Result<bool, Unreachable> {
        self.call("remove", false, || self.store.remove(name, value)).await
    }

    /// `insists` is for what goes through a closed gate: a lock that is not given back costs all others its lease.
    async fn call<'a, T>(
        &self,
        operation: &'static str,
        insists: bool,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, Error>>,
    ) -> Result<T, Unreachable> {
        let leave = self.gate.admit(self.clock.now(), self.timeout);
        let leave = leave.or_else(|| insists.then(|| self.gate.insist())).ok_or(Unreachable)?;
        let answer = tokio::time::timeout(self.timeout, call()).await;
        match answer.unwrap_or_else(|_elapsed| Err(self.no_answer())) {
            Ok(answer) => {
                if self.gate.answered() {
                    self.telemetry.store_gate(true);
                }
                Ok(answer)
            }
            Err(error) => {
                let closed = self.gate.failed(leave, &error, self.clock.now(), fastrand::f64());
                self.telemetry.store_failed(operation, &error, closed);
                Err(Unreachable)
            }
        }
    }

    fn no_answer(&self) -> Error {
        let timeout = self.timeout;
        let message = format!(
            "no answer of the token store within {timeout:?}; tokens are fetched without it meanwhile"
        );
        Error::new(ErrorKind::Timeout, message)
    }
}
