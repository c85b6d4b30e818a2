//! Responses with a token, and its life.

use super::*;
use crate::cache::window::LONGEST_LIFE;
use crate::error::ErrorKind;
use crate::wire::call::tests::{ENDPOINT, SECRET, read_from};

fn respond(status: u16, body: &str) -> Result<TokenResponse, Error> {
    respond_with(status, &[("content-type", "application/json")], body)
}

fn respond_with(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Result<TokenResponse, Error> {
    read_from(status, pairs, body, |response| issued(response, &response.object, true))
}

fn failure(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Error {
    let error = respond_with(status, pairs, body).expect_err(body);
    assert!(error.to_string().starts_with(ENDPOINT), "{error}");
    assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    error
}

/// The life that a response with these further fields leads to, when the issuer states no time.
fn life(fields: &str) -> Option<Duration> {
    let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{fields}}}"#);
    respond(200, &body).expect(fields).expires_in
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn the_vendors_response_is_a_token_with_a_life_and_a_scope() {
    let response = respond(
        200,
        r#"{"access_token":"opaque.token","token_type":"Bearer","expires_in":1200,
            "expires_at":1700001200,"scope":"api://orders|read","issued_token_type":"urn:x",
            "request_id":"req_1"}"#,
    )
    .unwrap();
    assert_eq!(response.authorization().unwrap(), "Bearer opaque.token");
    assert!(response.authorization().unwrap().is_sensitive());
    assert_eq!(response.expires_in, seconds(1200));
    assert_eq!(response.granted_scope.as_deref(), Some("api://orders|read"));
    assert_eq!(response.issued_token_type.as_deref(), Some("urn:x"));
    assert_eq!(response.request_id.as_deref(), Some("req_1"));
}

