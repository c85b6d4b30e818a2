//! The sources that were tried in vain, and the one error about them all.

use crate::aliyun::credential::lookup::Miss;
use crate::error::{Error, ErrorKind};
use crate::wire::redact::shown;

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
            Miss::Absent(_) | Miss::InVain(_) => None,
        })
    }

    /// The source that is set up and may work soon: until then there is no credential, rather than one of
    /// somebody else.
    pub(super) fn awaited(&self) -> Option<&Error> {
        self.faults().map(|(_, error)| error).find(|error| error.is_transient())
    }

    /// The error that lists them all. It may pass if nothing else than time is missing.
    pub(super) fn into_error(self) -> Error {
        let mut message = "no Alibaba Cloud credential".to_owned();
        for (place, (source, miss)) in self.misses.iter().enumerate() {
            let reason = match miss {
                Miss::Absent(reason) => shown(reason, []),
                Miss::InVain(error) | Miss::Fault(error) => shown(&error.to_string(), []),
            };
            message.push_str(if place == 0 { ": " } else { " | " });
            message.push_str(&format!("{source}: {reason}"));
        }
        if let Some(source) = self.waiting_for {
            message.push_str(if self.misses.is_empty() { ": " } else { " | " });
            message.push_str(&format!("{source}: no answer in time, and no more was tried"));
        }
        if let Some(awaited) = self.awaited() {
            message.push_str("; it may work soon, and no other source is used in its place");
            return inherited(Error::new(awaited.kind(), message), awaited).with_transient(true);
        }
        let first = self.errors().next();
        let (kind, may_pass) = match first {
            _ if self.waiting_for.is_some() => (ErrorKind::Timeout, true),
            Some(first) if self.errors().all(Error::is_transient) => (first.kind(), true),
            _ => (ErrorKind::Credential, false),
        };
        let error = Error::new(kind, message).with_transient(may_pass);
        match first {
            Some(first) => inherited(error, first),
            None => error,
        }
    }

    fn errors(&self) -> impl Iterator<Item = &Error> {
        self.misses.iter().filter_map(|(_, miss)| match miss {
            Miss::InVain(error) | Miss::Fault(error) => Some(error),
            Miss::Absent(_) => None,
        })
    }
}

/// With what the first fault knows of its request.
fn inherited(error: Error, first: &Error) -> Error {
    let error = match first.request_id() {
        Some(id) => error.with_request_id(id),
        None => error,
    };
    let error = match first.retry_after() {
        Some(pause) => error.with_retry_after(pause),
        None => error,
    };
    error.with_source(first.clone())
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

    fn in_vain(kind: ErrorKind) -> Miss {
        Miss::InVain(Error::new(kind, "is not there"))
    }

    #[test]
    fn every_source_is_listed_with_its_reason() {
        let error = tried([Miss::absent("is not set"), fault(ErrorKind::Refused)]);
        assert_eq!(error.to_string(), "no Alibaba Cloud credential: one: is not set | two: does not work");
        assert_eq!((error.kind(), error.request_id()), (ErrorKind::Credential, Some("ID-1")));
    }

    #[test]
    fn it_may_pass_only_if_all_faults_may() {
        assert!(!tried([Miss::absent("x")]).is_transient());
        assert!(!tried([in_vain(ErrorKind::Timeout), in_vain(ErrorKind::Refused)]).is_transient());
        let error = tried([Miss::absent("x"), in_vain(ErrorKind::Connect), in_vain(ErrorKind::Timeout)]);
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true));
    }

    #[test]
    fn it_may_pass_if_a_source_that_is_set_up_may_work_soon_whatever_else_is_wrong() {
        let error = tried([fault(ErrorKind::Refused), fault(ErrorKind::Connect)]);
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true));
        let text = "does not work; it may work soon, and no other source is used in its place";
        assert!(error.to_string().ends_with(text), "{error}");
        assert!(
            tried([Miss::Fault(Error::new(ErrorKind::Credential, "x").with_transient(true))]).is_transient()
        );
    }

    #[test]
    fn the_source_that_time_ran_out_for_is_named() {
        let mut tried = Tried::default();
        tried.add("one", fault(ErrorKind::Refused));
        tried.waiting_for = Some("two");
        let error = tried.into_error();
        let text =
            "no Alibaba Cloud credential: one: does not work | two: no answer in time, and no more was tried";
        assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Timeout));
        assert!(error.is_transient());
    }

    #[test]
    fn long_reasons_are_cut_and_stay_on_one_line() {
        let error = tried([Miss::absent("a\n".repeat(10_000)), Miss::fault("b".repeat(10_000))]);
        assert!(error.to_string().chars().count() < 800 && !error.to_string().contains('\n'));
    }
}
