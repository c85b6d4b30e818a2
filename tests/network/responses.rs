//! Every answer of the token endpoint, over TLS, through the public API: what the caller gets, and how often
//! the endpoint is called.

use std::time::{Duration, SystemTime};

use crate::support::{builder, builder_without_secret};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tower_idaas::authn::{ClientSecretBasic, ClientSecretPost};
use tower_idaas::clock::ManualClock;
use tower_idaas::{Error, ErrorKind, SecretSource, SubjectToken};
use tower_idaas_testing::{Behaviour, TestIdaas};

/// What a cold client makes of a behaviour: the error, and how many requests it took.
async fn fails(behaviour: Behaviour) -> (Error, usize) {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(behaviour);
    let idaas = builder(&issuer).build().unwrap();
    let error = idaas.token().await.unwrap_err();
    let requests = issuer.token_requests();

    // The failure is remembered: the next caller gets it without another request.
    let again = idaas.token().await.unwrap_err();
    assert_eq!((again.kind(), again.to_string()), (error.kind(), error.to_string()));
    assert_eq!(issuer.token_requests(), requests, "{error}");
    assert!(idaas.peek().is_none());
    assert!(error.to_string().contains(&issuer.token_endpoint()), "{error}");
    (error, requests)
}

/// Asserts the error's properties; attempts follow from them.
async fn assert_fails(behaviour: Behaviour, kind: ErrorKind, transient: bool, parts: &[&str]) -> Error {
    let named = format!("{behaviour:?}");
    let (error, requests) = fails(behaviour).await;
    assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{named}: {error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{named}: `{part}` is missing in: {error}");
    }
    // A cold request tries three times where that may help and the issuer did not ask for a pause.
    let attempts = if transient && error.retry_after().is_none() { 3 } else { 1 };
    assert_eq!(requests, attempts, "{named}: {error}");
    error
}

fn page(status: u16, content_type: &'static str, body: &'static str) -> Behaviour {
    Behaviour::response(StatusCode::from_u16(status).unwrap(), content_type, body)
}

#[tokio::test]
async fn a_success_without_a_usable_token_is_requested_once_and_not_cached() {
    let with = |name: &'static str, value: Value| {
        Behaviour::change(move |answer| {
            answer.insert(name.to_owned(), value.clone());
        })
    };
    let without = Behaviour::change(|answer| {
        answer.remove("access_token");
    });
    for (behaviour, reason) in [
        (without, "carries no access token"),
        (with("access_token", json!("")), "carries no access token"),
        (with("access_token", json!(null)), "carries no access token"),
        (with("access_token", json!(7)), "carries no access token"),
        (with("access_token", json!("evil\r\nX-Evil: 1")), "no bearer token may hold"),
        (with("access_token", json!("nul\u{0}")), "no bearer token may hold"),
        (with("token_type", json!("DPoP")), "`DPoP` is not supported"),
        (with("token_type", json!("mac")), "`mac` is not supported"),
    ] {
        let error = assert_fails(behaviour, ErrorKind::InvalidResponse, false, &[reason, "200"]).await;
        assert_eq!(error.status(), Some(StatusCode::OK));
        assert!(!error.to_string().contains("evil") && !error.to_string().contains("nul"), "{error}");
    }
}

