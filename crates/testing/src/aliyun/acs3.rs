//! Verifies a signature of Alibaba Cloud's OpenAPI (ACS3-HMAC-SHA256), from what was received alone.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{StatusCode, request};

use crate::aliyun::access_key::{AccessKey, AccessKeys};
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use tower_idaas::clock::Clock;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// How far a request's date may be from the server's.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// Headers that every request has.
const REQUIRED: [&str; 5] =
    ["x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"];

/// Knows who may sign, and which nonces are used up.
#[derive(Debug)]
pub(crate) struct SignatureVerifier {
    keys: Arc<AccessKeys>,
    nonces: Mutex<HashSet<String>>,
    clock: Clock,
}

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    credential: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

impl SignatureVerifier {
    pub(crate) fn new(keys: Arc<AccessKeys>, clock: Clock) -> Self {
        Self { keys, nonces: Mutex::default(), clock }
    }

    /// The key that signed the request, which is used up with this.
    pub(crate) fn verify(&self, head: &request::Parts, body: &Bytes) -> Result<AccessKey, OpenApiRefusal> {
        let authorization = Authorization::of(head)?;
        authorization.check_what_is_signed(head)?;
        for name in REQUIRED {
            header(head, name)?;
        }
        let now = self.clock.now().system_time();
        check_date(header(head, "x-acs-date")?, now)?;
        let Some(key) = self.keys.get(authorization.credential) else {
            let text = "Specified access key is not found.";
            return Err(OpenApiRefusal::new(StatusCode::NOT_FOUND, "InvalidAccessKeyId.NotFound", text));
        };
        let body_hash = hex(digest::digest(&digest::SHA256, body).as_ref());
        if header(head, "x-acs-content-sha256")? != body_hash {
            return Err(bad("InvalidParameter.ContentSha256", "the hash is not that of the body"));
        }
        let canonical = authorization.canonical_request(head, &body_hash)?;
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, key.secret.expose_secret().as_bytes());
        let expected = hex(hmac::sign(&hmac_key, format!("{ALGORITHM}\n{hash}").as_bytes()).as_ref());
        if authorization.signature != expected {
            // Like the real thing, it tells what it has signed itself.
            let text = format!("the signature does not match; the server's canonical request is {canonical}");
            return Err(bad("SignatureDoesNotMatch", text));
        }
        check_security_token(head, &key, now)?;
        let nonce = header(head, "x-acs-signature-nonce")?.to_owned();
        match self.nonces.lock().unwrap_or_else(PoisonError::into_inner).insert(nonce) {
            true => Ok(key),
            false => Err(bad("SignatureNonceUsed", "Specified signature nonce was used already.")),
        }
    }
}

impl<'a> Authorization<'a> {
    fn of(head: &'a request::Parts) -> Result<Self, OpenApiRefusal> {
        let malformed = || bad("IncompleteSignature", "expected Credential, SignedHeaders and Signature");
        let value = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| bad("MissingAuthorization", "there is no Authorization header"))?;
        let parts = value.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let mut parts = parts.ok_or_else(malformed)?.split(',');
        let mut part = |name: &str| {
            let part = parts.next().and_then(|part| part.strip_prefix(name));
            part.filter(|value| !value.is_empty()).ok_or_else(malformed)
        };
        let credential = part("Credential=")?;
        let signed = part("SignedHeaders=")?.split(';').collect();
        Ok(Self { credential, signed, signature: part("Signature=")? })
    }

    /// The host, the content type and every header of the API's own have to be signed, in order, each once.
    fn check_what_is_signed(&self, head: &request::Parts) -> Result<(), OpenApiRefusal> {
        if !self.signed.is_sorted_by(|one, next| one < next) {
            return Err(bad("IncompleteSignature", "the names of signed headers are not in order"));
        }
        let sent = head.headers.keys().map(http::HeaderName::as_str);
        let sent = sent.filter(|name| name.starts_with("x-acs-") || *name == "content-type");
        match sent.chain([HOST.as_str()]).find(|name| !self.signed.contains(name)) {
            Some(name) => Err(bad("IncompleteSignature", format!("header `{name}` is not signed"))),
            None => Ok(()),
        }
    }

    fn canonical_request(&self, head: &request::Parts, body_hash: &str) -> Result<String, OpenApiRefusal> {
        let mut headers = String::new();
        for name in &self.signed {
            headers += &format!("{name}:{}\n", header(head, name)?.trim());
        }
        let names = self.signed.join(";");
        let query = canonical_query(head.uri.query().unwrap_or_default())?;
        Ok(format!("{}\n{}\n{query}\n{headers}\n{names}\n{body_hash}", head.method, head.uri.path()))
    }
}

