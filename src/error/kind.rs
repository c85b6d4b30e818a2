//! The kinds of [`Error`](super::Error).

/// What kind of failure an [`Error`](super::Error) is, by what its reader would do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A secret, key or token file could not be read: mend the variable or file that the message names.
    Secret,
    /// No connection to the issuer: DNS, TCP, proxy or TLS; the message tells which.
    Connect,
    /// The issuer, or the wait for it, took longer than configured.
    Timeout,
    /// The connection broke while a request was under way.
    Transport,
    /// The issuer refused: wrong credentials, a scope that is not granted. Waiting does not help.
    Rejected,
    /// The issuer, or something in front of it, cannot answer now: 429, 5xx, a proxy's page.
    Unavailable,
    /// The issuer's answer makes no sense: not JSON, no token in it, a redirect.
    InvalidAnswer,
    /// The request's destination may not receive a token: plain HTTP to another machine, or an origin that is
    /// not on the layer's list.
    Destination,
    /// There is no Tokio runtime to fetch on, or the one fetching was shut down.
    Runtime,
}

impl ErrorKind {
    /// Whether failures of this kind usually pass by themselves.
    pub(super) fn is_transient(self) -> bool {
        match self {
            Self::Connect | Self::Timeout | Self::Transport | Self::Unavailable | Self::InvalidAnswer => true,
            Self::Secret | Self::Rejected | Self::Destination | Self::Runtime => false,
        }
    }
}
