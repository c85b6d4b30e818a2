//! `--fault`: what goes wrong where tokens are requested.

use std::time::Duration;

use clap::ValueEnum;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use tower_idaas_testing::{Behaviour, ServerCertificate};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fault {
    /// 503 to each token request
    Unavailable,
    /// 429 to each token request, with Retry-After: 2; for method plugin, Throttling.User with x-acs-retry-after: 2000
    Throttled,
    /// `invalid_client` to each token request; for method plugin, an access key that is not known
    InvalidClient,
    /// Each response takes 3 seconds
    Slow,
    /// Connections are accepted, and no byte is ever sent on them
    Hang,
    /// Each response ends in the middle
    CutOff,
    /// The server's certificate is signed by an authority that clients do not trust
    UnknownAuthority,
    /// The server's certificate has expired
    ExpiredCertificate,
}

impl Fault {
    /// What the server shows in its TLS handshake.
    pub(super) fn certificate(self) -> Option<ServerCertificate> {
        match self {
            Self::UnknownAuthority => Some(ServerCertificate::UnknownAuthority),
            Self::ExpiredCertificate => Some(ServerCertificate::Expired),
            _ => None,
        }
    }

    /// At the OpenAPI, whose refusals have another form.
    pub(super) fn of_open_api(self) -> Option<Behaviour> {
        match self {
            Self::Throttled => Some(Behaviour::throttled(Duration::from_secs(2))),
            Self::InvalidClient => {
                Some(Behaviour::openapi_error(StatusCode::NOT_FOUND, "InvalidAccessKeyId.NotFound"))
            }
            fault => fault.of_token_endpoint(),
        }
    }

    /// `None` for those of the certificate.
    pub(super) fn of_token_endpoint(self) -> Option<Behaviour> {
        Some(match self {
            Self::Unavailable => Behaviour::status(StatusCode::SERVICE_UNAVAILABLE),
            Self::Throttled => Behaviour::status(StatusCode::TOO_MANY_REQUESTS)
                .with_header(RETRY_AFTER, HeaderValue::from_static("2")),
            Self::InvalidClient => Behaviour::code(StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::Slow => Behaviour::Slow(Duration::from_secs(3)),
            Self::Hang => Behaviour::HangHandshake,
            Self::CutOff => Behaviour::CutMidBody,
            Self::UnknownAuthority | Self::ExpiredCertificate => return None,
        })
    }
}
