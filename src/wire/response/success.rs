//! The token in a successful answer, and its life.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::cache::window::LONGEST_LIFE;
use crate::token::TokenResponse;
use crate::wire::redact::{kept, shown};
use crate::wire::response::{Asked, issuer_now, text};

/// The token in an object with the fields of RFC 6749 section 5.1, or what is wrong with it.
pub(crate) fn token(
    headers: &HeaderMap,
    object: &Map<String, Value>,
    asked: &Asked<'_>,
) -> Result<TokenResponse, String> {
    let Some(Value::String(access_token)) = object.get("access_token") else {
        return Err("carries no access token".into());
    };
    let secrets = || asked.secrets.iter().copied().chain([access_token.as_str()]);
    match object.get("token_type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(Value::String(kind)) => {
            let kind = shown(kind, secrets());
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
    response.granted_scope = text(object, &["scope"]).and_then(|scope| kept(scope, secrets()));
    let issued_token_type = text(object, &["issued_token_type"]);
    response.issued_token_type = issued_token_type.and_then(|kind| kept(kind, secrets()));
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

/// A number of seconds, however it is written; never a NaN.
fn seconds(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| !number.is_nan())
}
