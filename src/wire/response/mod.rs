//! Reads an answer, of the token endpoint or of an API that is like it: a success, or one readable error. No
//! I/O; nothing here panics, whatever the answer is.

mod success;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};
use crate::token::TokenResponse;
use crate::wire::redact::shown;

/// Who answers: it decides how errors speak of it, and what its codes mean.
pub(crate) trait Peer: Debug + Sync {
    /// What it is.
    fn name(&self) -> &'static str;

    /// What every answer of its holds: one thing or the other.
    fn holds(&self) -> [&'static str; 2];

    /// Whether a request that was refused with this code may succeed later.
    fn may_pass(&self, code: &str) -> bool;

    /// What to do about a refusal that will not pass by itself.
    fn advice(&self, code: &str, scope: &str) -> String;
}

/// The token endpoint of RFC 6749.
#[derive(Debug)]
pub(crate) struct OAuth;

impl Peer for OAuth {
    fn name(&self) -> &'static str {
        "the token endpoint"
    }

    fn holds(&self) -> [&'static str; 2] {
        ["a token", "an OAuth error"]
    }

    fn may_pass(&self, code: &str) -> bool {
        matches!(code, "temporarily_unavailable" | "server_error" | "slow_down")
    }

    fn advice(&self, code: &str, scope: &str) -> String {
        match code {
            "invalid_client" => "check the client id and its credentials".into(),
            "invalid_scope" | "unauthorized_client" | "access_denied" => {
                format!("check that the application is granted `{scope}`")
            }
            _ => "check the configuration".into(),
        }
    }
}

/// What an error message needs to know of the request.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) peer: &'a dyn Peer,
    /// The endpoint without its query.
    pub(crate) endpoint: &'a str,
    pub(crate) scope: &'a str,
    /// Everything that must not be shown when the answer echoes it.
    pub(crate) secrets: Vec<&'a str>,
    pub(crate) now: SystemTime,
}

/// The token in the answer of a token endpoint.
///
/// # Errors
///
/// Everything that is not a usable token, classified: whether it may pass, what the issuer calls it, its
/// request id, and how long it wants to be left alone.
pub(crate) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    asked: &Asked<'_>,
) -> Result<TokenResponse, Error> {
    let answer = object(status, headers, body, asked)?;
    answer.token(&answer.object)
}

/// An answer that is a success.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) object: Map<String, Value>,
    asked: &'a Asked<'a>,
}

/// The JSON object in an answer.
///
/// # Errors
///
/// Everything that is not a success with an object in it, classified as for [`read`].
pub(crate) fn object<'a>(
    status: StatusCode,
    headers: &'a HeaderMap,
    body: &[u8],
    asked: &'a Asked<'a>,
) -> Result<Answer<'a>, Error> {
    if status.is_redirection() {
        return Err(redirect(status, headers, asked));
    }
    let object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        _ => return Err(no_answer_at_all(status, headers, body.len(), asked)),
    };
    if !names_failure(status, &object) {
        return Ok(Answer { status, headers, object, asked });
    }
    Err(match text(failure_in(&object), &["error", "Code", "code"]) {
        Some(code) => refusal(status, headers, &object, code, asked),
        None => no_answer_at_all(status, headers, body.len(), asked),
    })
}

impl Answer<'_> {
    /// The token in this object of the answer, which has the fields of RFC 6749 section 5.1.
    ///
    /// # Errors
    ///
    /// When there is none that can be used.
    pub(crate) fn token(&self, object: &Map<String, Value>) -> Result<TokenResponse, Error> {
        let token = success::token(self.headers, object, self.asked);
        let mut token = token.map_err(|problem| self.unusable(&problem))?;
        token.request_id = self.request_id().map(|id| shown(&id, [token.expose_token()]));
        Ok(token)
    }

    /// What whoever answered calls the request.
    pub(crate) fn request_id(&self) -> Option<String> {
        request_id(self.headers, &self.object, self.asked)
    }

    /// What the clock of whoever answered says, against which its points in time count.
    #[cfg(feature = "aliyun")]
    pub(crate) fn server_time(&self) -> SystemTime {
        issuer_now(self.headers, self.asked.now)
    }

    /// The error that says what is wrong with the answer. `problem` shows nothing that is secret.
    pub(crate) fn unusable(&self, problem: &str) -> Error {
        let Self { status, headers, object, asked } = self;
        let message =
            format!("{} answered {status}, but {problem}; ask the issuer's support", asked.endpoint);
        with_request_id(Error::new(ErrorKind::InvalidResponse, message), headers, object, asked)
            .with_status(*status)
            .with_transient(false)
    }
}

