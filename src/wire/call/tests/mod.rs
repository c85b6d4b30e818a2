//! Every known response of an API, or of a server in front of it.

mod failure;
mod hostile;

use http::{HeaderName, HeaderValue};

use super::*;
use crate::clock::ManualClock;
use crate::wire::profile::OAuth;

pub(crate) const ENDPOINT: &str = "https://idaas.example/token";
pub(crate) const SCOPE: &str = "api://orders|read";
pub(crate) const SECRET: &str = "MARKER+secret/of=the client%";
/// Tue, 14 Nov 2023 22:13:20 GMT by this machine's clock.
pub(crate) const NOW: Timestamp = Timestamp { monotonic: 5_000_000_000, wall: 1_700_000_000_000_000_000 };

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// The result of `read` for a response of this API to a request with these secrets.
pub(crate) fn read_as<T>(
    profile: &dyn ApiProfile,
    secrets: &[&str],
    (status, headers, body): (StatusCode, HeaderMap, &[u8]),
    (sent, received): (Timestamp, Timestamp),
    read: impl FnOnce(&ApiResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let clock = Clock::Manual(ManualClock::new());
    let call = ApiCall::new(profile, ENDPOINT, SCOPE, &clock, secrets.iter().copied());
    let mut response = Response::new(Bytes::copy_from_slice(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let exchange = Exchange { sent, received, basic: false };
    read(&ApiResponse::read(&call, &response, exchange)?)
}

/// The same for the token endpoint.
pub(crate) fn read_from<T>(
    status: u16,
    pairs: &[(&'static str, &str)],
    body: &str,
    read: impl FnOnce(&ApiResponse<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let response = (StatusCode::from_u16(status).unwrap(), headers(pairs), body.as_bytes());
    read_as(&OAuth { exchange: false }, &[SECRET], response, (NOW, NOW), read)
}

/// The error of a response, checked to show no secret and to have the response's status.
fn failure(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Error {
    let error = read_from(status, pairs, body, |_| Ok(())).expect_err(body);
    assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{error}");
    assert!(error.to_string().starts_with(ENDPOINT), "{error}");
    assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    error
}
