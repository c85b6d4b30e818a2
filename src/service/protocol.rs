//! The protocol of a layer: plain HTTP, or gRPC on top of it.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use crate::error::{BoxError, Error, ErrorKind};
use crate::service::sealed::Sealed;

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A layer for HTTP, which is what [`Idaas::layer`](crate::Idaas::layer) makes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

/// A layer for gRPC, which is what [`IdaasLayer::grpc`](super::IdaasLayer::grpc) makes of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grpc;

/// The protocol of a layer whose inner service has responses of type `A`: [`Http`] or [`Grpc`]. Sealed.
#[diagnostic::on_unimplemented(
    message = "a layer of tower-idaas for `{Self}` cannot make a response of type `{A}`",
    note = "`IdaasLayer::grpc` puts the status of a call that cannot have a token into a response with an empty body: \
            the body must implement `Default`, as `tonic::body::Body` does; inside the layer, map another one to it, for \
            example with `ServiceExt::map_response` and `tonic::body::Body::new`"
)]
pub trait Protocol<A>: Sealed {
    /// Whether `grpc-status: 16` in a response's headers rejects the token.
    #[doc(hidden)]
    const GRPC: bool;
    /// What the caller gets instead of a response when there is no token to send.
    #[doc(hidden)]
    fn failure(error: Error) -> Result<A, BoxError>;
}

impl Sealed for Http {}

impl<A> Protocol<A> for Http {
    const GRPC: bool = false;

    fn failure(error: Error) -> Result<A, BoxError> {
        Err(error.into())
    }
}

impl Sealed for Grpc {}

impl<B: Default> Protocol<Response<B>> for Grpc {
    const GRPC: bool = true;

    /// A response of trailers alone, as a server sends it for a call that it refuses to begin.
    fn failure(error: Error) -> Result<Response<B>, BoxError> {
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(&GRPC_STATUS, HeaderValue::from(code(&error)));
        if let Ok(message) = HeaderValue::try_from(message(&error)) {
            headers.insert(&GRPC_MESSAGE, message);
        }
        response.extensions_mut().insert(error);
        Ok(response)
    }
}

/// The status code of gRPC that says what a caller can do about the error.
fn code(error: &Error) -> u16 {
    const DEADLINE_EXCEEDED: u16 = 4;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const FAILED_PRECONDITION: u16 = 9;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match error.kind() {
        ErrorKind::Timeout => DEADLINE_EXCEEDED,
        ErrorKind::Overloaded => RESOURCE_EXHAUSTED,
        ErrorKind::Destination | ErrorKind::Unsupported | ErrorKind::ConsentRequired => FAILED_PRECONDITION,
        ErrorKind::Runtime => INTERNAL,
        _ if error.is_transient() => UNAVAILABLE,
        ErrorKind::Credential | ErrorKind::Refused => UNAUTHENTICATED,
        ErrorKind::Connect | ErrorKind::Transport | ErrorKind::Unavailable | ErrorKind::InvalidResponse => {
            UNAVAILABLE
        }
    }
}

/// The error and its causes, percent-encoded as gRPC has it: what is not visible ASCII, and `%` itself.
fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Whether a gRPC server refuses the call as unauthenticated, with no body to come.
pub(super) fn is_unauthenticated(headers: &HeaderMap) -> bool {
    headers.get(&GRPC_STATUS).is_some_and(|status| status.as_bytes() == b"16")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_the_code_that_says_what_its_caller_must_do() {
        for (kind, expected) in [
            (ErrorKind::Credential, 16),
            (ErrorKind::Refused, 16),
            (ErrorKind::Connect, 14),
            (ErrorKind::Transport, 14),
            (ErrorKind::Unavailable, 14),
            (ErrorKind::InvalidResponse, 14),
            (ErrorKind::Timeout, 4),
            (ErrorKind::Overloaded, 8),
            (ErrorKind::Destination, 9),
            (ErrorKind::Unsupported, 9),
            (ErrorKind::ConsentRequired, 9),
            (ErrorKind::Runtime, 13),
        ] {
            assert_eq!(code(&Error::new(kind, "no")), expected, "{kind:?}");
        }
        // A token file that is half written is read again in a moment.
        assert_eq!(code(&Error::new(ErrorKind::Credential, "torn").with_transient(true)), 14);
    }

    #[test]
    fn a_message_of_any_text_goes_into_a_header() {
        let cause = std::io::Error::other("80 % of \u{fc}\r\n");
        let error = Error::new(ErrorKind::Connect, "no way").with_source(cause);
        assert_eq!(message(&error), "no way: 80 %25 of %C3%BC%0D%0A");
        let response: Response<()> = Grpc::failure(error).unwrap();
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(response.headers()["grpc-message"], "no way: 80 %25 of %C3%BC%0D%0A");
    }
}
