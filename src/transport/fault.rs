//! Tells apart what can go wrong on the way to an issuer and back.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::LengthLimitError;

use crate::error::{BoxError, Error, ErrorKind};
use crate::transport::LONGEST_ANSWER;

/// No connection within this time: DNS, TCP, proxy and TLS together.
#[derive(Debug)]
pub(super) struct ConnectTimeout(pub(super) Duration);

/// No complete answer within this time.
#[derive(Debug)]
pub(super) struct ReadTimeout(pub(super) Duration);

/// The host's name has no address.
#[derive(Debug)]
pub(super) struct ResolveFailure(pub(super) BoxError);

/// The proxy did not let us through.
#[derive(Debug)]
pub(super) struct ProxyFailure {
    pub(super) proxy: String,
    pub(super) cause: BoxError,
}

/// There was a way to the other side, and TLS with it failed.
#[derive(Debug)]
pub(super) struct HandshakeFailure(pub(super) BoxError);

/// One error for a failed exchange with `endpoint`, with the cause chained. All of them may pass.
pub(super) fn explain(cause: BoxError, endpoint: &str) -> Error {
    let (kind, message) = describe(&*cause, endpoint);
    Error::new(kind, message).with_source(cause)
}

/// Of which kind the error is, for those who have words of their own for it.
#[cfg(feature = "transport")]
pub(crate) fn kind(cause: &(dyn StdError + 'static)) -> ErrorKind {
    describe(cause, "").0
}

fn describe(cause: &(dyn StdError + 'static), endpoint: &str) -> (ErrorKind, String) {
    if let Some(ConnectTimeout(limit)) = find(cause) {
        let message = format!(
            "no connection to {endpoint} within {limit:?}; check the network, or raise connectTimeout"
        );
        (ErrorKind::Timeout, message)
    } else if let Some(ReadTimeout(limit)) = find(cause) {
        let message =
            format!("no complete answer from {endpoint} within {limit:?}; ask again, or raise readTimeout");
        (ErrorKind::Timeout, message)
    } else if find::<LengthLimitError>(cause).is_some() {
        let message = format!(
            "the answer of {endpoint} is longer than {LONGEST_ANSWER} bytes and was cut off; check the endpoint"
        );
        (ErrorKind::InvalidResponse, message)
    } else if let Some(ProxyFailure { proxy, cause }) = find(cause) {
        let reason = root(&**cause);
        let message = format!(
            "the proxy {proxy} did not connect to {endpoint}: {reason}; check HTTPS_PROXY and NO_PROXY"
        );
        (ErrorKind::Connect, message)
    } else if find::<ResolveFailure>(cause).is_some() {
        (
            ErrorKind::Connect,
            format!("the host name of {endpoint} has no address; check the name and the resolver"),
        )
    } else if let Some(tls) = tls_failure(cause) {
        (
            ErrorKind::Connect,
            format!(
                "no TLS connection to {endpoint}: {tls}; check its certificate, and SSL_CERT_FILE if its authority is a private one"
            ),
        )
    } else if let Some(HandshakeFailure(cause)) = find(cause) {
        let reason = root(&**cause);
        let message = format!(
            "the TLS handshake with {endpoint} was cut off: {reason}; check that it speaks TLS there, and what is in between"
        );
        (ErrorKind::Connect, message)
    } else if is_connect(cause) {
        let what = match find::<io::Error>(cause).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => "connection refused",
            _ => "cannot connect",
        };
        (ErrorKind::Connect, format!("{what} by {endpoint}; check that it is up and reachable"))
    } else {
        let message = format!(
            "the connection to {endpoint} broke before the answer was complete; it will be asked again"
        );
        (ErrorKind::Transport, message)
    }
}

/// The last error of the chain: why, where the ones before say what for.
fn root<'a>(mut error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}

/// The first error of this type in the chain, wrapped in an I/O error or not.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        if let Some(wrapped) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            return find(wrapped);
        }
        next = error.source();
    }
    None
}

#[cfg(feature = "transport")]
fn tls_failure<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    find(error)
}

#[cfg(not(feature = "transport"))]
fn tls_failure<'a>(_error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    None
}

#[cfg(feature = "transport")]
fn is_connect(error: &(dyn StdError + 'static)) -> bool {
    find::<hyper_util::client::legacy::Error>(error)
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

#[cfg(not(feature = "transport"))]
fn is_connect(error: &(dyn StdError + 'static)) -> bool {
    find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {:?}", self.0)
    }
}

impl fmt::Display for ReadTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no complete answer within {:?}", self.0)
    }
}

impl fmt::Display for ResolveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("name resolution failed")
    }
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no tunnel through the proxy {}", self.proxy)
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no TLS connection")
    }
}

impl StdError for ConnectTimeout {}
impl StdError for ReadTimeout {}

impl StdError for ResolveFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl StdError for ProxyFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

impl StdError for HandshakeFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_address_is_called_so_wherever_in_the_chain_it_is() {
        let failure = || ResolveFailure(io::Error::other("Name or service not known").into());
        for cause in [failure().into(), io::Error::other(failure()).into()] {
            let error = explain(cause, "https://idaas.example/token");
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true));
            let expected = "the host name of https://idaas.example/token has no address";
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
