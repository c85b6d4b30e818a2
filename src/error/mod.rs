//! Errors: [`Error`] while a token is fetched, [`ConfigError`] while a configuration is loaded.

mod config;
mod kind;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

/// A boxed future, for traits that are called once per token life and never on a hit.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub use self::config::{ConfigError, ConfigFault};
pub use self::kind::ErrorKind;

/// Any error, as in `tower`. An error of this crate is found in it by `downcast_ref::<tower_idaas::Error>()`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why no token is available.
///
/// One line that says what failed, where, and what to do next; the cause, if any, is chained as
/// [`source`](std::error::Error::source). All waiters for a token share one error, so it is cheap to clone. It never
/// holds a secret, an assertion or a token.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    transient: bool,
    status: Option<StatusCode>,
    code: Option<String>,
    server: Server,
    unreachable: bool,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    clock_offset: Option<i64>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Which server an error says something about, for the circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// Not known: the error comes from a user's own source, or from a call whose caller has not said it yet.
    Unknown,
    /// The one that was called.
    Issuer,
    /// Another one, which a call to the issuer needs something from first.
    Another,
}

impl Error {
    /// An error of your own, for an [`Authenticator`](crate::authn::Authenticator) or a
    /// [`TokenSource`](crate::TokenSource). Its kind determines whether it is transient.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            transient: kind.is_transient(),
            status: None,
            code: None,
            server: Server::Unknown,
            unreachable: false,
            request_id: None,
            retry_after: None,
            clock_offset: None,
            source: None,
        }))
    }

    /// Chains the cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        self.with(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// Sets the issuer's requested pause.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Duration) -> Self {
        self.with(|inner| inner.retry_after = Some(retry_after))
    }

    /// Sets the issuer's id of the request.
    #[must_use]
    pub fn with_request_id(self, request_id: impl Into<String>) -> Self {
        self.with(|inner| inner.request_id = Some(request_id.into()))
    }

    /// Sets whether the same call may succeed later.
    #[must_use]
    pub fn with_transient(self, transient: bool) -> Self {
        self.with(|inner| inner.transient = transient)
    }

    /// Sets the HTTP status of the response.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        self.with(|inner| inner.status = Some(status))
    }

    /// Sets the server's error code, such as `invalid_client`.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        self.with(|inner| inner.code = Some(code.into()))
    }

    /// Sets the number of nanoseconds that the server's clock is ahead of this machine's, if the response shows it.
    pub(crate) fn with_clock_offset(self, nanos: Option<i64>) -> Self {
        self.with(|inner| inner.clock_offset = nanos)
    }

    /// The number of nanoseconds that the server's clock is ahead of this machine's, if the response showed it.
    pub(crate) fn clock_offset(&self) -> Option<i64> {
        self.0.clock_offset
    }

    /// Replaces the message and drops the causes, which echo a secret.
    pub(crate) fn redacted(self, message: String) -> Self {
        self.with(|inner| {
            inner.message = message;
            inner.source = None;
        })
    }

    /// Marks the error as a result of the issuer itself, and not of another server on the way to it.
    pub(crate) fn of_issuer(self) -> Self {
        self.with(|inner| inner.server = Server::Issuer)
    }

    /// Marks the error as a result of another server than the issuer: a metadata service, STS, or the token endpoint
    /// where an API is called with its token.
    pub(crate) fn of_another_server(self) -> Self {
        self.with(|inner| inner.server = Server::Another)
    }

    /// Whether another server than the issuer failed: that says nothing about the issuer.
    pub(crate) fn is_of_another_server(&self) -> bool {
        self.0.server == Server::Another
    }

    /// Marks the error as that of a server to which there was no connection, whatever its kind.
    pub(crate) fn unreachable(self) -> Self {
        self.with(|inner| inner.unreachable = true)
    }

    /// Whether there was no connection to the server: refused, or not made in time.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.0.unreachable || self.0.kind == ErrorKind::Connect
    }

    /// Whether the issuer itself failed, as far as the built-in client knows.
    pub(crate) fn is_of_issuer(&self) -> bool {
        self.0.server == Server::Issuer
    }

    /// Whether the issuer itself refused: to the circuit breaker that shows an issuer that responds. Its status alone
    /// may say so.
    pub(crate) fn is_refusal_of_issuer(&self) -> bool {
        let refused = matches!(self.0.kind, ErrorKind::Refused | ErrorKind::ConsentRequired);
        self.is_of_issuer() && !self.0.transient && (refused || self.0.code.is_some())
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later with nothing changed: true for an issuer that is down or busy, false for
    /// a wrong secret.
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// The pause that the issuer requested in its `Retry-After` header (RFC 9110 section 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The issuer's id of the failed request, for its support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The server's error code: of OAuth, such as `invalid_client` (RFC 6749 section 5.2), or of an OpenAPI, such as
    /// `Throttling.User`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The HTTP status of the issuer's response, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// The output of a `main` that returns the error: the message, the server's details, and the causes, a line each.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, status, code, request_id, retry_after, .. } = &*self.0;
        write!(f, "{message} ({kind:?}")?;
        if let Some(status) = status {
            write!(f, ", status {}", status.as_u16())?;
        }
        if let Some(code) = code {
            write!(f, ", code {code}")?;
        }
        if let Some(request_id) = request_id {
            write!(f, ", request id {request_id}")?;
        }
        if let Some(retry_after) = retry_after {
            write!(f, ", retry after {retry_after:?}")?;
        }
        f.write_str(")")?;
        write_causes(f, self)
    }
}

/// Appends the chain of causes, a line each.
pub(crate) fn write_causes(
    f: &mut fmt::Formatter<'_>,
    error: &(dyn std::error::Error + 'static),
) -> fmt::Result {
    let mut next = error.source();
    while let Some(cause) = next {
        write!(f, "\n  caused by: {cause}")?;
        next = cause.source();
    }
    Ok(())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_chained_and_not_pasted() {
        let cause = std::io::Error::other("the cause");
        let error = Error::new(ErrorKind::Connect, "cannot connect").with_source(cause);
        assert_eq!(error.to_string(), "cannot connect");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the cause");
    }

    #[test]
    fn a_boxed_error_is_found_again_by_downcast() {
        let boxed: BoxError = Error::new(ErrorKind::Refused, "no").into();
        let found = boxed.downcast_ref::<Error>().unwrap();
        assert_eq!((found.kind(), found.is_transient()), (ErrorKind::Refused, false));
    }

    #[test]
    fn a_change_to_a_shared_error_leaves_the_other_holders_alone() {
        let first = Error::new(ErrorKind::Unavailable, "busy");
        let second = first.clone().with_retry_after(Duration::from_secs(3));
        assert_eq!(first.retry_after(), None);
        assert_eq!(second.retry_after(), Some(Duration::from_secs(3)));
    }
}