/// The value of a header that is there once. HTTP/2 has the host in the URI.
fn header<'a>(head: &'a request::Parts, name: &str) -> Result<&'a str, OpenApiRefusal> {
    let mut values = head.headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        (None, _) if name == HOST && head.uri.authority().is_some() => {
            Ok(head.uri.authority().map_or("", |authority| authority.as_str()))
        }
        (None, _) => Err(bad("MissingParameter", format!("header `{name}` is missing"))),
        _ => Err(bad("InvalidParameter", format!("header `{name}` is repeated or no text"))),
    }
}

fn check_security_token(
    head: &request::Parts,
    key: &AccessKey,
    now: SystemTime,
) -> Result<(), OpenApiRefusal> {
    let sent = head.headers.contains_key("x-acs-security-token");
    match &key.security_token {
        None if sent => Err(bad("InvalidSecurityToken.Malformed", "this access key has no security token")),
        None => Ok(()),
        Some(_) if !sent => Err(bad("MissingSecurityToken", "this access key needs a security token")),
        Some(token) if header(head, "x-acs-security-token")? != token.expose_secret() => {
            Err(bad("InvalidSecurityToken.MismatchWithAccessKey", "this is another access key's token"))
        }
        Some(_) if header(head, "x-acs-accesskey-id")? != key.id => {
            Err(bad("InvalidSecurityToken.MismatchWithAccessKey", "the header names another access key"))
        }
        Some(_) if key.expires_at.is_some_and(|end| end <= now) => {
            Err(bad("InvalidSecurityToken.Expired", "Specified SecurityToken is expired."))
        }
        Some(_) => Ok(()),
    }
}

fn check_date(date: &str, now: SystemTime) -> Result<(), OpenApiRefusal> {
    let date =
        seconds(date).ok_or_else(|| bad("InvalidTimeStamp.Format", "expected 2006-01-02T15:04:05Z"))?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    match date.abs_diff(now) <= TOLERANCE.as_secs() {
        true => Ok(()),
        false => Err(bad("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")),
    }
}

/// Unix seconds of `YYYY-MM-DDThh:mm:ssZ`.
pub(crate) fn seconds(date: &str) -> Option<u64> {
    let shape: String =
        date.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<u64>().ok();
    if shape != "0000-00-00T00:00:00Z" {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1970..).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that start in March have their odd day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let since_epoch = days.checked_sub(719_468)?;
    Some(since_epoch * 86_400 + number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?)
}

/// The query, decoded, put in order, and encoded in the one way that is signed.
fn canonical_query(query: &str) -> Result<String, OpenApiRefusal> {
    let malformed = || bad("InvalidParameter", "the query is malformed");
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let decode = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((percent_decoded(name)?, percent_decoded(value)?))
    };
    let mut pairs: Vec<_> = pairs.map(|pair| decode(pair).ok_or_else(malformed)).collect::<Result<_, _>>()?;
    pairs.sort();
    let pairs =
        pairs.iter().map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)));
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

pub(crate) fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let [first, after @ ..] = rest {
        (rest, _) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let byte = u8::try_from(16 * digit(*high)? + digit(*low)?).ok()?;
                (after, decoded.push(byte))
            }
            (b'%', _) => return None,
            (byte, after) => (after, decoded.push(*byte)),
        };
    }
    Some(decoded)
}

pub(crate) fn percent_encoded(bytes: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(encode).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bad(code: &'static str, message: impl Into<String>) -> OpenApiRefusal {
    OpenApiRefusal::new(StatusCode::BAD_REQUEST, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_to_the_second() {
        for (date, read) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59Z", Some(951_868_799)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("1969-12-31T23:59:59Z", None),
            ("2023-13-01T00:00:00Z", None),
            ("2023-11-14T22:13:20+00:00", None),
            ("2023-11-14 22:13:20Z", None),
            ("", None),
        ] {
            assert_eq!(seconds(date), read, "{date}");
        }
    }

    #[test]
    fn a_query_is_taken_as_it_was_meant_and_written_in_one_way() {
        assert_eq!(canonical_query("b=%7e%2f&a=x+y&c").unwrap(), "a=x%2By&b=~%2F&c=");
        assert!(canonical_query("a=%4").is_err());
    }
}
