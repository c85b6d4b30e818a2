//! Reads an answer of the token endpoint: a token, or one readable error. No I/O; nothing here panics,
//! whatever the answer is.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::mask::shown;
use super::response::TokenResponse;
use super::window::LONGEST_LIFE;
use crate::error::{Error, ErrorKind};

/// What an error message needs to know of the request.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// The endpoint without its query.
    pub(crate) endpoint: &'a str,
    pub(crate) scope: &'a str,
    /// Everything that must not be shown when the answer echoes it.
    pub(crate) secrets: Vec<&'a str>,
    pub(crate) now: SystemTime,
}

/// The token in the answer.
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
    if status.is_redirection() {
        return Err(redirect(status, headers, asked));
    }
    let object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        _ => return Err(no_answer_at_all(status, headers, body.len(), asked)),
    };
    if let Some(code) = text(&object, &["error", "Code"]).filter(|_| names_failure(status, &object)) {
        return Err(refusal(status, headers, &object, code, asked));
    }
    if !status.is_success() {
        return Err(no_answer_at_all(status, headers, body.len(), asked));
    }
    let answer = success(headers, &object, asked);
    answer.map_err(|problem| {
        let message =
            format!("{} answered {status}, but {problem}; ask the issuer's support", asked.endpoint);
        with_request_id(Error::new(ErrorKind::InvalidAnswer, message), headers, &object, asked)
            .with_status(status)
            .with_transient(false)
    })
}

/// `error` speaks of a failure under any status. `Code` is the OpenAPI shape's; some gateways also say
/// `Code: "Success"`.
fn names_failure(status: StatusCode, object: &Map<String, Value>) -> bool {
    object.get("error").is_some_and(|error| !error.is_null()) || !status.is_success()
}

fn success(
    headers: &HeaderMap,
    object: &Map<String, Value>,
    asked: &Asked<'_>,
) -> Result<TokenResponse, String> {
    let Some(Value::String(access_token)) = object.get("access_token") else {
        return Err("carries no access token".into());
    };
    match object.get("token_type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(Value::String(kind)) => {
            let kind = shown(kind, asked.secrets.iter().copied().chain([access_token.as_str()]));
            return Err(format!("the token type `{kind}` is not supported, only Bearer is"));
        }
        Some(_) => return Err("the token type is not a string".into()),
    }
    let mut response =
        TokenResponse::bearer(access_token).map_err(|error| match access_token.is_empty() {
            true => "carries no access token".into(),
            false => error.to_string(),
        })?;
    response.expires_in = life(headers, object, asked.now);
    response.granted_scope = text(object, &["scope"]).map(str::to_owned);
    response.issued_token_type = text(object, &["issued_token_type"]).map(str::to_owned);
    Ok(response)
}

/// The shorter of what `expires_in` and `expires_at` say; `None` when neither says anything.
///
/// `expires_at` is by the issuer's clock.
fn life(headers: &HeaderMap, object: &Map<String, Value>, now: SystemTime) -> Option<Duration> {
    let relative = object.get("expires_in").and_then(seconds);
    let absolute = object.get("expires_at").and_then(seconds).map(|expires_at| {
        let since_epoch = issuer_now(headers, now).duration_since(SystemTime::UNIX_EPOCH);
        expires_at - since_epoch.unwrap_or_default().as_secs_f64()
    });
    let shorter = match (relative, absolute) {
        (Some(relative), Some(absolute)) => relative.min(absolute),
        (one, other) => one.or(other)?,
    };
    Some(Duration::from_secs_f64(shorter.clamp(0.0, LONGEST_LIFE.as_secs_f64())))
}

/// The issuer's `Date`, against which its points in time count; this machine's clock when there is none.
fn issuer_now(headers: &HeaderMap, now: SystemTime) -> SystemTime {
    date(headers).unwrap_or(now)
}

/// When the answer was made, by the clock of who made it.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    header(headers, &DATE).and_then(|date| httpdate::parse_http_date(date).ok())
}

/// A number of seconds, however it is written; never a NaN.
fn seconds(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| !number.is_nan())
}

fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    object: &Map<String, Value>,
    code: &str,
    asked: &Asked<'_>,
) -> Error {
    let code = shown(code, asked.secrets.iter().copied());
    let transient = may_pass(status, &code);
    let mut message = format!("{} refused with {status}: {code}", asked.endpoint);
    if let Some(description) = text(object, &["error_description", "Message"]) {
        message.push_str(&format!(" ({})", shown(description, asked.secrets.iter().copied())));
    }
    if let Some(id) = request_id(headers, object, asked) {
        message.push_str(&format!(", request id {id}"));
    }
    match code.as_str() {
        _ if transient => message.push_str("; it will be asked again"),
        "invalid_client" => message.push_str("; check the client id and its credentials"),
        "invalid_scope" | "unauthorized_client" | "access_denied" => {
            message.push_str(&format!("; check that the application is granted `{}`", asked.scope));
        }
        _ => message.push_str("; check the configuration"),
    }
    let kind = if transient { ErrorKind::Unavailable } else { ErrorKind::Rejected };
    let error = Error::new(kind, message).with_status(status).with_oauth_error(code);
    with_retry_after(with_request_id(error, headers, object, asked), headers, asked.now)
}

fn may_pass(status: StatusCode, code: &str) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || matches!(code, "temporarily_unavailable" | "server_error" | "slow_down")
        || code.starts_with("Throttling")
}

/// Somebody else than the issuer speaks: a proxy, a firewall, a gateway. The body is not shown.
fn no_answer_at_all(status: StatusCode, headers: &HeaderMap, length: usize, asked: &Asked<'_>) -> Error {
    let content_type = match header(headers, &CONTENT_TYPE) {
        Some(content_type) => shown(content_type, asked.secrets.iter().copied()),
        None => "no content type".into(),
    };
    let message = format!(
        "{} answered {status} with {length} bytes of {content_type} that hold neither a token nor an OAuth error; check the endpoint and what stands before it",
        asked.endpoint
    );
    let kind = if status.is_success() { ErrorKind::InvalidAnswer } else { ErrorKind::Unavailable };
    let error = Error::new(kind, message).with_status(status);
    with_retry_after(with_request_id(error, headers, &Map::new(), asked), headers, asked.now)
}

fn redirect(status: StatusCode, headers: &HeaderMap, asked: &Asked<'_>) -> Error {
    let message = format!(
        "{} answered {status}: redirects of the token endpoint are refused, because following one would hand the client's credentials on; configure the final address",
        asked.endpoint
    );
    let error = Error::new(ErrorKind::InvalidAnswer, message).with_status(status).with_transient(false);
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
fn text<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| object.get(*name)?.as_str().filter(|text| !text.is_empty()))
}
