//! The sources that were tried in vain, and the one error about them all.

use super::lookup::Miss;
use crate::error::{Error, ErrorKind};
use crate::token::shown;

/// What was tried, in order.
#[derive(Debug, Default)]
pub(super) struct Tried {
    misses: Vec<(&'static str, Miss)>,
    /// The one that has not answered yet.
    pub(super) waiting_for: Option<&'static str>,
}

impl Tried {
    pub(super) fn add(&mut self, source: &'static str, miss: Miss) {
        self.waiting_for = None;
        self.misses.push((source, miss));
    }

    /// The sources that are set up and do not work.
    pub(super) fn faults(&self) -> impl Iterator<Item = (&'static str, &Error)> {
        self.misses.iter().filter_map(|(source, miss)| match miss {
            Miss::Fault(error) => Some((*source, error)),
            Miss::Absent(_) => None,
        })
    }

    /// The error that lists them all. It may pass if nothing else than time is missing.
    pub(super) fn into_error(self) -> Error {
        let mut message = "no Alibaba Cloud credential".to_owned();
        for (place, (source, miss)) in self.misses.iter().enumerate() {
            let reason = match miss {
                Miss::Absent(reason) => shown(reason, []),
                Miss::Fault(error) => shown(&error.to_string(), []),
            };
            message.push_str(if place == 0 { ": " } else { " | " });
            message.push_str(&format!("{source}: {reason}"));
        }
        if let Some(source) = self.waiting_for {
            message.push_str(&format!(" | {source}: no answer in time, and no more was tried"));
        }
        let first = self.faults().next().map(|(_, error)| error.clone());
        let all_may_pass = self.faults().all(|(_, error)| error.is_transient());
        match first {
            Some(first) if all_may_pass => {
                inherited(Error::new(first.kind(), message), first).with_transient(true)
            }
            None if self.waiting_for.is_some() => Error::new(ErrorKind::Timeout, message),
            Some(first) => inherited(Error::new(ErrorKind::Secret, message), first),
            None => Error::new(ErrorKind::Secret, message),
        }
    }
}

/// With what the first fault knows of its request.
fn inherited(error: Error, first: Error) -> Error {
    let error = match first.request_id() {
        Some(id) => error.with_request_id(id),
        None => error,
    };
    let error = match first.retry_after() {
        Some(pause) => error.with_retry_after(pause),
        None => error,
    };
    error.with_source(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried<const N: usize>(misses: [Miss; N]) -> Error {
        let mut tried = Tried::default();
        for (source, miss) in ["one", "two", "three"].into_iter().zip(misses) {
            tried.add(source, miss);
        }
        tried.into_error()
    }

    fn fault(kind: ErrorKind) -> Miss {
        Miss::Fault(Error::new(kind, "does not work").with_request_id("ID-1"))
    }

    #[test]
    fn every_source_is_listed_with_its_reason() {
        let error = tried([Miss::absent("is not set"), fault(ErrorKind::Rejected)]);
        assert_eq!(error.to_string(), "no Alibaba Cloud credential: one: is not set | two: does not work");
        assert_eq!((error.kind(), error.request_id()), (ErrorKind::Secret, Some("ID-1")));
    }

    #[test]
    fn it_may_pass_only_if_all_faults_may() {
        assert!(!tried([Miss::absent("x")]).is_transient());
        assert!(!tried([fault(ErrorKind::Timeout), fault(ErrorKind::Rejected)]).is_transient());
        let error = tried([Miss::absent("x"), fault(ErrorKind::Connect), fault(ErrorKind::Timeout)]);
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true));
        assert!(tried([Miss::Fault(Error::new(ErrorKind::Secret, "x").with_transient(true))]).is_transient());
    }

    #[test]
    fn the_source_that_time_ran_out_for_is_named() {
        let mut tried = Tried::default();
        tried.add("one", Miss::absent("is not set"));
        tried.waiting_for = Some("two");
        let error = tried.into_error();
        let text =
            "no Alibaba Cloud credential: one: is not set | two: no answer in time, and no more was tried";
        assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Timeout));
    }

    #[test]
    fn long_reasons_are_cut_and_stay_on_one_line() {
        let error = tried([Miss::absent("a\n".repeat(10_000)), Miss::fault("b".repeat(10_000))]);
        assert!(error.to_string().chars().count() < 800 && !error.to_string().contains('\n'));
    }
}
