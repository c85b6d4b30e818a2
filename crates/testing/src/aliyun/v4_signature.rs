//! Verifies a signature of object storage, in version 4, from what was received alone: that of OSS and that of S3, which
//! differ in names.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, StatusCode, request};

use crate::aliyun::access_key::{AccessKey, AccessKeys};
use crate::aliyun::acs3::{hex, percent_decoded, percent_encoded, seconds};
use tower_idaas::clock::Clock;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// How far a request's date may be from the server's.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// What each cloud calls the parts of the signature.
struct Dialect {
    algorithm: &'static str,
    /// The beginning of the names of the API's own headers, all of which have to be signed.
    headers: &'static str,
    /// What the secret is prefixed with to make the first key.
    key: &'static str,
    service: &'static str,
    end: &'static str,
    /// The part of `Authorization` that names headers.
    named: &'static str,
    /// Headers that are signed wherever they are sent, and not named.
    unnamed: &'static [&'static str],
    /// What follows a query parameter without a value.
    no_value: &'static str,
}

const DIALECTS: [Dialect; 2] = [
    Dialect {
        algorithm: "OSS4-HMAC-SHA256",
        headers: "x-oss-",
        key: "aliyun_v4",
        service: "oss",
        end: "aliyun_v4_request",
        named: "AdditionalHeaders",
        unnamed: &["content-md5", "content-type"],
        no_value: "",
    },
    Dialect {
        algorithm: "AWS4-HMAC-SHA256",
        headers: "x-amz-",
        key: "AWS4",
        service: "s3",
        end: "aws4_request",
        named: "SignedHeaders",
        unnamed: &[],
        no_value: "=",
    },
];

/// The code of a refusal, and a text for the reader of a failed test.
pub(crate) type Refusal = (StatusCode, &'static str, String);

pub(crate) struct V4Verifier {
    pub(crate) keys: Arc<AccessKeys>,
    pub(crate) clock: Clock,
    pub(crate) region: &'static str,
}

/// The `Authorization` header.
struct Authorization<'a> {
    dialect: &'static Dialect,
    /// Access key id, day, region, service, end.
    credential: [&'a str; 5],
    named: Vec<&'a str>,
    signature: &'a str,
}

impl V4Verifier {
    /// The key that signed the request.
    pub(crate) fn verify(&self, head: &request::Parts, body: &Bytes) -> Result<AccessKey, Refusal> {
        let authorization = Authorization::of(&head.headers)?;
        let dialect = authorization.dialect;
        let own = |name: &str| required(&head.headers, &format!("{}{name}", dialect.headers));
        let date = own("date")?;
        self.check_date(date)?;
        let scope = authorization.scope();
        if scope != [date.get(..8).unwrap_or_default(), self.region, dialect.service, dialect.end] {
            return Err(malformed(format!("the credential's scope is {}", scope.join("/"))));
        }
        let [id, ..] = authorization.credential;
        let key = self.keys.get(id).ok_or_else(|| {
            let text = "the access key is not known here".to_owned();
            (StatusCode::FORBIDDEN, "InvalidAccessKeyId", text)
        })?;
        let hash = own("content-sha256")?;
        if hash != UNSIGNED && hash != sha256(body) {
            return Err(malformed("the hash is not that of the body"));
        }
        let canonical = authorization.canonical_request(head, hash)?;
        if authorization.expected(&canonical, key.secret.expose_secret(), date) != authorization.signature {
            let text = format!("the signature does not match; the server's canonical request is {canonical}");
            return Err((StatusCode::FORBIDDEN, "SignatureDoesNotMatch", text));
        }
        self.check_security_token(&key, own("security-token").ok())?;
        Ok(key)
    }

    fn check_date(&self, date: &str) -> Result<(), Refusal> {
        // The basic format of ISO 8601, made the extended one.
        let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default();
        let [year, month, day] = [part(0..4), part(4..6), part(6..8)];
        let [hour, minute, second] = [part(8..11), part(11..13), part(13..16)];
        let date = seconds(&format!("{year}-{month}-{day}{hour}:{minute}:{second}"))
            .ok_or_else(|| malformed("expected a date such as 20060102T150405Z"))?;
        let now = self.clock.now().system_time();
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        match date.abs_diff(now) <= TOLERANCE.as_secs() {
            true => Ok(()),
            false => Err((StatusCode::FORBIDDEN, "RequestTimeTooSkewed", "the date is too far off".into())),
        }
    }

    fn check_security_token(&self, key: &AccessKey, sent: Option<&str>) -> Result<(), Refusal> {
        let refused = |code, text: &str| Err((StatusCode::FORBIDDEN, code, text.to_owned()));
        if key.security_token.as_ref().map(|token| token.expose_secret()) != sent {
            return refused("InvalidSecurityToken", "the security token is not that of the access key");
        }
        if key.expires_at.is_some_and(|end| end <= self.clock.now().system_time()) {
            return refused("SecurityTokenExpired", "the security token is expired");
        }
        Ok(())
    }
}

impl<'a> Authorization<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let value = required(headers, AUTHORIZATION.as_str())?;
        let (algorithm, rest) = value.split_once(' ').unwrap_or((value, ""));
        let dialect = DIALECTS.iter().find(|dialect| dialect.algorithm == algorithm);
        let dialect = dialect.ok_or_else(|| malformed("expected a signature of version 4"))?;
        let part = |wanted: &str| {
            let mut parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
            parts.find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        let missing = |name: &str| malformed(format!("`Authorization` has no {name}"));
        let credential = part("Credential").ok_or_else(|| missing("Credential"))?;
        let credential: Vec<&str> = credential.split('/').collect();
        let names = part(dialect.named).unwrap_or_default();
        Ok(Self {
            dialect,
            credential: credential
                .try_into()
                .map_err(|_| malformed("the credential is not of five parts"))?,
            named: names.split(';').filter(|name| !name.is_empty()).collect(),
            signature: part("Signature").ok_or_else(|| missing("Signature"))?,
        })
    }

    fn scope(&self) -> [&'a str; 4] {
        let [_, day, region, service, end] = self.credential;
        [day, region, service, end]
    }

    /// The signature that this secret makes.
    fn expected(&self, canonical: &str, secret: &str, date: &str) -> String {
        let (dialect, scope) = (self.dialect, self.scope());
        let hash = sha256(canonical.as_bytes());
        let to_sign = format!("{}\n{date}\n{}\n{hash}", dialect.algorithm, scope.join("/"));
        let first = format!("{}{secret}", dialect.key).into_bytes();
        let key = scope.iter().fold(first, |key, part| hmac_sha256(&key, part));
        hex(&hmac_sha256(&key, &to_sign))
    }

    fn canonical_request(&self, head: &request::Parts, hash: &str) -> Result<String, Refusal> {
        let Self { dialect, named, .. } = self;
        if !named.is_sorted_by(|one, next| one < next) {
            return Err(malformed("the names of signed headers are not in order"));
        }
        let is_own = |name: &str| name.starts_with(dialect.headers) || dialect.unnamed.contains(&name);
        let mut own: Vec<&str> =
            head.headers.keys().map(|name| name.as_str()).filter(|name| is_own(name)).collect();
        if dialect.named == "SignedHeaders" {
            let must = own.iter().copied().chain([HOST.as_str()]);
            if let Some(name) = must.into_iter().find(|name| !named.contains(name)) {
                return Err(malformed(format!("header `{name}` is not signed")));
            }
        }
        own.extend(named);
        own.sort_unstable();
        own.dedup();
        let mut headers = String::new();
        for name in own {
            headers += &format!("{name}:{}\n", required(&head.headers, name)?.trim());
        }
        let path = encoded(head.uri.path(), '/')?;
        let query = self.canonical_query(head.uri.query().unwrap_or_default())?;
        let names = named.join(";");
        Ok(format!("{}\n{path}\n{query}\n{headers}\n{names}\n{hash}", head.method))
    }

    fn canonical_query(&self, query: &str) -> Result<String, Refusal> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let sign = if value.is_empty() { self.dialect.no_value } else { "=" };
            pairs.push(format!("{}{sign}{}", encoded(name, '\0')?, encoded(value, '\0')?));
        }
        pairs.sort();
        Ok(pairs.join("&"))
    }
}

