//! One error for whatever failed on the way to a server and back, distinguished by cause.

use std::error::Error as StdError;
use std::io;

#[cfg(feature = "transport")]
use http::StatusCode;
use http_body_util::LengthLimitError;

use crate::error::{BoxError, Error, ErrorKind};
#[cfg(feature = "transport")]
use crate::transport::failure::StaleConnection;
use crate::transport::failure::{
    ConnectTimeout, HandshakeFailure, MAX_BODY, MAX_INTERIM, NoIoDriver, ProxyFailure, ReadTimeout,
    RedirectFollowed, ResolveFailure, TcpFailure, TooManyInterim, UnusableProxy,
};
#[cfg(feature = "transport")]
use crate::transport::tunnel::TunnelError;

/// One error for a failed exchange with `endpoint`, with the cause chained.
pub(super) fn explain(cause: BoxError, endpoint: &str) -> Error {
    describe(&*cause, endpoint).with_source(cause)
}

/// The kind of the error, for errors with a message of their own.
#[cfg(feature = "transport")]
pub(crate) fn kind(cause: &(dyn StdError + 'static)) -> ErrorKind {
    describe(cause, "").kind()
}

/// Whether there was no connection at all.
#[cfg(feature = "transport")]
pub(crate) fn is_unreachable(cause: &(dyn StdError + 'static)) -> bool {
    describe(cause, "").is_unreachable()
}

/// Whether the request was sent on a connection that the other side has dropped.
#[cfg(feature = "transport")]
pub(super) fn is_stale(cause: &(dyn StdError + 'static)) -> bool {
    find::<StaleConnection>(cause).is_some()
}

/// Whether another address of the host may do better: the connection was not made, or it broke off. What a server or a
/// proxy has responded, it would respond at any of its addresses.
#[cfg(feature = "transport")]
pub(super) fn may_differ_by_address(cause: &(dyn StdError + 'static)) -> bool {
    match find::<TunnelError>(cause) {
        Some(failure) => matches!(failure, TunnelError::Closed | TunnelError::Io(_)),
        None => tls_failure(cause).is_none() && find::<io::Error>(cause).is_some(),
    }
}

fn describe(cause: &(dyn StdError + 'static), endpoint: &str) -> Error {
    let connect = |message: String| Error::new(ErrorKind::Connect, message);
    // Another request would get the same response.
    let invalid = |message: String| Error::new(ErrorKind::InvalidResponse, message).with_transient(false);
    if let Some(problem @ NoIoDriver) = find(cause) {
        Error::new(ErrorKind::Runtime, format!("no connection to {endpoint}: {problem}"))
    } else if let Some(ConnectTimeout { limit, proxy }) = find(cause) {
        let way = proxy.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        Error::new(
            ErrorKind::Timeout,
            format!(
                "no connection to {endpoint}{way} within {limit:?}; check the network, or raise connectTimeout"
            ),
        )
        .unreachable()
    } else if let Some(ReadTimeout(limit)) = find(cause) {
        Error::new(
            ErrorKind::Timeout,
            format!("no complete response from {endpoint} within {limit:?}; try again, or raise readTimeout"),
        )
    } else if find::<LengthLimitError>(cause).is_some() {
        invalid(format!(
            "the response of {endpoint} is longer than {MAX_BODY} bytes and was cut off; check the endpoint"
        ))
    } else if find::<TooManyInterim>(cause).is_some() {
        invalid(format!(
            "{endpoint} sent more than {MAX_INTERIM} interim responses (1xx) and no final one; check what stands in \
             front of it"
        ))
    } else if find::<RedirectFollowed>(cause).is_some() {
        invalid(format!(
            "the HTTP client followed a redirect of {endpoint}, which may hand the client's credentials on; build \
             the reqwest client with `redirect::Policy::none()` and configure the final address"
        ))
    } else if let Some(UnusableProxy { host, fault }) = find(cause) {
        connect(format!("{fault}; {host} is to be reached through it, unless NO_PROXY names that host"))
            .with_transient(false)
    } else if let Some(ProxyFailure { proxy, cause }) = find(cause) {
        refused_by_proxy(proxy, &**cause, endpoint)
    } else if find::<ResolveFailure>(cause).is_some() {
        connect(format!("the host name of {endpoint} has no address; check the name and the resolver"))
    } else if let Some(tls) = tls_failure(cause) {
        connect(format!(
            "no TLS connection to {endpoint}: {tls}; check its certificate, and SSL_CERT_FILE if its authority is a \
             private one"
        ))
    } else if let Some(HandshakeFailure(cause)) = find(cause) {
        let reason = root(&**cause);
        connect(format!(
            "the TLS handshake with {endpoint} was cut off: {reason}; check that it speaks TLS there, and what is in \
             between"
        ))
    } else if is_connect(cause) {
        let what = match find::<io::Error>(cause).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => "connection refused by",
            _ => "cannot connect to",
        };
        connect(format!("{what} {endpoint}; check that it is up and reachable"))
    } else if is_timeout(cause) {
        let message =
            format!("no complete response from {endpoint} in time; try again, or raise the time-outs");
        Error::new(ErrorKind::Timeout, message)
    } else {
        match malformed(cause) {
            Some(problem) => invalid(format!(
                "{endpoint} {problem}; check its scheme and port, and what stands in front of it"
            )),
            None => Error::new(
                ErrorKind::Transport,
                format!(
                    "the connection to {endpoint} broke before the response was complete; try again later"
                ),
            ),
        }
    }
}

fn refused_by_proxy(proxy: &str, cause: &(dyn StdError + 'static), endpoint: &str) -> Error {
    let error = |reason: &str, what_next: &str| {
        let message = format!("no connection to {endpoint}: the proxy {proxy} {reason}; {what_next}");
        Error::new(ErrorKind::Connect, message)
    };
    const VARIABLES: &str = "check HTTPS_PROXY and NO_PROXY";
    const CREDENTIALS: &str = "check the user name and the password in HTTPS_PROXY";
    #[cfg(feature = "transport")]
    if let Some(failure) = find::<TunnelError>(cause) {
        return match failure {
            TunnelError::Refused { status: StatusCode::PROXY_AUTHENTICATION_REQUIRED, .. } => {
                error(&failure.to_string(), CREDENTIALS).with_transient(false)
            }
            TunnelError::Refused { status, retry_after, .. } => {
                let error = error(&failure.to_string(), VARIABLES).with_transient(may_pass(*status));
                match retry_after {
                    Some(pause) => error.with_retry_after(*pause),
                    None => error,
                }
            }
            TunnelError::NotHttp | TunnelError::HeadTooLong | TunnelError::TooManyInterim => {
                error(&failure.to_string(), VARIABLES).with_transient(false)
            }
            TunnelError::TooLongForSocks => error(&failure.to_string(), CREDENTIALS).with_transient(false),
            TunnelError::Closed | TunnelError::Io(_) => error(&failure.to_string(), VARIABLES),
        };
    }
    if find::<ResolveFailure>(cause).is_some() {
        return error("has no address", VARIABLES);
    }
    if let Some(TcpFailure(cause)) = find(cause) {
        return error(&format!("cannot be reached ({})", cause.kind()), VARIABLES);
    }
    let reason = root(cause).to_string();
    let says_one_of = |words: &[&str]| words.iter().any(|words| reason.contains(words));
    if says_one_of(&["credentials not accepted", "user/pass authentication"]) {
        return error(&format!("refused: {reason}"), CREDENTIALS).with_transient(false);
    }
    error(&format!("opened no tunnel: {reason}"), VARIABLES).with_transient(!says_one_of(&LASTING_FOR_SOCKS))
}

/// What a SOCKS5 proxy would say again. Hyper-util's error can only be compared by its words.
const LASTING_FOR_SOCKS: [&str; 5] = [
    "failed parsing server response",
    "implements authentication incorrectly",
    "connection not allowed",
    "command not supported",
    "address type not supported",
];

/// Whether a proxy that refuses with this status may open a tunnel later.
#[cfg(feature = "transport")]
fn may_pass(status: StatusCode) -> bool {
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || busy.contains(&status)
}

/// The last error of the chain: it says why, the ones before say during what.
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

/// Whether it is a failure to connect, of this crate, hyper-util's client or reqwest's.
fn is_connect(error: &(dyn StdError + 'static)) -> bool {
    #[cfg(feature = "reqwest")]
    if find::<reqwest::Error>(error).is_some_and(reqwest::Error::is_connect) {
        return true;
    }
    #[cfg(feature = "transport")]
    if find::<hyper_util::client::legacy::Error>(error)
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
    {
        return true;
    }
    find::<TcpFailure>(error).is_some()
        || find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(feature = "reqwest")]
fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    find::<reqwest::Error>(error).is_some_and(reqwest::Error::is_timeout)
}

#[cfg(not(feature = "reqwest"))]
fn is_timeout(_error: &(dyn StdError + 'static)) -> bool {
    false
}

/// Describes a response that is not HTTP/1, to follow the endpoint in a message.
#[cfg(feature = "transport")]
fn malformed(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let hyper = find::<hyper::Error>(error)?;
    let body_is_malformed = || {
        let cause = hyper.source().and_then(find::<io::Error>);
        cause.is_some_and(|cause| {
            matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        })
    };
    // Hyper's own method for this is for servers alone.
    if hyper.is_parse() && hyper.to_string().contains("too large") {
        Some("sent a response with too many or too long header fields")
    } else if hyper.is_parse() {
        Some("sent something that is no HTTP/1 response")
    } else if body_is_malformed() {
        Some("sent a body that is no HTTP/1, such as a chunk without its length")
    } else {
        None
    }
}

#[cfg(not(feature = "transport"))]
fn malformed(_error: &(dyn StdError + 'static)) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_not_made_in_time_is_a_time_out_of_an_unreachable_server() {
        let limit = std::time::Duration::from_secs(5);
        let failure = || ConnectTimeout { limit, proxy: None };
        for cause in [failure().into(), io::Error::other(failure()).into()] {
            let error = explain(cause, "https://idaas.example/token");
            assert_eq!((error.kind(), error.is_unreachable()), (ErrorKind::Timeout, true));
        }
        let error = explain(ReadTimeout(limit).into(), "https://idaas.example/token");
        assert_eq!((error.kind(), error.is_unreachable()), (ErrorKind::Timeout, false));
    }

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
