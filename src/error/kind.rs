//! The kinds of [`Error`](super::Error).

/// The kind of an [`Error`](super::Error), which says what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A secret, key, certificate or token file is missing or unusable: correct the variable or file that the message
    /// names.
    Credential,
    /// No connection to the server: DNS, TCP, proxy or TLS; the message says which.
    Connect,
    /// The server, or the wait for a token, took longer than configured.
    Timeout,
    /// The connection broke while a request was in flight.
    Transport,
    /// The server refused: wrong credentials, or a scope that is not granted. Waiting does not help.
    Refused,
    /// A user must consent at a third party before IDaaS can get its token: `aliyun::ConsentRequired` has the address.
    ConsentRequired,
    /// The server, or a gateway in front of it, is temporarily unavailable: 429, 5xx, a gateway's page.
    Unavailable,
    /// The response cannot be used: not JSON, no token in it, a redirect.
    InvalidResponse,
    /// The request's destination may not receive a token: plain HTTP to another machine, or an origin that is not
    /// on the layer's list.
    Destination,
    /// The operation is not supported by this source or with this configuration. Nothing was sent.
    Unsupported,
    /// Too many token requests are in flight or queued. Nothing was sent; try again later.
    Overloaded,
    /// There is no Tokio runtime to fetch on, or the fetch's runtime was shut down.
    Runtime,
}

impl ErrorKind {
    /// Whether failures of this kind are usually temporary.
    pub(super) fn is_transient(self) -> bool {
        match self {
            Self::Connect
            | Self::Timeout
            | Self::Transport
            | Self::Unavailable
            | Self::InvalidResponse
            | Self::Overloaded => true,
            Self::Credential
            | Self::Refused
            | Self::ConsentRequired
            | Self::Destination
            | Self::Unsupported
            | Self::Runtime => false,
        }
    }
}
