//! The claims of a JWT, without the token itself.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tower_idaas::Token;

use super::super::config_file::ConfigFile;
use super::super::display;
use super::super::finding::{Finding, Step};

/// The payload of a JWT, unverified.
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice(&payload).ok().map(Self)
    }

    /// A text, or texts joined by blanks.
    fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(display::text(text)),
            Value::Array(all) => {
                let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
                Some(display::text(&all.join(" ")))
            }
            _ => None,
        }
    }

    pub(crate) fn time(&self, name: &str) -> Option<SystemTime> {
        let seconds = self.0.get(name)?.as_f64().filter(|seconds| *seconds >= 0.0)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    }

    pub(crate) fn facts(&self, names: &[&'static str]) -> Vec<(&'static str, String)> {
        names.iter().filter_map(|name| Some((*name, self.text(name)?))).collect()
    }
}

pub(crate) fn examine(token: &Token, config: &ConfigFile) -> Finding {
    let Some(claims) = Claims::of(token.expose_token()) else {
        return Finding::skipped(Step::Claims, "the token is not a JWT, so it has no claims to check");
    };
    let finding = Finding::ok(Step::Claims, "the claims of the token; the token itself is not shown");
    let mut finding = finding.facts(claims.facts(&["aud", "scope", "iss"]));
    let life = claims.time("exp").zip(claims.time("iat")).and_then(|(exp, iat)| exp.duration_since(iat).ok());
    finding = match life {
        Some(life) => finding.fact("life", display::duration(life)),
        None => finding.warn("its lifetime is unknown, as `exp` or `iat` is missing"),
    };
    if claims.text("iss").as_deref() != config.get("issuer") {
        finding = finding
            .warn("`iss` is not the configured `issuer`; APIs that compare the two will refuse the token");
    }
    let audiences = claims.text("aud").unwrap_or_default();
    if !audiences.split(' ').any(|audience| audience == token.scope().audience()) {
        finding = finding.warn("`aud` is not the requested audience; the API may refuse the token");
    }
    finding
}
