//! A signed call of an RPC-style OpenAPI: all parameters in the query, an empty body.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use crate::aliyun::Credential;
use crate::aliyun::profile::{OpenApi, blames_clock};
use crate::aliyun::signature::{Signable, canonical_query, sha256_hex};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::token::Skew;
use crate::transport::{SingleUse, Transport};
use crate::wire::call::{ApiCall, ApiResponse};
use crate::wire::time::rfc3339_text;

/// The called action and its parameters.
pub(crate) struct SignedCall<'a> {
    /// Only scheme, host and port are used.
    pub(crate) endpoint: &'a Uri,
    /// The action, such as `GenerateOauthToken`.
    pub(crate) action: &'static str,
    /// The API's version, a date.
    pub(crate) version: &'static str,
    /// The parameters in any order. Servers log them.
    pub(crate) parameters: Vec<(Cow<'static, str>, Cow<'a, str>)>,
    /// The values of parameters that must not be shown.
    pub(crate) secrets: Vec<&'a str>,
    /// The scope of the call, for messages; may be empty.
    pub(crate) scope: &'a str,
    pub(crate) profile: OpenApi,
}

/// The sender of all calls of one API.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) transport: Transport,
    pub(crate) clock: Clock,
    /// The skew between the API's clock and this machine's.
    pub(crate) skew: Skew,
}

