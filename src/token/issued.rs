//! The token in the response of a token endpoint (RFC 6749 section 5.1, RFC 8693 section 2.2.1), and its life.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::cache::window::LONGEST_LIFE;
use crate::error::Error;
use crate::token::response::TokenResponse;
use crate::wire::call::{ApiResponse, text};
use crate::wire::redact::Redactor;
use crate::wire::time::{number, unix_seconds};

/// The type that RFC 8693 section 3 defines for access tokens.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The token in this object of the response, which has the fields of RFC 6749 section 5.1.
///
/// # Errors
///
/// When there is no usable token. Only one that was `exchanged` may be another than an access token: the client's own
/// would be cached, and fail every request until it ends.
pub(crate) fn issued(
    response: &ApiResponse<'_>,
    object: &Map<String, Value>,
    exchanged: bool,
) -> Result<TokenResponse, Error> {
    let token = read(response, object).and_then(|token| match token.is_bearer() || exchanged {
        true => Ok(token),
        false => Err("its token type is `N_A`, so it is no access token".to_owned()),
    });
    token.map_err(|problem| response.unusable(&problem))
}

fn read(response: &ApiResponse<'_>, object: &Map<String, Value>) -> Result<TokenResponse, String> {
    let Some(Value::String(access_token)) = object.get("access_token") else {
        return Err("carries no access token".into());
    };
    // Besides the secrets of the request, the token itself must be redacted.
    let redactors = [response.redactor(), &Redactor::new([access_token.as_str()])];
    let value = |name| {
        let text = text(object, &[name])?;
        redactors.iter().try_fold(text.to_owned(), |text, redactor| redactor.value(&text))
    };
    let issued_token_type = value("issued_token_type");
    let token_type = match object.get("token_type") {
        None | Some(Value::Null) => "",
        Some(Value::String(token_type)) => token_type.trim(),
        Some(_) => return Err("the token type is not a string".into()),
    };
    let is_access_token = match token_type.to_ascii_lowercase().as_str() {
        "" | "bearer" => true,
        "n_a" => match issued_token_type.as_deref() {
            None => return Err("its token type is `N_A`, and no `issued_token_type` says what it is".into()),
            Some(ACCESS_TOKEN) => {
                return Err(
                    "its token type is `N_A`, although `issued_token_type` says an access token".into()
                );
            }
            Some(_) => false,
        },
        _ => {
            let shown = redactors.iter().fold(token_type.to_owned(), |text, redactor| redactor.text(&text));
            return Err(format!("the token type `{shown}` is not supported, only Bearer is"));
        }
    };
    if access_token.is_empty() {
        return Err("carries no access token".into());
    }
    let mut token = match (is_access_token, issued_token_type) {
        (false, Some(kind)) => TokenResponse::not_access_token(access_token.clone(), kind),
        (_, kind) => TokenResponse::bearer(access_token).map(|token| match kind {
            Some(kind) => token.with_issued_token_type(kind),
            None => token,
        }),
    }
    .map_err(|_| "its access token is blank or holds characters that no bearer token may hold")?;
    if let Some(life) = life(response, object) {
        token = token.with_expires_in(life);
    }
    if let Some(scope) = value("scope") {
        token = token.with_granted_scope(scope);
    }
    if let Some(id) = response.request_id() {
        token = token.with_request_id(redactors.iter().fold(id.to_owned(), |id, redactor| redactor.id(&id)));
    }
    Ok(token)
}

/// The life by `expires_in`, for which no clock is needed; without it, the time left until `expires_at`. `None` when
/// the response has neither.
fn life(response: &ApiResponse<'_>, object: &Map<String, Value>) -> Option<Duration> {
    let seconds = match object.get("expires_in").and_then(number) {
        Some(seconds) => seconds,
        None => {
            let end = object.get("expires_at").and_then(unix_seconds)?;
            left(end, response.sent().system_time(), response.server_time())
        }
    };
    Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_LIFE.as_secs_f64())))
}

/// How many seconds are left until `end`, which is by the server's clock. A token that was just issued is live, so a
/// clock that says otherwise is wrong, and the other one counts. Where both may be right, the earlier end counts.
fn left(end: f64, ours: SystemTime, theirs: Option<SystemTime>) -> f64 {
    let by =
        |now: SystemTime| end - now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    match (by(ours), theirs.map(by)) {
        (ours, None) => ours,
        (ours, Some(theirs)) if ours > 0.0 && theirs > 0.0 => ours.min(theirs),
        (ours, Some(theirs)) => ours.max(theirs),
    }
}
