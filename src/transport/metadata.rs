//! The metadata service of the machine that this program runs on: plain HTTP on its own link.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{BoxError, ConfigFault, Error, ErrorKind};
use crate::host::has_usable_port;
use crate::secret::Secret;
use crate::transport::client::direct;
use crate::transport::error::{is_unreachable, kind};
use crate::transport::send::Transport;
use crate::wire::time;

/// The service is on the same host as the machine: it responds at once, or is absent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const READ_TIMEOUT: Duration = Duration::from_secs(1);

const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN_LIFE: HeaderValue = HeaderValue::from_static("3600");

/// A cloud's metadata service.
#[derive(Debug)]
pub(crate) struct Provider {
    /// The service's name, for messages.
    name: &'static str,
    /// The machine on which the service exists, for messages.
    machine: &'static str,
    address: &'static str,
    access: Access,
}

/// What each request carries, so that a request forged from outside, which cannot set a header, gets nothing.
#[derive(Debug)]
enum Access {
    /// A token that the service issues first (`PUT /latest/api/token`).
    ///
    /// Where no token can be had, because the service is older or a container is one hop too far for a response to a
    /// PUT, data are requested without it, as the vendors' own clients do, unless a variable forbids that.
    Token(TokenFirst),
    /// A header that is always the same.
    Header(HeaderName, HeaderValue),
}

#[derive(Debug)]
struct TokenFirst {
    /// The header that sets how long the token lives.
    life_header: HeaderName,
    /// The header that carries the token.
    token_header: HeaderName,
    /// The variable that forbids requests without a token when it is `true`.
    only_with_token: &'static str,
}

pub(crate) static ALIBABA_CLOUD_ECS: Provider = Provider {
    name: "the ECS metadata service",
    machine: "an ECS instance",
    address: "http://100.100.100.200",
    access: Access::Token(TokenFirst {
        life_header: HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds"),
        token_header: HeaderName::from_static("x-aliyun-ecs-metadata-token"),
        only_with_token: "ALIBABA_CLOUD_IMDSV1_DISABLED",
    }),
};

pub(crate) static AWS_EC2: Provider = Provider {
    name: "the EC2 metadata service",
    machine: "an EC2 instance",
    address: "http://169.254.169.254",
    access: Access::Token(TokenFirst {
        life_header: HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"),
        token_header: HeaderName::from_static("x-aws-ec2-metadata-token"),
        only_with_token: "AWS_EC2_METADATA_V1_DISABLED",
    }),
};

pub(crate) static AZURE: Provider = Provider {
    name: "the Azure metadata service",
    machine: "an Azure virtual machine",
    address: "http://169.254.169.254",
    access: Access::Header(HeaderName::from_static("metadata"), HeaderValue::from_static("true")),
};