impl SignedCall<'_> {
    /// Signs the call, sends it, and passes a success to `read`. When the API refuses the timestamp and its response
    /// shows the API's time, the call is repeated once with that time.
    ///
    /// # Errors
    ///
    /// When the call fails on the way, the API refuses it, or `read` cannot use the response.
    pub(crate) async fn send<T>(
        &self,
        credential: &Credential,
        channel: &Channel,
        read: impl Fn(&ApiResponse<'_>) -> Result<T, Error> + Sync,
    ) -> Result<T, Error> {
        let blames_clock = |error: &Error| error.code().is_some_and(blames_clock);
        channel
            .skew
            .corrected(blames_clock, |correction| {
                let now = correction.apply(channel.clock.now().system_time());
                self.attempt(credential, channel, now, &read)
            })
            .await
    }

    /// Signs and sends the call. If the connection turns out to be stale, the call is signed again: the API may have
    /// received the first request, and accepts a nonce only once.
    async fn attempt<T>(
        &self,
        credential: &Credential,
        channel: &Channel,
        now: SystemTime,
        read: &(impl Fn(&ApiResponse<'_>) -> Result<T, Error> + Sync),
    ) -> Result<T, Error> {
        let single_use = SingleUse::default();
        let result = self.send_once(credential, channel, now, &single_use, read).await;
        if !single_use.was_stale() {
            return result;
        }
        self.send_once(credential, channel, now, &SingleUse::on_new_connection(), read).await
    }

    async fn send_once<T>(
        &self,
        credential: &Credential,
        channel: &Channel,
        now: SystemTime,
        single_use: &SingleUse,
        read: &(impl Fn(&ApiResponse<'_>) -> Result<T, Error> + Sync),
    ) -> Result<T, Error> {
        let mut request = self.request(credential, now, &nonce()?)?;
        single_use.mark(&mut request);
        let secrets = secrets(credential, request.headers());
        let endpoint = self.display_endpoint();
        let exposed = secrets.iter().map(Secret::expose_secret).chain(self.secrets.iter().copied());
        let values = self.parameters.iter().map(|(_, value)| &**value);
        let public = values.filter(|value| !self.secrets.contains(value));
        let call =
            ApiCall::new(&self.profile, &endpoint, self.scope, &channel.clock, exposed).with_public(public);
        let response = call.send(request, |request| channel.transport.send(request, &endpoint)).await?;
        read(&response)
    }

    /// The signed request. Only `host` and the API's own headers are signed, because a proxy may change others.
    pub(crate) fn request(
        &self,
        credential: &Credential,
        now: SystemTime,
        nonce: &str,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let (scheme, host) = self.origin();
        let date = rfc3339_text(now);
        let body_hash = sha256_hex(b"");
        let mut headers = vec![
            ("host", host.as_str()),
            ("x-acs-action", self.action),
            ("x-acs-version", self.version),
            ("x-acs-date", date.as_str()),
            ("x-acs-signature-nonce", nonce),
            ("x-acs-content-sha256", body_hash.as_str()),
        ];
        if let Some(token) = &credential.security_token {
            headers.push(("x-acs-accesskey-id", &credential.access_key_id));
            headers.push(("x-acs-security-token", token.expose_secret()));
        }
        let query: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        let signable =
            Signable { method: "POST", path: "/", query: &query, headers: &headers, body_hash: &body_hash };

        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            format!("{scheme}://{host}/?{}", canonical_query(&query)).parse().map_err(|cause| {
                let problem = format!("no request to {} can be made", self.display_endpoint());
                Error::new(ErrorKind::Credential, format!("{problem}; check its address and parameters"))
                    .with_source(http::Error::from(cause))
            })?;
        request.headers_mut().insert(AUTHORIZATION, signable.authorization(credential)?);
        // The HTTP implementation sends the host as its version requires.
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
            request.headers_mut().insert(HeaderName::from_static(name), value_of(name, value, credential)?);
        }
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Some servers refuse a POST without it (RFC 9110 section 8.6), and hyper omits it.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Ok(request)
    }

    /// The scheme, and the authority as in a `Host` header: without the scheme's default port.
    fn origin(&self) -> (&str, String) {
        let scheme = self.endpoint.scheme_str().unwrap_or("https");
        let host = self.endpoint.host().unwrap_or_default().to_ascii_lowercase();
        match (scheme, self.endpoint.port_u16()) {
            (_, None) | ("https", Some(443)) | ("http", Some(80)) => (scheme, host),
            (_, Some(port)) => (scheme, format!("{host}:{port}")),
        }
    }

    fn display_endpoint(&self) -> String {
        let (scheme, host) = self.origin();
        format!("{scheme}://{host}/ ({})", self.action)
    }
}

/// A header's value, marked sensitive if it is part of the credential.
fn value_of(name: &str, value: &str, credential: &Credential) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(value).map_err(|_| {
        let provider = credential.provider;
        let problem = format!("the credential of source `{provider}` does not fit into header `{name}`");
        Error::new(ErrorKind::Credential, format!("{problem}; check it for stray characters"))
    })?;
    header.set_sensitive(name == "x-acs-security-token");
    Ok(header)
}

/// The secrets that a response may echo.
fn secrets(credential: &Credential, headers: &HeaderMap) -> Vec<Secret> {
    let Credential { access_key_id, access_key_secret, security_token, provider: _ } = credential;
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The rest of the header has only the algorithm and the names of the signed headers, which refusals mention.
    let signature = authorization.and_then(|value| value.rsplit_once('=')).map(|(_, signature)| signature);
    let signature = signature.into_iter().map(Secret::new);
    let id = Secret::new(access_key_id.as_str());
    [id, access_key_secret.clone()].into_iter().chain(security_token.clone()).chain(signature).collect()
}

/// A number used for one request, unpredictable before it is sent.
fn nonce() -> Result<String, Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Runtime, "the system gives no random numbers; try again"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

impl fmt::Debug for SignedCall<'_> {
    /// Parameter values are left out: one may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.parameters.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("SignedCall")
            .field("endpoint", &self.display_endpoint())
            .field("parameters", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn credential(token: Option<&str>) -> Credential {
        Credential {
            access_key_id: "STS.marker".into(),
            access_key_secret: Secret::new("S3CRETmarker"),
            security_token: token.map(Secret::new),
            provider: "env",
        }
    }

    fn request(endpoint: &str, credential: &Credential) -> Result<Request<Full<Bytes>>, Error> {
        let call = SignedCall {
            endpoint: &endpoint.parse().unwrap(),
            action: "AssumeRole",
            version: "2015-04-01",
            parameters: vec![("RoleArn".into(), "acs:ram::1:role/x y".into()), ("A".into(), "b".into())],
            secrets: Vec::new(),
            scope: "",
            profile: OpenApi { permission: None, exchange: false },
        };
        call.request(credential, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), "nonce-1")
    }

    #[test]
    fn everything_is_in_the_query_and_every_header_of_the_apis_own_is_signed() {
        let request = request("https://STS.example.com:443/", &credential(Some("T0KEN/marker=="))).unwrap();
        assert_eq!(request.uri(), "https://sts.example.com/?A=b&RoleArn=acs%3Aram%3A%3A1%3Arole%2Fx%20y");
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-acs-date"), "2023-11-14T22:13:20Z");
        assert_eq!(header("x-acs-security-token"), "T0KEN/marker==");
        assert_eq!(header("content-length"), "0");
        let signed = "host;x-acs-accesskey-id;x-acs-action;x-acs-content-sha256;x-acs-date;\
                      x-acs-security-token;x-acs-signature-nonce;x-acs-version";
        let start = format!("ACS3-HMAC-SHA256 Credential=STS.marker,SignedHeaders={signed},Signature=");
        assert!(header("authorization").starts_with(&start), "{}", header("authorization"));
        let shown = format!("{request:?}");
        assert!(!shown.contains("T0KEN") && !shown.contains("Signature="), "{shown}");
        let names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        let own: Vec<&str> = names.into_iter().filter(|name| name.starts_with("x-acs-")).collect();
        assert!(own.len() == 7 && own.iter().all(|name| signed.contains(name)), "{own:?}");
    }

    #[test]
    fn a_permanent_key_shows_no_header_of_temporary_ones() {
        let request = request("http://localhost:8080", &credential(None)).unwrap();
        assert_eq!(request.uri().authority().unwrap(), "localhost:8080");
        assert!(!request.headers().contains_key("x-acs-accesskey-id"));
        assert!(!request.headers().contains_key("x-acs-security-token"));
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_named_and_not_shown() {
        let error = request("https://h", &credential(Some("T0KEN\r\nx: y"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credential);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("x-acs-security-token") && !shown.contains("T0KEN"), "{shown}");
    }

    #[test]
    fn no_nonce_comes_twice() {
        let nonces: std::collections::HashSet<String> = (0..1_000).map(|_| nonce().unwrap()).collect();
        assert_eq!(nonces.len(), 1_000);
        assert!(nonces.iter().all(|nonce| nonce.len() == 32));
    }
}