/// `error` speaks of a failure under any status, unless it is empty. `Code` is the OpenAPI shape's; some gateways
/// also say `Code: "Success"`, and some write it small, with a message.
fn names_failure(status: StatusCode, object: &Map<String, Value>) -> bool {
    let is_empty = |error: &Value| matches!(error, Value::Null | Value::Bool(false)) || *error == "";
    let is_failure = |code: &str| !["success", "ok", "200"].contains(&code.to_ascii_lowercase().as_str());
    let names = if object.contains_key("message") { &["Code", "code"][..] } else { &["Code"] };
    !status.is_success()
        || object.get("error").is_some_and(|error| !is_empty(error))
        || (!object.contains_key("access_token") && text(object, names).is_some_and(is_failure))
}

/// Where the failure is told: some put it into an object of its own.
fn failure_in(object: &Map<String, Value>) -> &Map<String, Value> {
    object.get("error").and_then(Value::as_object).unwrap_or(object)
}

/// The issuer's `Date`, against which its points in time count; this machine's clock when there is none.
pub(crate) fn issuer_now(headers: &HeaderMap, now: SystemTime) -> SystemTime {
    date(headers).unwrap_or(now)
}

/// When the answer was made, by the clock of who made it.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    header(headers, &DATE).and_then(|date| httpdate::parse_http_date(date).ok())
}

fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    object: &Map<String, Value>,
    code: &str,
    asked: &Asked<'_>,
) -> Error {
    let code = shown(code, asked.secrets.iter().copied());
    let transient = may_pass(status, &code) || asked.peer.may_pass(&code);
    let mut message = format!("{} refused with {status}: {code}", asked.endpoint);
    if let Some(description) = text(failure_in(object), &["error_description", "Message", "message"]) {
        message.push_str(&format!(" ({})", shown(description, asked.secrets.iter().copied())));
    }
    if let Some(id) = request_id(headers, object, asked) {
        message.push_str(&format!(", request id {id}"));
    }
    match transient {
        true => message.push_str("; it will be asked again"),
        false => message.push_str(&format!("; {}", asked.peer.advice(&code, asked.scope))),
    }
    let kind = if transient { ErrorKind::Unavailable } else { ErrorKind::Refused };
    let error = Error::new(kind, message).with_status(status).with_code(code);
    with_retry_after(with_request_id(error, headers, object, asked), headers, asked.now)
}

fn may_pass(status: StatusCode, code: &str) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || code.starts_with("Throttling")
}

/// Somebody else than the issuer speaks: a proxy, a firewall, a gateway. The body is not shown.
fn no_answer_at_all(status: StatusCode, headers: &HeaderMap, length: usize, asked: &Asked<'_>) -> Error {
    let content_type = match header(headers, &CONTENT_TYPE) {
        Some(content_type) => shown(content_type, asked.secrets.iter().copied()),
        None => "no content type".into(),
    };
    let [one, other] = asked.peer.holds();
    let message = format!(
        "{} answered {status} with {length} bytes of {content_type} that hold neither {one} nor {other}; check the endpoint and what stands before it",
        asked.endpoint
    );
    let kind = if status.is_success() { ErrorKind::InvalidResponse } else { ErrorKind::Unavailable };
    let error = Error::new(kind, message).with_status(status);
    with_retry_after(with_request_id(error, headers, &Map::new(), asked), headers, asked.now)
}

fn redirect(status: StatusCode, headers: &HeaderMap, asked: &Asked<'_>) -> Error {
    let message = format!(
        "{} answered {status}: redirects of {} are refused, because following one would hand the client's credentials on; configure the final address",
        asked.endpoint,
        asked.peer.name()
    );
    let error = Error::new(ErrorKind::InvalidResponse, message).with_status(status).with_transient(false);
    with_request_id(error, headers, &Map::new(), asked)
}

fn with_request_id(
    error: Error,
    headers: &HeaderMap,
    object: &Map<String, Value>,
    asked: &Asked<'_>,
) -> Error {
    match request_id(headers, object, asked) {
        Some(id) => error.with_request_id(id),
        None => error,
    }
}

fn request_id(headers: &HeaderMap, object: &Map<String, Value>, asked: &Asked<'_>) -> Option<String> {
    let in_headers =
        || ["x-acs-request-id", "x-request-id"].iter().find_map(|name| headers.get(*name)?.to_str().ok());
    let id = text(object, &["request_id", "RequestId", "requestId"]).or_else(in_headers)?;
    Some(shown(id, asked.secrets.iter().copied()))
}

/// `Retry-After` in either of its forms (RFC 9110 section 10.2.3).
fn with_retry_after(error: Error, headers: &HeaderMap, now: SystemTime) -> Error {
    let Some(value) = header(headers, &RETRY_AFTER).map(str::trim) else {
        return error;
    };
    let pause = match value.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value)
            .ok()
            .and_then(|date| date.duration_since(issuer_now(headers, now)).ok()),
    };
    match pause {
        Some(pause) => error.with_retry_after(pause),
        None => error,
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The first of these fields that is a string with something in it.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| object.get(*name)?.as_str().filter(|text| !text.is_empty()))
}
