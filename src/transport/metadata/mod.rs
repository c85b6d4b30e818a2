//! The metadata service of the machine this program runs on: plain HTTP on its own link, and a token first.

mod provider;

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use zeroize::Zeroizing;

use self::provider::Provider;
pub(crate) use self::provider::{ALIBABA_CLOUD_ECS, AWS_EC2};
use crate::error::{ConfigFault, Error, ErrorKind};
use crate::secret::Secret;
use crate::transport::{self, Transport};

/// The service is on the same host as the machine: it answers at once, or is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const READ_TIMEOUT: Duration = Duration::from_secs(1);

const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN_LIFE: HeaderValue = HeaderValue::from_static("3600");

/// A metadata service, and how to reach it.
#[derive(Debug)]
pub(crate) struct MetadataService {
    provider: &'static Provider,
    /// `http://host`, without a path.
    address: String,
    /// What does not work without it, for messages: "PKCS7 works".
    purpose: &'static str,
    transport: Transport,
}

impl MetadataService {
    /// # Errors
    ///
    /// When the address, if one is given, is not that of a metadata service.
    pub(crate) fn new(
        provider: &'static Provider,
        address: Option<&str>,
        purpose: &'static str,
    ) -> Result<Self, ConfigFault> {
        let address = address.map_or_else(|| Ok(provider.address.to_owned()), checked)?;
        let transport = transport::direct(CONNECT_TIMEOUT, READ_TIMEOUT);
        Ok(Self { provider, address, purpose, transport })
    }

    /// Gets a token, for the requests that follow at once.
    pub(crate) async fn session(&self) -> Result<Session<'_>, Error> {
        let mut request = self.request(Method::PUT, TOKEN_PATH)?;
        // A PUT without it is refused by some servers (RFC 9110 section 8.6); hyper leaves it out.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let answer = self.ask(request, &self.provider.life_header, TOKEN_LIFE).await?;
        let token = self.text(answer)?;
        let token = HeaderValue::from_str(token.expose_secret().trim()).ok();
        let mut token = token.filter(|token| !token.is_empty()).ok_or_else(|| {
            let problem = format!("{} gave no metadata token", self.shown());
            Error::new(ErrorKind::InvalidResponse, format!("{problem}; check that nothing is in front of it"))
        })?;
        token.set_sensitive(true);
        Ok(Session { service: self, token })
    }

    /// The text of an answer.
    pub(crate) fn text(&self, answer: Response<Bytes>) -> Result<Secret, Error> {
        let bytes = Zeroizing::new(Vec::from(answer.into_body()));
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| {
            let problem = format!("the answer of {} is not text", self.shown());
            Error::new(ErrorKind::InvalidResponse, format!("{problem}; check that nothing is in front of it"))
        })
    }

    pub(crate) fn shown(&self) -> String {
        format!("{} at {}", self.provider.name, self.address)
    }

    fn request(&self, method: Method, target: &str) -> Result<Request<Full<Bytes>>, Error> {
        let uri = format!("{}{target}", self.address);
        Request::builder().method(method).uri(uri).body(Full::default()).map_err(|cause| {
            let problem = format!("no request to {} can be made; check what is asked for", self.shown());
            Error::new(ErrorKind::Credential, problem).with_source(cause)
        })
    }

    /// The answer, if it is a success.
    async fn ask(
        &self,
        mut request: Request<Full<Bytes>>,
        name: &HeaderName,
        value: HeaderValue,
    ) -> Result<Response<Bytes>, Error> {
        request.headers_mut().insert(name.clone(), value);
        let target = format!("{} {}", request.method(), request.uri().path());
        let answer = self.transport.exchange(request).await.map_err(|cause| {
            let kind = transport::kind(&*cause);
            Error::new(kind, self.unless(&format!("{} does not answer {target}", self.shown())))
                .with_source(cause)
        })?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            status => Err(self.refused(status, &target)),
        }
    }

    fn refused(&self, status: StatusCode, target: &str) -> Error {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
            status if status.is_server_error() => ErrorKind::Unavailable,
            _ => ErrorKind::Refused,
        };
        let problem = format!("{} answered {target} with {status}", self.shown());
        Error::new(kind, self.unless(&problem)).with_status(status)
    }

    /// Almost always the program runs in the wrong place.
    fn unless(&self, problem: &str) -> String {
        let Self { provider: Provider { machine, .. }, purpose, .. } = self;
        format!(
            "{problem}; {purpose} on {machine} only, and in a container only if the instance's metadata hop limit \
             is 2 or more"
        )
    }
}

/// A service that has given a token.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    service: &'a MetadataService,
    token: HeaderValue,
}

impl Session<'_> {
    /// The token that goes with each request: for what must not be shown when an answer echoes it.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code, reason = "used by the Alibaba Cloud side"))]
    pub(crate) fn expose_token(&self) -> &str {
        self.token.to_str().unwrap_or_default()
    }

    /// What is at this path, with its query if it has one.
    pub(crate) async fn get(&self, target: &str) -> Result<Response<Bytes>, Error> {
        let request = self.service.request(Method::GET, target)?;
        self.service.ask(request, &self.service.provider.token_header, self.token.clone()).await
    }
}

/// `http://host[:port]`, without a slash at the end.
fn checked(address: &str) -> Result<String, ConfigFault> {
    let is_good = |uri: &Uri| {
        uri.scheme_str() == Some("http")
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
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
        for address in ["", "127.0.0.1", "https://a", "http://", "http://a/b", "http://a?b", "http://u:p@a"] {
            assert!(checked(address).unwrap_err().to_string().contains("metadata_address"), "{address}");
        }
    }
}