pub(crate) static GOOGLE_CLOUD: Provider = Provider {
    name: "the Google Cloud metadata service",
    machine: "a Google Cloud machine",
    address: "http://metadata.google.internal",
    access: Access::Header(HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google")),
};

/// A metadata service, and how to reach it.
#[derive(Debug)]
pub(crate) struct MetadataService {
    provider: &'static Provider,
    /// `http://host`, without a path.
    address: String,
    /// What depends on it, for messages: "PKCS7 works".
    purpose: &'static str,
    transport: Transport,
}

impl MetadataService {
    /// # Errors
    ///
    /// When the address, if one is set, is not that of a metadata service.
    pub(crate) fn new(
        provider: &'static Provider,
        address: Option<&str>,
        purpose: &'static str,
    ) -> Result<Self, ConfigFault> {
        let address = address.map_or_else(|| Ok(provider.address.to_owned()), checked)?;
        let transport = direct(CONNECT_TIMEOUT, READ_TIMEOUT);
        Ok(Self { provider, address, purpose, transport })
    }

    /// Gets a token for the requests that follow at once, or begins a session without one.
    pub(crate) async fn session(&self, environment: &Environment) -> Result<Session<'_>, Error> {
        let access = match &self.provider.access {
            Access::Token(access) => access,
            Access::Header(name, value) => {
                return Ok(Session { service: self, name, token: Ok(value.clone()) });
            }
        };
        match self.token(access).await? {
            Err(failure) if failure.is_unreachable || access.is_forbidden_without(environment) => {
                Err(self.error(failure.what.clone(), failure))
            }
            token => Ok(Session { service: self, name: &access.token_header, token }),
        }
    }

    async fn token(&self, access: &TokenFirst) -> Result<Result<HeaderValue, Failure>, Error> {
        let mut request = self.request(Method::PUT, TOKEN_PATH)?;
        // Some servers refuse a PUT without it (RFC 9110 section 8.6); hyper leaves it out.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        request.headers_mut().insert(access.life_header.clone(), TOKEN_LIFE);
        let response = match self.send(request).await {
            Ok(response) => response,
            Err(failure) => return Ok(Err(failure)),
        };
        let token = self.text(response).ok();
        let token = token.and_then(|token| HeaderValue::from_str(token.expose_secret().trim()).ok());
        Ok(match token.filter(|token| !token.is_empty()) {
            Some(mut token) => {
                token.set_sensitive(true);
                Ok(token)
            }
            None => Err(Failure {
                what: format!("gave no metadata token for PUT {TOKEN_PATH}"),
                kind: ErrorKind::InvalidResponse,
                status: None,
                retry_after: None,
                cause: None,
                is_unreachable: false,
            }),
        })
    }

    /// The text of a response.
    pub(crate) fn text(&self, response: Response<Bytes>) -> Result<Secret, Error> {
        let bytes = Zeroizing::new(Vec::from(response.into_body()));
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| {
            let problem = format!("the response of {} is not text", self.display_address());
            Error::new(ErrorKind::InvalidResponse, format!("{problem}; check that nothing is in front of it"))
        })
    }

    pub(crate) fn display_address(&self) -> String {
        format!("{} at {}", self.provider.name, self.address)
    }

    fn request(&self, method: Method, target: &str) -> Result<Request<Full<Bytes>>, Error> {
        let uri = format!("{}{target}", self.address);
        Request::builder().method(method).uri(uri).body(Full::default()).map_err(|cause| {
            let problem = format!(
                "cannot make a request to {}; check its address and the requested resource",
                self.display_address()
            );
            Error::new(ErrorKind::Credential, problem).with_source(cause)
        })
    }

    /// The response, if it is a success.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
        let target = format!("{} {}", request.method(), request.uri().path());
        let response = self.transport.exchange(request).await.map_err(|cause| Failure {
            what: format!("does not respond to {target}"),
            kind: kind(&*cause),
            status: None,
            retry_after: None,
            is_unreachable: is_unreachable(&*cause),
            cause: Some(cause),
        })?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let may_pass = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        Err(Failure {
            what: format!("responded to {target} with {status}"),
            kind: if may_pass { ErrorKind::Unavailable } else { ErrorKind::Refused },
            status: Some(status),
            retry_after: time::retry_after(response.headers(), Clock::System.now().system_time()),
            cause: None,
            is_unreachable: false,
        })
    }

    /// The usual cause is that the program runs on the wrong machine.
    fn error(&self, what: String, failure: Failure) -> Error {
        let Self { provider: Provider { machine, access, .. }, purpose, .. } = self;
        let in_container = match access {
            Access::Token(_) => ", and in a container only if the instance's metadata hop limit is 2 or more",
            Access::Header(..) => "",
        };
        let message = format!("{} {what}; {purpose} on {machine} only{in_container}", self.display_address());
        let Failure { kind, status, retry_after, cause, .. } = failure;
        let mut error = Error::new(kind, message);
        if let Some(status) = status {
            error = error.with_status(status);
        }
        if let Some(pause) = retry_after {
            error = error.with_retry_after(pause);
        }
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

impl TokenFirst {
    fn is_forbidden_without(&self, environment: &Environment) -> bool {
        let value = environment.text(self.only_with_token);
        value.is_some_and(|value| ["true", "1"].contains(&&*value.to_ascii_lowercase()))
    }
}

/// Why a request to this service failed.
#[derive(Debug)]
struct Failure {
    /// Follows the service's name.
    what: String,
    kind: ErrorKind,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    cause: Option<BoxError>,
    /// There was no connection, so another request would find none either.
    is_unreachable: bool,
}

/// Requests that follow each other at once.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    service: &'a MetadataService,
    /// The header of the token.
    name: &'a HeaderName,
    /// The token, or why there is none.
    token: Result<HeaderValue, Failure>,
}

impl Session<'_> {
    /// The token that each request carries, for redaction when a response echoes it. Empty when there is none.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code, reason = "used by the Alibaba Cloud side"))]
    pub(crate) fn expose_token(&self) -> &str {
        self.token.as_ref().ok().and_then(|token| token.to_str().ok()).unwrap_or_default()
    }

    /// The response at this path, with its query if it has one.
    pub(crate) async fn get(&self, target: &str) -> Result<Response<Bytes>, Error> {
        let mut request = self.service.request(Method::GET, target)?;
        if let Ok(token) = &self.token {
            request.headers_mut().insert(self.name.clone(), token.clone());
        }
        self.service.send(request).await.map_err(|failure| {
            let what = match &self.token {
                Ok(_) => failure.what.clone(),
                Err(no_token) => format!("{}, and without a token it {}", no_token.what, failure.what),
            };
            self.service.error(what, failure)
        })
    }
}

/// `http://host[:port]`, without a slash at the end.
fn checked(address: &str) -> Result<String, ConfigFault> {
    let is_good = |uri: &Uri| {
        uri.scheme_str() == Some("http")
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@') && has_usable_port(authority))
            && uri.path() == "/"
            && uri.query().is_none()
    };
    let address = address.trim();
    match address.parse::<Uri>() {
        Ok(uri) if is_good(&uri) => Ok(address.trim_end_matches('/').to_owned()),
        _ => Err(ConfigFault::new("metadata_address", "is not an address; expected `http://host:port`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_plain_http_host() {
        assert_eq!(checked("http://127.0.0.1:80/").unwrap(), "http://127.0.0.1:80");
        assert_eq!(checked(" http://[fd00:ec2::254] ").unwrap(), "http://[fd00:ec2::254]");
        for address in [
            "",
            "127.0.0.1",
            "https://a",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://u:p@a",
            "http://a:99999",
        ] {
            assert!(checked(address).unwrap_err().to_string().contains("metadata_address"), "{address}");
        }
    }
}