#[test]
fn an_empty_error_beside_a_token_is_none() {
    for empty in ["null", "\"\"", "false"] {
        let body = format!(r#"{{"access_token":"t","error":{empty},"code":"x","message":"y"}}"#);
        assert!(respond(200, &body).is_ok(), "{body}");
    }
}

#[test]
fn a_secret_or_the_token_itself_echoed_beside_the_token_is_not_kept() {
    let echo = format!("a {SECRET} b the.token");
    let body = serde_json::json!({ "access_token": "the.token", "scope": echo, "issued_token_type": echo, "request_id": echo });
    let response = respond(200, &body.to_string()).unwrap();
    assert_eq!(response.granted_scope.as_deref(), Some("a [redacted] b [redacted]"));
    assert_eq!(response.issued_token_type.as_deref(), Some("a [redacted] b [redacted]"));
    assert_eq!(response.request_id.as_deref(), Some("[redacted]"));
}

#[test]
fn expires_in_is_read_however_it_is_written_and_clamped_to_what_makes_sense() {
    for (written, expected) in [
        ("1200", seconds(1200)),
        ("\"1200\"", seconds(1200)),
        ("\" 1200 \"", seconds(1200)),
        ("1200.5", Some(Duration::from_millis(1_200_500))),
        ("1.2e3", seconds(1200)),
        ("\"1200.0\"", seconds(1200)),
        ("0", seconds(0)),
        ("-1", seconds(0)),
        ("\"-1200\"", seconds(0)),
        ("-1e18", seconds(0)),
        ("1e18", Some(LONGEST_LIFE)),
        ("18446744073709551615", Some(LONGEST_LIFE)),
        ("99999999999999999999999999", Some(LONGEST_LIFE)),
        ("1e308", Some(LONGEST_LIFE)),
        ("\"Infinity\"", Some(LONGEST_LIFE)),
        ("\"NaN\"", None),
        ("\"soon\"", None),
        ("\"\"", None),
        ("null", None),
        ("true", None),
        ("[1200]", None),
        ("{}", None),
    ] {
        assert_eq!(life(&format!(r#","expires_in":{written}"#)), expected, "{written}");
    }
}

#[test]
fn expires_in_counts_alone_and_expires_at_without_it_in_whatever_unit() {
    for (fields, expected) in [
        ("", None),
        (r#","expires_in":900"#, seconds(900)),
        (r#","expires_at":1700000900"#, seconds(900)),
        (r#","expires_at":"1700000900""#, seconds(900)),
        (r#","expires_at":null,"expires_in":900"#, seconds(900)),
        (r#","expires_in":"x","expires_at":1700000900"#, seconds(900)),
        (r#","expires_in":900,"expires_at":1700000300"#, seconds(900)),
        (r#","expires_in":1200,"expires_at":1600000000"#, seconds(1200)),
        (r#","expires_in":300,"expires_at":1700000900"#, seconds(300)),
        // In the past, and long ago.
        (r#","expires_at":1699999999"#, seconds(0)),
        (r#","expires_at":0"#, seconds(0)),
        (r#","expires_at":-1e18"#, seconds(0)),
        // Milliseconds, microseconds, nanoseconds, text.
        (r#","expires_at":1700000900000"#, seconds(900)),
        (r#","expires_at":"1700000900000""#, seconds(900)),
        (r#","expires_at":1700000900000000"#, seconds(900)),
        (r#","expires_at":1700000900000000000"#, seconds(900)),
        (r#","expires_at":"2023-11-14T22:28:20Z""#, seconds(900)),
        (r#","expires_at":"2023-11-15T06:28:20.000+08:00""#, seconds(900)),
        (r#","expires_at":"soon""#, None),
        (r#","expires_in":900,"expires_at":1700000900000"#, seconds(900)),
        (r#","expires_at":1e30"#, Some(LONGEST_LIFE)),
    ] {
        assert_eq!(life(fields).map(rounded), expected, "{fields}");
    }
}

/// Rounds off what the division of large numbers adds.
fn rounded(life: Duration) -> Duration {
    Duration::from_secs_f64(life.as_secs_f64().round())
}

#[test]
fn expires_at_counts_by_the_earlier_of_two_clocks_unless_one_of_them_says_it_is_past() {
    let life = |date: &str| {
        let body = r#"{"access_token":"t","expires_at":1700001200}"#;
        respond_with(200, &[("date", date)], body).unwrap().expires_in
    };
    // The clock of the issuer: equal to ours, ten minutes behind it, ten minutes ahead, hours ahead, and no clock at
    // all.
    assert_eq!(life("Tue, 14 Nov 2023 22:13:20 GMT"), seconds(1200));
    assert_eq!(life("Tue, 14 Nov 2023 22:03:20 GMT"), seconds(1200));
    assert_eq!(life("Tue, 14 Nov 2023 22:23:20 GMT"), seconds(600));
    assert_eq!(life("Wed, 15 Nov 2023 02:23:20 GMT"), seconds(1200));
    assert_eq!(life("yesterday"), seconds(1200));
    // Our clock is half an hour ahead.
    let body = r#"{"access_token":"t","expires_at":1699999000}"#;
    let date = "Tue, 14 Nov 2023 21:43:20 GMT";
    assert_eq!(respond_with(200, &[("date", date)], body).unwrap().expires_in, seconds(800));
    // The `Date` of a cached response is not the current time.
    assert_eq!(respond_with(200, &[("date", date), ("age", "1")], body).unwrap().expires_in, seconds(0));
}

#[test]
fn bearer_in_any_letter_case_or_no_token_type_passes() {
    for token_type in [
        "",
        r#","token_type":null"#,
        r#","token_type":"bearer""#,
        r#","token_type":"BEARER""#,
        r#","token_type":"Bearer ""#,
        r#","token_type":"""#,
    ] {
        let body = format!(r#"{{"access_token":"t"{token_type}}}"#);
        assert_eq!(respond(200, &body).expect(token_type).authorization().unwrap(), "Bearer t");
    }
}

#[test]
fn fields_that_mean_no_failure_do_not_spoil_a_success() {
    for field in [r#""error":null"#, r#""error":"""#, r#""Code":"Success""#, r#""code":200"#, r#""data":{}"#]
    {
        let body = format!(r#"{{{field},"access_token":"t"}}"#);
        assert!(respond(200, &body).is_ok(), "{field}");
    }
    assert!(respond(201, r#"{"access_token":"t"}"#).is_ok());
}

#[test]
fn a_success_without_a_usable_token_is_a_definitive_error() {
    for (token, reason) in [
        ("", "carries no access token"),
        (r#""access_token":"""#, "carries no access token"),
        (r#""access_token":null"#, "carries no access token"),
        (r#""access_token":5"#, "carries no access token"),
        (r#""access_token":["MARKER"]"#, "carries no access token"),
        (r#""accessToken":"MARKER""#, "carries no access token"),
        (r#""access_token":"MARKER\r\nx: y""#, "no bearer token may hold"),
        (r#""access_token":"MARKER\u0000""#, "no bearer token may hold"),
        (r#""access_token":"MARKER\u007f""#, "no bearer token may hold"),
        (r#""access_token":"MARKER x""#, "no bearer token may hold"),
        (r#""access_token":"MARKER\u00e9""#, "no bearer token may hold"),
        (r#""access_token":"t","token_type":"DPoP""#, "`DPoP` is not supported"),
        (r#""access_token":"t","token_type":"mac""#, "`mac` is not supported"),
        (r#""access_token":"t","token_type":5"#, "the token type is not a string"),
    ] {
        let error = failure(200, &[], &format!("{{{token}}}"));
        assert!(error.to_string().contains(reason), "{token}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(!error.is_transient());
    }
}

#[test]
fn a_token_that_is_no_access_token_is_taken_where_its_type_is_named_and_goes_into_no_header() {
    for token_type in ["N_A", "n_a"] {
        let body = format!(
            r#"{{"access_token":"<saml> {token_type}","token_type":"{token_type}","expires_in":60,
                "issued_token_type":"urn:ietf:params:oauth:token-type:saml2"}}"#
        );
        let response = respond(200, &body).unwrap();
        assert!(!response.is_bearer());
        assert_eq!(response.expose_token(), format!("<saml> {token_type}"));
        assert_eq!(response.issued_token_type(), Some("urn:ietf:params:oauth:token-type:saml2"));
        assert_eq!(response.expires_in(), seconds(60));
        assert!(!format!("{response:?}").contains("<saml>"));
    }
    for (kind, reason) in [
        ("", "no `issued_token_type` says what it is"),
        (r#","issued_token_type":"""#, "no `issued_token_type` says what it is"),
        (
            r#","issued_token_type":"urn:ietf:params:oauth:token-type:access_token""#,
            "although `issued_token_type` says an access token",
        ),
    ] {
        let error = failure(200, &[], &format!(r#"{{"access_token":"MARKER","token_type":"N_A"{kind}}}"#));
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_token_type_that_repeats_the_token_or_a_secret_is_redacted() {
    let body = format!(r#"{{"access_token":"MARKER-token","token_type":"MARKER-token {SECRET}"}}"#);
    let error = failure(200, &[], &body);
    assert!(error.to_string().contains("`[redacted] [redacted]` is not supported"), "{error}");
}

#[test]
fn only_an_exchanged_token_may_be_no_access_token() {
    let body = r#"{"access_token":"<MARKER>","token_type":"N_A","issued_token_type":"urn:ietf:params:oauth:token-type:saml2"}"#;
    assert!(!respond(200, body).unwrap().is_bearer());
    let own = read_from(200, &[], body, |response| issued(response, &response.object, false));
    let error = own.unwrap_err();
    assert!(error.to_string().contains("its token type is `N_A`, so it is no access token"), "{error}");
    assert!(!error.is_transient() && !format!("{error:?}").contains("MARKER"), "{error:?}");
}
