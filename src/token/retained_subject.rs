//! The subject token of one exchange, retained only while it is needed.
//!
//! An exchange that is cached, or that failed, needs no subject token until it is made again, and the request that
//! causes that brings the token along. So the slot of an exchange keeps a digest, and the token is retained by the requests
//! that wait and by the refresh in flight; it is dropped with the last of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};
use crate::token::subject::SubjectToken;

/// Where the loader of an exchange finds the subject token, while a request or a refresh retains it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetainedSubject(Arc<Mutex<Retained>>);

#[derive(Debug, Default)]
struct Retained {
    subject: Option<SubjectToken>,
    guards: usize,
}

/// Retains the subject token until it is dropped.
#[derive(Debug)]
pub(crate) struct SubjectGuard(RetainedSubject);

impl RetainedSubject {
    /// Retains the token that a request brings.
    pub(crate) fn retain(&self, subject: &SubjectToken) -> SubjectGuard {
        let mut retained = self.lock();
        retained.guards += 1;
        retained.subject.get_or_insert_with(|| subject.clone());
        drop(retained);
        SubjectGuard(self.clone())
    }

    /// Another guard of the token, if it is retained.
    pub(crate) fn guard(&self) -> Option<SubjectGuard> {
        let mut retained = self.lock();
        retained.subject.as_ref()?;
        retained.guards += 1;
        drop(retained);
        Some(SubjectGuard(self.clone()))
    }

    /// # Errors
    ///
    /// When no request and no refresh retains the token.
    pub(crate) fn get(&self) -> Result<SubjectToken, Error> {
        self.lock().subject.clone().ok_or_else(|| {
            let message = "the subject token is no longer available; make the request again";
            Error::new(ErrorKind::Credential, message)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Retained> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SubjectGuard {
    fn drop(&mut self) {
        let mut retained = self.0.lock();
        retained.guards = retained.guards.saturating_sub(1);
        let subject = if retained.guards == 0 { retained.subject.take() } else { None };
        // The token is wiped outside the lock.
        drop(retained);
        drop(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_guard_drops_the_token_and_the_next_request_brings_it_again() {
        let retained = RetainedSubject::default();
        let subject = || SubjectToken::access_token("s".to_owned());
        assert!(retained.guard().is_none() && retained.get().is_err());
        for _ in 0..2 {
            let waiting = retained.retain(&subject());
            let refresh = retained.guard().unwrap();
            drop(waiting);
            assert_eq!(retained.get().unwrap().expose_token(), "s");
            let late = retained.retain(&subject());
            drop(refresh);
            assert!(retained.get().is_ok());
            drop(late);
            assert!(retained.get().is_err());
        }
    }
}