#[tokio::test]
async fn definitive_refusals_are_requested_once() {
    for (status, code, hint) in [
        (401, "invalid_client", "check the client id"),
        (400, "invalid_client", "check the client id"),
        (400, "invalid_scope", "`api://test|read`"),
        (400, "unauthorized_client", "`api://test|read`"),
        (200, "invalid_client", "check the client id"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let behaviour = Behaviour::code(status, code);
        let error = assert_fails(behaviour, ErrorKind::Refused, false, &[code, hint, "req_test"]).await;
        assert_eq!(error.code(), Some(code));
        assert_eq!((error.status(), error.request_id()), (Some(status), Some("req_test")));
    }
}

#[tokio::test]
async fn the_vendors_own_codes_say_what_to_do() {
    for (status, code, hint) in [
        (403, "operation_denied_by_license", "check the licence of the IDaaS instance in the console"),
        (400, "scope_not_found", "check that a resource server with `api://test|read` exists"),
        (
            401,
            "invalid_client_credential",
            "check the client id and its credentials, that the secret or certificate has not expired",
        ),
        (400, "invalid_audience", "check the audience in `api://test|read`"),
        (401, "expired_token", "check this machine's clock, and the credential"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let behaviour = Behaviour::code(status, code);
        let error = assert_fails(behaviour, ErrorKind::Refused, false, &[code, hint, "req_test"]).await;
        assert_eq!((error.code(), error.status()), (Some(code), Some(status)));
    }
    let description = "app_test has not been authorized by resource server api://test";
    for code in ["access_denied", "invalid_scope", "unauthorized_client", "another_code"] {
        let body = json!({ "error": code, "error_description": description });
        let behaviour = Behaviour::json(StatusCode::FORBIDDEN, &body);
        let hint = "check that the resource server has authorized the application for `api://test|read`";
        assert_fails(behaviour, ErrorKind::Refused, false, &[code, hint]).await;
    }
}

#[tokio::test]
async fn a_refused_exchange_distinguishes_the_fault_of_the_subject_from_that_of_the_client() {
    let issuer = TestIdaas::start().await.unwrap();
    let subject =
        "check the subject token: it must be unexpired, not revoked, and an access token of the same issuer";
    for (code, hint) in [
        ("invalid_grant", subject),
        ("invalid_request", subject),
        ("expired_token", subject),
        ("invalid_client", "check the client id and its credentials"),
        ("unauthorized_client", "check that token exchange is enabled for the application"),
        ("unsupported_grant_type", "check that token exchange is enabled for the application"),
        ("invalid_target", "check the audience in `api://test|read`"),
    ] {
        issuer.set_behaviour(Behaviour::code(StatusCode::BAD_REQUEST, code));
        let idaas = issuer.handle().build().unwrap();
        let error = idaas.exchange(&SubjectToken::access_token("t0ken-marker")).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)));
        assert!(error.to_string().contains(hint), "{hint} is missing in: {error}");
        assert!(!format!("{error:?}").contains("t0ken-marker"), "{error:?}");
    }
}

#[tokio::test]
async fn the_openapi_shape_is_a_refusal_too() {
    let behaviour = Behaviour::openapi_error(StatusCode::FORBIDDEN, "Forbidden.Application");
    let error = assert_fails(behaviour, ErrorKind::Refused, false, &["Forbidden.Application"]).await;
    assert_eq!(error.code(), Some("Forbidden.Application"));
    assert_eq!(error.request_id(), Some("req_test"));
}

#[tokio::test]
async fn the_issuers_own_refusals_say_what_is_wrong() {
    let issuer = TestIdaas::builder().scope("api://orders|read").start().await.unwrap();
    let wrong_secret = SecretSource::value("wrong".to_owned());
    let idaas =
        builder_without_secret(&issuer).authenticator(ClientSecretBasic::new(wrong_secret)).build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(error.request_id().unwrap().starts_with("req_"));

    let idaas = builder(&issuer).scope("api://orders|write").build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_scope"));
    assert!(error.to_string().contains("is granted `api://orders|write`"), "{error}");
    assert_eq!(issuer.rejected_requests(), 2);
}

