//! Answers with a token in them, and how long it lives.

use crate::cache::window::LONGEST_LIFE;
use crate::wire::response::tests::*;

/// The life that an answer with these further fields gives, by an issuer that tells no time.
fn life(fields: &str) -> Option<Duration> {
    let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{fields}}}"#);
    answer(200, &body).expect(fields).expires_in
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn the_vendors_answer_is_a_token_with_a_life_and_a_scope() {
    let response = answer(
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
        assert!(answer(200, &body).is_ok(), "{body}");
    }
}

#[test]
fn a_secret_or_the_token_itself_echoed_beside_the_token_is_not_kept() {
    let echo = format!("a {SECRET} b the.token");
    let body = serde_json::json!({ "access_token": "the.token", "scope": echo, "issued_token_type": echo, "request_id": echo });
    let response = answer(200, &body.to_string()).unwrap();
    assert_eq!(response.granted_scope.as_deref(), Some("a [redacted] b [redacted]"));
    assert_eq!(response.issued_token_type.as_deref(), Some("a [redacted] b [redacted]"));
    assert_eq!(response.request_id.as_deref(), Some("a [redacted] b [redacted]"));
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
fn the_life_comes_from_whichever_field_is_there_and_is_the_shorter_of_both() {
    for (fields, expected) in [
        ("", None),
        (r#","expires_in":900"#, seconds(900)),
        (r#","expires_at":1700000900"#, seconds(900)),
        (r#","expires_at":"1700000900""#, seconds(900)),
        (r#","expires_at":null,"expires_in":900"#, seconds(900)),
        (r#","expires_in":"x","expires_at":1700000900"#, seconds(900)),
        (r#","expires_in":900,"expires_at":1700000300"#, seconds(300)),
        (r#","expires_in":300,"expires_at":1700000900"#, seconds(300)),
        // In the past, and long ago.
        (r#","expires_at":1699999999"#, seconds(0)),
        (r#","expires_at":0"#, seconds(0)),
        (r#","expires_at":-1e18"#, seconds(0)),
        // In milliseconds: alone it is clamped, and beside `expires_in` it does no harm.
        (r#","expires_at":1700000900000"#, Some(LONGEST_LIFE)),
        (r#","expires_in":900,"expires_at":1700000900000"#, seconds(900)),
        (r#","expires_at":1e18"#, Some(LONGEST_LIFE)),
    ] {
        assert_eq!(life(fields), expected, "{fields}");
    }
}

#[test]
fn expires_at_counts_by_the_issuers_clock_when_it_tells_the_time() {
    let life = |date: &str| {
        let body = r#"{"access_token":"t","expires_at":1700001200}"#;
        answer_with(200, &[("date", date)], body).unwrap().expires_in
    };
    // The same clock, one ten minutes behind ours, one ten minutes ahead of it, and one that is no clock.
    assert_eq!(life("Tue, 14 Nov 2023 22:13:20 GMT"), seconds(1200));
    assert_eq!(life("Tue, 14 Nov 2023 22:03:20 GMT"), seconds(1800));
    assert_eq!(life("Tue, 14 Nov 2023 22:23:20 GMT"), seconds(600));
    assert_eq!(life("yesterday"), seconds(1200));
}

#[test]
fn bearer_in_any_letter_case_or_no_token_type_passes() {
    for token_type in ["", r#","token_type":null"#, r#","token_type":"bearer""#, r#","token_type":"BEARER""#]
    {
        let body = format!(r#"{{"access_token":"t"{token_type}}}"#);
        assert_eq!(answer(200, &body).expect(token_type).authorization().unwrap(), "Bearer t");
    }
}

#[test]
fn fields_that_mean_no_failure_do_not_spoil_a_success() {
    for field in [r#""error":null"#, r#""error":"""#, r#""Code":"Success""#, r#""code":200"#, r#""data":{}"#]
    {
        let body = format!(r#"{{{field},"access_token":"t"}}"#);
        assert!(answer(200, &body).is_ok(), "{field}");
    }
    assert!(answer(201, r#"{"access_token":"t"}"#).is_ok());
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
fn a_token_type_that_repeats_the_token_or_a_secret_is_masked() {
    let body = format!(r#"{{"access_token":"MARKER-token","token_type":"MARKER-token {SECRET}"}}"#);
    let error = failure(200, &[], &body);
    assert!(error.to_string().contains("`[redacted] [redacted]` is not supported"), "{error}");
}
