//! Every answer that a token endpoint, or whoever stands before it, is known to give.

mod failure;
mod hostile;
mod success;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::wire::response::*;

const ENDPOINT: &str = "https://idaas.example/token";
const SCOPE: &str = "api://orders|read";
const SECRET: &str = "MARKER+secret/of=the client%";
/// Tue, 14 Nov 2023 22:13:20 GMT by this machine's clock.
const NOW: u64 = 1_700_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn asked() -> Asked<'static> {
    Asked { peer: &OAuth, endpoint: ENDPOINT, scope: SCOPE, secrets: vec![SECRET], now: now() }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// Reads an answer with JSON in it.
fn answer(status: u16, body: &str) -> Result<TokenResponse, Error> {
    answer_with(status, &[("content-type", "application/json")], body)
}

fn answer_with(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Result<TokenResponse, Error> {
    read(StatusCode::from_u16(status).unwrap(), &headers(pairs), body.as_bytes(), &asked())
}

/// The error of an answer; whatever it is, it shows no secret and has its status.
fn failure(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Error {
    let error = answer_with(status, pairs, body).expect_err(body);
    assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{error}");
    assert!(error.to_string().starts_with(ENDPOINT), "{error}");
    assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    error
}