#[tokio::test]
async fn hiccups_are_tried_three_times_and_shown_without_the_body() {
    const HTML: &str = "<html>MARKER: blocked</html>";
    let unavailable = ErrorKind::Unavailable;
    let senseless = ErrorKind::InvalidResponse;
    let broken = "broke before the response was complete";
    let mut cases = tokio::task::JoinSet::new();
    for (behaviour, kind, status, parts) in [
        (page(500, "text/plain", "MARKER"), unavailable, 500, vec!["500", "text/plain"]),
        (page(502, "text/html", HTML), unavailable, 502, vec!["502", "text/html", "28 bytes"]),
        (page(403, "text/html", HTML), unavailable, 403, vec!["403", "text/html"]),
        (page(404, "text/html", HTML), unavailable, 404, vec!["404", "text/html"]),
        (page(200, "text/html", HTML), senseless, 200, vec!["200", "text/html"]),
        (page(200, "application/json", "{\"access_token\":\"MARKER"), senseless, 200, vec!["200"]),
        (page(200, "application/json", "[\"MARKER\"]"), senseless, 200, vec!["application/json"]),
        (page(200, "application/json", ""), senseless, 200, vec!["0 bytes"]),
        (Behaviour::status(StatusCode::SERVICE_UNAVAILABLE), unavailable, 503, vec!["no content type"]),
        (
            Behaviour::code(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            unavailable,
            500,
            vec!["server_error", "try again later"],
        ),
        (Behaviour::code(StatusCode::TOO_MANY_REQUESTS, "slow_down"), unavailable, 429, vec!["slow_down"]),
        (Behaviour::CutMidBody, ErrorKind::Transport, 0, vec![broken, "try again later"]),
    ] {
        cases.spawn(async move {
            let error = assert_fails(behaviour, kind, true, &parts).await;
            assert_eq!(error.status().map_or(0, |status| status.as_u16()), status, "{error}");
            assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
        });
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

#[tokio::test]
async fn a_response_that_is_too_long_is_requested_once() {
    let too_long = ["longer than 1048576 bytes"];
    assert_fails(Behaviour::HugeBody(3 << 20), ErrorKind::InvalidResponse, false, &too_long).await;
}

#[tokio::test]
async fn an_issuer_that_says_when_to_come_back_is_left_alone_until_then() {
    let in_two_minutes = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(120));
    for (status, value, least, most) in [
        (429, "7", 7, 7),
        (503, "7", 7, 7),
        (503, &*in_two_minutes, 118, 121),
        (429, "86400", 86_400, 86_400),
    ] {
        let behaviour = page(status, "text/html", "<html>busy</html>")
            .with_header(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        let error = assert_fails(behaviour, ErrorKind::Unavailable, true, &[]).await;
        let pause = error.retry_after().unwrap().as_secs();
        assert!((least..=most).contains(&pause), "{value}: {pause}");
    }
}

#[tokio::test]
async fn a_pause_that_the_issuer_requests_is_kept_up_to_five_minutes() {
    for (requested, kept) in [("30", 30), ("86400", 300)] {
        let clock = ManualClock::new();
        let issuer = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
        let busy = Behaviour::status(StatusCode::SERVICE_UNAVAILABLE);
        issuer.behave_once(busy.with_header(RETRY_AFTER, HeaderValue::from_static(requested)));
        let idaas = builder(&issuer).clock(clock.clone()).build().unwrap();
        idaas.token().await.unwrap_err();

        clock.advance(Duration::from_secs(kept - 1));
        idaas.token().await.unwrap_err();
        assert_eq!(issuer.token_requests(), 1);
        clock.advance(Duration::from_secs(1));
        idaas.token().await.unwrap();
        assert_eq!(issuer.token_requests(), 2);
    }
}

#[tokio::test]
async fn redirects_are_refused_without_a_second_request() {
    let elsewhere = TestIdaas::start().await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        let target = HeaderValue::from_str(&elsewhere.token_endpoint()).unwrap();
        let behaviour = page(status, "text/html", "moved").with_header(LOCATION, target);
        let parts = ["redirects of the token endpoint are refused", &*status.to_string()];
        let error = assert_fails(behaviour, ErrorKind::InvalidResponse, false, &parts).await;
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert!(!error.to_string().contains(&elsewhere.token_endpoint()));
    }
    assert_eq!((elsewhere.token_requests(), elsewhere.connections()), (0, 0));
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_named_after_one_request() {
    let deep: &'static str = format!("{{\"a\":{}", "[".repeat(1_000)).leak();
    let coding = http::header::CONTENT_ENCODING;
    let coded = |name| {
        page(200, "application/json", "\u{1f}MARKER")
            .with_header(coding.clone(), HeaderValue::from_static(name))
    };
    for (behaviour, reason) in [
        (coded("gzip"), "they are compressed (gzip), although the request accepts no content coding"),
        (coded("br"), "they are compressed (br), although the request accepts no content coding"),
        (page(200, "application/json", deep), "their JSON is nested too deeply"),
        (page(200, "application/json", "{\"expires_in\":1e999}"), "their JSON has a number out of range"),
        (
            page(200, "application/json", "{\"access_token\":\"a\",\"access_token\":\"MARKER\"}"),
            "their JSON has `access_token` twice, with two values",
        ),
    ] {
        let error = assert_fails(behaviour, ErrorKind::InvalidResponse, false, &[reason]).await;
        assert!(!format!("{error:?}").contains("MARKER"), "{error:?}");
    }
    let hiccup = page(200, "application/json", "{\"access_token\":\"MARKER");
    assert_fails(hiccup, ErrorKind::InvalidResponse, true, &["their JSON is cut off"]).await;
}

#[tokio::test]
async fn no_content_coding_is_requested_and_a_byte_order_mark_is_skipped() {
    let issuer = TestIdaas::start().await.unwrap();
    let marked = "\u{feff}{\"access_token\":\"opaque\",\"token_type\":\"Bearer\",\"expires_in\":1200}";
    issuer.set_behaviour(page(200, "application/json", marked));
    let token = builder(&issuer).build().unwrap().token().await.unwrap();
    assert_eq!(token.expose_token(), "opaque");
    assert!(issuer.requests()[0].header_names.iter().any(|name| name == "accept-encoding"));
}

#[tokio::test]
async fn a_401_without_a_reason_to_basic_credentials_is_a_refusal_of_the_client() {
    let secret = |issuer: &TestIdaas| SecretSource::value(issuer.secret());
    for (body, content_type) in
        [("", "text/plain"), ("<html>MARKER</html>", "text/html"), ("{}", "application/json")]
    {
        let issuer = TestIdaas::start().await.unwrap();
        issuer.set_behaviour(page(401, content_type, body));
        let basic = builder_without_secret(&issuer).authenticator(ClientSecretBasic::new(secret(&issuer)));
        let error = basic.build().unwrap().token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false), "{error}");
        assert_eq!((error.code(), issuer.token_requests()), (Some("invalid_client"), 1));
        for part in
            ["401 Unauthorized and no reason that can be read", "check the client id and its credentials"]
        {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(!error.to_string().contains("MARKER"));
        // Credentials in the form are not what a bare 401 speaks of.
        let post = builder_without_secret(&issuer).authenticator(ClientSecretPost::new(secret(&issuer)));
        let error = post.build().unwrap().token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error}");
    }
}

#[tokio::test]
async fn a_pause_is_understood_in_whatever_spelling() {
    for (value, seconds) in
        [("1.5", 2), ("\"7\"", 7), (" 7 ", 7), ("7s", 7), ("-3", 0), ("99999999999999999999", 86_400)]
    {
        let behaviour = page(429, "text/html", "<html>busy</html>")
            .with_header(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        let (error, _) = fails(behaviour).await;
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)), "{value}");
    }
}

