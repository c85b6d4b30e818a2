//! The failures on the way to a server and back, as the connections and the client report them.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::error::{BoxError, ConfigFault};

/// A response longer than this is cut off: a token response is a few kilobytes.
pub(super) const MAX_BODY: usize = 1024 * 1024;

/// Interim responses (1xx) before the final one.
pub(super) const MAX_INTERIM: usize = 32;

/// No connection within this time: DNS, TCP, proxy and TLS together.
#[derive(Debug)]
pub(super) struct ConnectTimeout {
    pub(super) limit: Duration,
    pub(super) proxy: Option<String>,
}

/// No complete response within this time.
#[derive(Debug)]
pub(super) struct ReadTimeout(pub(super) Duration);

/// The host's name has no address.
#[derive(Debug)]
pub(super) struct ResolveFailure(pub(super) BoxError);

/// None of the host's addresses accepts connections.
#[derive(Debug)]
pub(super) struct TcpFailure(pub(super) io::Error);

/// The runtime cannot open connections.
#[derive(Debug)]
pub(super) struct NoIoDriver;

/// A proxy variable cannot be used, and this host is reached through the proxy that it names.
#[derive(Debug)]
pub(super) struct UnusableProxy {
    pub(super) host: String,
    pub(super) fault: ConfigFault,
}

/// The proxy opened no tunnel.
#[derive(Debug)]
pub(super) struct ProxyFailure {
    pub(super) proxy: String,
    pub(super) cause: BoxError,
}

/// The connection is open, and TLS over it failed.
#[derive(Debug)]
pub(super) struct HandshakeFailure(pub(super) BoxError);

/// An idle connection was closed, reset or silent. The request may be sent again.
#[cfg(feature = "transport")]
#[derive(Debug)]
pub(super) struct StaleConnection;

/// More than [`MAX_INTERIM`] interim responses, and no final one.
#[derive(Debug)]
pub(super) struct TooManyInterim;

/// The HTTP client followed a redirect, and passed the request's credentials on.
#[derive(Debug)]
pub(super) struct RedirectFollowed;

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {:?}", self.limit)
    }
}

impl fmt::Display for ReadTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no complete response within {:?}", self.0)
    }
}

impl fmt::Display for ResolveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("name resolution failed")
    }
}

impl fmt::Display for TcpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no TCP connection")
    }
}

impl fmt::Display for NoIoDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tokio runtime has no I/O driver; build it with `enable_io()` or `enable_all()`")
    }
}

impl fmt::Display for UnusableProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no usable proxy for {}", self.host)
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

#[cfg(feature = "transport")]
impl fmt::Display for StaleConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other side has dropped an idle connection")
    }
}

impl fmt::Display for TooManyInterim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many interim responses")
    }
}

impl fmt::Display for RedirectFollowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a redirect was followed")
    }
}

impl StdError for ConnectTimeout {}
impl StdError for ReadTimeout {}
impl StdError for NoIoDriver {}
#[cfg(feature = "transport")]
impl StdError for StaleConnection {}
impl StdError for TooManyInterim {}
impl StdError for RedirectFollowed {}

impl StdError for UnusableProxy {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.fault.source()
    }
}

impl StdError for ResolveFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl StdError for TcpFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
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
