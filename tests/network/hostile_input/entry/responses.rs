//! Responses of the token endpoint and of the OpenAPI.

use std::time::Duration;

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use tower_idaas::authn::{ClientSecretBasic, ClientSecretPost};
use tower_idaas::clock::ManualClock;
#[cfg(feature = "aliyun")]
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{IdaasBuilder, SecretSource, SubjectToken};

use super::{
    SECRET, Server, Watch, assert_fits_a_header, assert_hidden, assert_readable, client, filled, runtime,
    shown, split,
};

/// A response of the token endpoint: the first byte chooses its status and the grant, the second how the body is
/// coded, the rest is the body.
pub fn token_response(input: &[u8]) {
    const STATUSES: [u16; 12] = [200, 200, 200, 201, 204, 302, 400, 401, 403, 429, 500, 503];
    let (choice, rest) = split(input);
    let (coding, body) = split(rest);
    let mut headers = HeaderMap::new();
    let utf16 = |bytes: fn(u16) -> [u8; 2], mark: &[u8]| {
        let text = String::from_utf8_lossy(body);
        [mark, &text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()].concat()
    };
    let body = match coding % 8 {
        0..=2 => body.to_vec(),
        3 => [b"\xEF\xBB\xBF", body].concat(),
        4 => utf16(u16::to_le_bytes, b"\xFF\xFE"),
        5 => utf16(u16::to_be_bytes, b"\xFE\xFF"),
        6 => [b" \r\n\xEF\xBB\xBF\n", body].concat(),
        _ => {
            let names = ["gzip", "x-gzip", "identity", "br", "deflate, gzip", "utf-8", "aws-chunked", ""];
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(names[coding / 8 % names.len()]));
            body.to_vec()
        }
    };
    let status = StatusCode::from_u16(STATUSES[choice % STATUSES.len()]).unwrap();
    judge(with_post(), status, headers, &body, choice >= 128, input);
}

/// The headers of a response: the first byte chooses its status and how the client authenticates, the values are
/// separated by zero bytes.
pub fn response_headers(input: &[u8]) {
    const STATUSES: [u16; 8] = [429, 503, 400, 200, 302, 500, 401, 204];
    let (choice, values) = split(input);
    let names = [
        RETRY_AFTER,
        DATE,
        HeaderName::from_static("x-acs-request-id"),
        CONTENT_TYPE,
        LOCATION,
        RETRY_AFTER,
        AGE,
        WWW_AUTHENTICATE,
        CONTENT_ENCODING,
    ];
    let status = StatusCode::from_u16(STATUSES[choice % STATUSES.len()]).unwrap();
    let basic = ClientSecretBasic::new(SecretSource::value(SECRET.to_owned()));
    let builder = if choice >= 128 { client().authenticator(basic) } else { with_post() };
    let body: &[u8] = match choice / 8 % 2 {
        0 => br#"{"error": "slow_down", "access_token": "token", "expires_in": 60}"#,
        _ => b"<html>",
    };
    judge(builder, status, headers(&names, values), body, false, input);
}

/// The headers by which the OpenAPI gateway throttles, as [`response_headers`] for the token endpoint.
#[cfg(feature = "aliyun")]
pub fn throttling_headers(input: &[u8]) {
    const STATUSES: [u16; 5] = [429, 400, 503, 403, 200];
    let (choice, values) = split(input);
    let names = ["x-acs-retry-after", "x-ratelimit-user-api", "x-ratelimit-user", "retry-after", "date"];
    let names = names.map(HeaderName::from_static);
    let environment = ManualEnvironment::from_iter([
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI-id"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET),
    ]);
    let builder = client()
        .environment(environment)
        .plugin_name("alibabacloudPluginCredentialProvider")
        .open_api_endpoint("eiam.cn-hangzhou.aliyuncs.com");
    let status = StatusCode::from_u16(STATUSES[choice % STATUSES.len()]).unwrap();
    let body: &[u8] = match choice / 8 % 3 {
        0 => br#"{"Code": "Throttling.User", "Message": "$S", "RequestId": "r-1"}"#,
        1 => br#"{"Code": "Forbidden", "TokenResponse": {"AccessToken": "token", "ExpiresIn": 60}}"#,
        _ => b"<html>",
    };
    judge(builder, status, headers(&names, values), body, false, input);
}

fn with_post() -> IdaasBuilder {
    client().authenticator(ClientSecretPost::new(SecretSource::value(SECRET.to_owned())))
}

/// These headers with the values, which zero bytes separate.
fn headers(names: &[HeaderName], values: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in names.iter().zip(values.split(|byte| *byte == 0)) {
        // What no HTTP client lets through is no case; an empty value stands for an absent field.
        if let Ok(value) = HeaderValue::from_bytes(&filled(value, SECRET.as_bytes()))
            && !value.is_empty()
        {
            headers.append(name, value);
        }
    }
    headers
}

/// What holds whatever the response is: the error shows no secret and stays readable, the token fits into a header,
/// and a day later, the longest pause that a server can ask for, another request is sent.
fn judge(
    builder: IdaasBuilder,
    status: StatusCode,
    headers: HeaderMap,
    body: &[u8],
    exchange: bool,
    input: &[u8],
) {
    let _watch = Watch::start();
    let server = Server::new(status, headers, filled(body, SECRET.as_bytes()));
    let clock = ManualClock::new();
    let idaas = server.serve(builder.clock(clock.clone())).build().unwrap();
    let subject = SubjectToken::new(SECRET, "urn:ietf:params:oauth:token-type:access_token")
        .with_requested_type("urn:ietf:params:oauth:token-type:id_token");
    let fetch = async || match exchange {
        true => idaas.exchange(&subject).await,
        false => idaas.token().await,
    };
    runtime().block_on(async {
        match fetch().await {
            Ok(token) => {
                assert!(status.is_success());
                if token.expose_authorization().is_ok() {
                    assert_fits_a_header(token.expose_token());
                }
                assert!(
                    exchange || token.expose_authorization().is_ok(),
                    "a token that no request can carry"
                );
                assert_hidden(&format!("{token:?}"), input);
                assert!(token.expires_at() <= clock.now().after(Duration::from_secs(86_400)).system_time());
            }
            Err(error) => {
                assert_hidden(&shown(&error), input);
                assert_readable(&error.to_string());
                let before = server.requests();
                clock.advance(Duration::from_secs(5 * 60));
                let _ = fetch().await;
                assert!(server.requests() > before, "no token request after five minutes: {error}");
            }
        }
    });
}
