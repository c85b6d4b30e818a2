//! The providers without a credential, and the one error that lists them.

use crate::aliyun::credential::lookup::NoCredential;
use crate::error::{Error, ErrorKind};
use crate::wire::redact::bounded;

/// The failures in the order of the lookups.
#[derive(Debug, Default)]
pub(super) struct FailedLookups {
    failures: Vec<(&'static str, NoCredential)>,
    /// The provider that has not responded yet.
    pub(super) waiting_for: Option<&'static str>,
}

impl FailedLookups {
    pub(super) fn add(&mut self, provider: &'static str, failure: NoCredential) {
        self.waiting_for = None;
        self.failures.push((provider, failure));
    }

    /// The providers that are configured and failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&'static str, &Error)> {
        self.failures.iter().filter_map(|(provider, failure)| match failure {
            NoCredential::Failed(error) => Some((*provider, error)),
            NoCredential::NotConfigured(_) | NoCredential::Missing(_) | NoCredential::NotFound(_) => None,
        })
    }

    /// The error of a provider that is configured and failed transiently: until it works, there is no credential rather
    /// than one of another identity.
    pub(super) fn awaited(&self) -> Option<&Error> {
        self.failed().map(|(_, error)| error).find(|error| error.is_transient())
    }

    /// The error that lists them all; transient if another attempt may succeed.
    pub(super) fn into_error(self) -> Error {
        let mut message = "no Alibaba Cloud credential".to_owned();
        for (place, (provider, failure)) in self.failures.iter().enumerate() {
            let reason = match failure {
                NoCredential::NotConfigured(reason) | NoCredential::Missing(reason) => bounded(reason),
                NoCredential::NotFound(error) | NoCredential::Failed(error) => bounded(&error.to_string()),
            };
            message.push_str(if place == 0 { ": " } else { " | " });
            message.push_str(&format!("{provider}: {reason}"));
        }
        if let Some(provider) = self.waiting_for {
            message.push_str(if self.failures.is_empty() { ": " } else { " | " });
            message.push_str(&format!("{provider}: no response in time, and no further provider was tried"));
        }
        if let Some(awaited) = self.awaited() {
            message.push_str("; it may work soon, and no other provider is used in its place");
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
        self.failures.iter().filter_map(|(_, failure)| match failure {
            NoCredential::NotFound(error) | NoCredential::Failed(error) => Some(error),
            NoCredential::NotConfigured(_) | NoCredential::Missing(_) => None,
        })
    }
}

/// Copies the first error's request details, such as its status and request id.
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

    fn failed<const N: usize>(failures: [NoCredential; N]) -> Error {
        let mut lookups = FailedLookups::default();
        for (provider, failure) in ["one", "two", "three"].into_iter().zip(failures) {
            lookups.add(provider, failure);
        }
        lookups.into_error()
    }

    fn failure(kind: ErrorKind) -> NoCredential {
        NoCredential::Failed(Error::new(kind, "does not work").with_request_id("ID-1"))
    }

    fn not_found(kind: ErrorKind) -> NoCredential {
        NoCredential::NotFound(Error::new(kind, "is not there"))
    }

    #[test]
    fn every_provider_is_listed_with_its_reason() {
        let error = failed([NoCredential::not_configured("is not set"), failure(ErrorKind::Refused)]);
        assert_eq!(error.to_string(), "no Alibaba Cloud credential: one: is not set | two: does not work");
        assert_eq!((error.kind(), error.request_id()), (ErrorKind::Credential, Some("ID-1")));
    }

    #[test]
    fn it_may_pass_only_if_all_errors_may() {
        assert!(!failed([NoCredential::not_configured("x")]).is_transient());
        assert!(!failed([not_found(ErrorKind::Timeout), not_found(ErrorKind::Refused)]).is_transient());
        let error = failed([
            NoCredential::not_configured("x"),
            not_found(ErrorKind::Connect),
            not_found(ErrorKind::Timeout),
        ]);
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true));
    }

    #[test]
    fn it_may_pass_if_a_provider_that_is_configured_may_work_soon_whatever_else_is_wrong() {
        let error = failed([failure(ErrorKind::Refused), failure(ErrorKind::Connect)]);
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true));
        let text = "does not work; it may work soon, and no other provider is used in its place";
        assert!(error.to_string().ends_with(text), "{error}");
        assert!(
            failed([NoCredential::Failed(Error::new(ErrorKind::Credential, "x").with_transient(true))])
                .is_transient()
        );
    }

    #[test]
    fn the_provider_that_time_ran_out_for_is_named() {
        let mut lookups = FailedLookups::default();
        lookups.add("one", failure(ErrorKind::Refused));
        lookups.waiting_for = Some("two");
        let error = lookups.into_error();
        let text = "no Alibaba Cloud credential: one: does not work | two: no response in time, and no further provider was tried";
        assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Timeout));
        assert!(error.is_transient());
    }

    #[test]
    fn long_reasons_are_cut_and_stay_on_one_line() {
        let error = failed([
            NoCredential::not_configured("a\n".repeat(10_000)),
            NoCredential::failed("b".repeat(10_000)),
        ]);
        assert!(error.to_string().chars().count() < 800 && !error.to_string().contains('\n'));
    }
}
