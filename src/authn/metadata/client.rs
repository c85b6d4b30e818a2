//! The two requests that lead to a document.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use zeroize::Zeroizing;

use super::provider::Provider;
use crate::error::{Error, ErrorKind};
use crate::percent;
use crate::secret::Secret;
use crate::transport::{self, Transport};

/// The service is on the same host as the machine: it answers at once, or is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const READ_TIMEOUT: Duration = Duration::from_secs(1);

const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN_LIFE: HeaderValue = HeaderValue::from_static("3600");

pub(super) fn transport() -> Transport {
    transport::direct(CONNECT_TIMEOUT, READ_TIMEOUT)
}

/// The service that is asked, and where.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) provider: &'static Provider,
    pub(super) address: &'a str,
}

impl Asked<'_> {
    /// A document, as the service gives it. Services that sign for an audience sign for the IDaaS instance,
    /// with this time as signing time.
    pub(super) async fn document(
        self,
        transport: &Transport,
        instance_id: &str,
        signing_time: u64,
    ) -> Result<Secret, Error> {
        let mut request = self.request(Method::PUT, TOKEN_PATH, "")?;
        // A PUT without it is refused by some servers (RFC 9110 section 8.6); hyper leaves it out.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let token = self.ask(transport, request, self.provider.life_header.clone(), TOKEN_LIFE).await?;
        let mut token = HeaderValue::from_str(token.expose_secret().trim())
            .ok()
            .filter(|token| !token.is_empty())
            .ok_or_else(|| {
                let problem = format!("{} gave no metadata token", self.shown());
                Error::new(
                    ErrorKind::InvalidAnswer,
                    format!("{problem}; check that nothing is in front of it"),
                )
            })?;
        token.set_sensitive(true);
        let query = match self.provider.signs_for_audience {
            true => format!("?audience={}", percent::encoded(&audience(instance_id, signing_time))),
            false => String::new(),
        };
        let request = self.request(Method::GET, self.provider.document_path, &query)?;
        self.ask(transport, request, self.provider.token_header.clone(), token).await
    }

    fn request(self, method: Method, path: &str, query: &str) -> Result<Request<Full<Bytes>>, Error> {
        let uri = format!("{}{path}{query}", self.address);
        Request::builder().method(method).uri(uri).body(Full::default()).map_err(|cause| {
            let problem = format!("no request to {} can be made; check the instance id", self.shown());
            Error::new(ErrorKind::Secret, problem).with_source(cause)
        })
    }

    /// The text of the answer, if it is a success.
    async fn ask(
        self,
        transport: &Transport,
        mut request: Request<Full<Bytes>>,
        name: HeaderName,
        value: HeaderValue,
    ) -> Result<Secret, Error> {
        request.headers_mut().insert(name, value);
        let target = format!("{} {}", request.method(), request.uri().path());
        let answer = transport.exchange(request).await.map_err(|cause| {
            let kind = transport::kind(&*cause);
            Error::new(kind, self.unless(&format!("{} does not answer {target}", self.shown())))
                .with_source(cause)
        })?;
        match answer.status() {
            StatusCode::OK => self.text(answer),
            status => Err(self.refused(status, &target)),
        }
    }

    fn text(self, answer: Response<Bytes>) -> Result<Secret, Error> {
        let bytes = Zeroizing::new(Vec::from(answer.into_body()));
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| {
            let problem = format!("the answer of {} is not text", self.shown());
            Error::new(ErrorKind::InvalidAnswer, format!("{problem}; check that nothing is in front of it"))
        })
    }

    fn refused(self, status: StatusCode, target: &str) -> Error {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
            status if status.is_server_error() => ErrorKind::Unavailable,
            _ => ErrorKind::Rejected,
        };
        let problem = format!("{} answered {target} with {status}", self.shown());
        Error::new(kind, self.unless(&problem)).with_status(status)
    }

    pub(super) fn shown(self) -> String {
        format!("{} at {}", self.provider.name, self.address)
    }

    /// Almost always the program runs in the wrong place.
    fn unless(self, problem: &str) -> String {
        let machine = self.provider.machine;
        format!(
            "{problem}; PKCS7 works on {machine} only, and in a container only if the instance's metadata hop \
             limit is 2 or more"
        )
    }
}

/// As the vendor's own clients write it, blanks included: what is signed may be compared as text.
fn audience(instance_id: &str, signing_time: u64) -> String {
    format!("{{\"aud\": {}, \"signingTime\": {signing_time}}}", Value::from(instance_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_is_encoded_as_the_vendors_clients_do() {
        assert_eq!(
            percent::encoded(&audience("idaas_fakeinstance0001", 1_795_448_962)).to_string(),
            "%7B%22aud%22%3A%20%22idaas_fakeinstance0001%22%2C%20%22signingTime%22%3A%201795448962%7D"
        );
    }

    #[test]
    fn no_instance_id_breaks_out_of_its_place() {
        assert_eq!(audience("a\"b\\", 1), r#"{"aud": "a\"b\\", "signingTime": 1}"#);
    }
}