/// The text, decoded and encoded in the one way that is signed; the separator stays as it is.
fn encoded(text: &str, separator: char) -> Result<String, Refusal> {
    let parts = text.split(separator).map(percent_decoded);
    let parts: Option<Vec<Vec<u8>>> = parts.collect();
    let parts = parts.ok_or_else(|| malformed("the address is malformed"))?;
    let parts: Vec<String> = parts.iter().map(|part| percent_encoded(part)).collect();
    Ok(parts.join(&separator.to_string()))
}

/// The value of a header that is there once.
fn required<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        (None, _) => Err(malformed(format!("header `{name}` is missing"))),
        _ => Err(malformed(format!("header `{name}` is repeated or no text"))),
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn malformed(text: impl Into<String>) -> Refusal {
    (StatusCode::BAD_REQUEST, "InvalidArgument", text.into())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// The example in the documentation of S3, "Signature Calculations for the Authorization Header".
    #[test]
    fn the_published_example_verifies_and_a_change_of_it_does_not() {
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        const DATE: &str = "20130524T000000Z";
        let signed = |path: &str, secret: &str| {
            let request = Request::get(path)
                .header("host", "examplebucket.s3.amazonaws.com")
                .header("range", "bytes=0-9")
                .header("x-amz-content-sha256", EMPTY)
                .header("x-amz-date", DATE)
                .header(
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                     SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                     Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                );
            let (head, ()) = request.body(()).unwrap().into_parts();
            let authorization = Authorization::of(&head.headers).unwrap();
            let canonical = authorization.canonical_request(&head, EMPTY).unwrap();
            authorization.expected(&canonical, secret, DATE) == authorization.signature
        };
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert!(signed("/test.txt", secret));
        assert!(!signed("/test2.txt", secret) && !signed("/test.txt", "another"));
    }

    #[test]
    fn a_header_of_the_api_that_is_not_signed_is_refused() {
        let request = Request::get("/b/o").header("host", "h").header("x-amz-date", "d").header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, SignedHeaders=host, Signature=0",
        );
        let (head, ()) = request.body(()).unwrap().into_parts();
        let (_, _, text) =
            Authorization::of(&head.headers).unwrap().canonical_request(&head, "").unwrap_err();
        assert_eq!(text, "header `x-amz-date` is not signed");
    }
}