#[tokio::test]
async fn the_request_id_is_found_in_headers_as_well() {
    let id = HeaderName::from_static("x-acs-request-id");
    let behaviour = page(400, "text/html", "<html>").with_header(id, HeaderValue::from_static("ID-7"));
    let error = assert_fails(behaviour, ErrorKind::Unavailable, true, &["400"]).await;
    assert_eq!(error.request_id(), Some("ID-7"));

    let behaviour = page(200, "x", "{}").with_header(CONTENT_TYPE, HeaderValue::from_static("x/y"));
    assert_eq!(assert_fails(behaviour, ErrorKind::InvalidResponse, false, &[]).await.request_id(), None);
}

#[tokio::test]
async fn a_response_that_echoes_the_request_is_shown_with_its_secrets_redacted() {
    const SECRET: &str = "MARKER+/= of%the&client";
    let issuer = TestIdaas::builder().client("app_1", SECRET).start().await.unwrap();
    issuer.set_behaviour(Behaviour::Echo);
    let secret = || SecretSource::value(issuer.secret());
    let post = builder_without_secret(&issuer).authenticator(ClientSecretPost::new(secret()));
    let basic = builder_without_secret(&issuer).authenticator(ClientSecretBasic::new(secret()));
    for builder in [post, basic] {
        let error = builder.build().unwrap().token().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("[redacted]") && text.contains("client_id=app_1"), "{text}");
        assert!(!text.contains("MARKER") && !text.contains("Basic "), "{text}");
    }
}

#[tokio::test]
async fn the_log_line_of_a_success_has_the_request_id_of_its_response() {
    let log = crate::support::log::Log::start();
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::change(|answer| {
        answer.insert("request_id".to_owned(), "req_of_a_success".into());
    }));
    builder(&issuer).build().unwrap().token().await.unwrap();
    let log = log.text();
    let line = log.lines().find(|line| line.contains("token fetched") && line.contains("req_of_a_success"));
    assert!(line.is_some_and(|line| line.contains("outcome=\"fetched\"")), "{line:?}");
}
