//! The subject token of one exchange, held only while it is needed.
//!
//! An exchange that is cached, or that failed, needs no subject token until it is made again, and the request that
//! causes that brings the token along. So the slot of an exchange keeps a digest, and the token is held by the requests
//! that wait and by the refresh in flight; it is dropped with the last of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};
use crate::token::subject::SubjectToken;

/// Where the loader of an exchange finds the subject token, if it is held.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldSubject(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    subject: Option<SubjectToken>,
    holds: usize,
}

/// Holds the subject token until it is dropped.
#[derive(Debug)]
pub(crate) struct SubjectHold(HeldSubject);

impl HeldSubject {
    /// Holds the token that a request brings.
    pub(crate) fn offer(&self, subject: &SubjectToken) -> SubjectHold {
        let mut held = self.lock();
        held.holds += 1;
        held.subject.get_or_insert_with(|| subject.clone());
        drop(held);
        SubjectHold(self.clone())
    }

    /// Extends the hold on the token, if it is held.
    pub(crate) fn hold(&self) -> Option<SubjectHold> {
        let mut held = self.lock();
        held.subject.as_ref()?;
        held.holds += 1;
        drop(held);
        Some(SubjectHold(self.clone()))
    }

    /// # Errors
    ///
    /// When no request and no refresh holds the token.
    pub(crate) fn get(&self) -> Result<SubjectToken, Error> {
        self.lock().subject.clone().ok_or_else(|| {
            let message = "the subject token is no longer available; make the request again";
            Error::new(ErrorKind::Credential, message)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SubjectHold {
    fn drop(&mut self) {
        let mut held = self.0.lock();
        held.holds = held.holds.saturating_sub(1);
        let subject = if held.holds == 0 { held.subject.take() } else { None };
        // The token is wiped outside the lock.
        drop(held);
        drop(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hold_lets_the_token_go_and_the_next_offer_brings_it_again() {
        let held = HeldSubject::default();
        let subject = || SubjectToken::access_token("s".to_owned());
        assert!(held.hold().is_none() && held.get().is_err());
        for _ in 0..2 {
            let waiting = held.offer(&subject());
            let refresh = held.hold().unwrap();
            drop(waiting);
            assert_eq!(held.get().unwrap().expose_token(), "s");
            let late = held.offer(&subject());
            drop(refresh);
            assert!(held.get().is_ok());
            drop(late);
            assert!(held.get().is_err());
        }
    }
}
