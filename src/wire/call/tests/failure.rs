//! Refusals, responses of servers in between, and requested pauses.

use crate::wire::call::tests::*;

#[test]
fn each_refusal_is_one_line_that_says_what_to_do_and_whether_it_may_pass() {
    for (status, code, transient, hint) in [
        (400, "invalid_client", false, "check the client id and its credentials"),
        (401, "invalid_client", false, "check the client id and its credentials"),
        (400, "invalid_scope", false, "is granted `api://orders|read`"),
        (400, "unauthorized_client", false, "is granted `api://orders|read`"),
        (403, "access_denied", false, "is granted `api://orders|read`"),
        (400, "invalid_request", false, "check the configuration"),
        (400, "something_new", false, "check the configuration"),
        (404, "not_found", false, "check the address of the token endpoint"),
        (200, "invalid_client", false, "check the client id and its credentials"),
        (200, "temporarily_unavailable", true, "try again later"),
        (400, "slow_down", true, "try again later"),
        (400, "server_error", true, "try again later"),
        (408, "timeout", true, "try again later"),
        (429, "too_many_requests", true, "try again later"),
        (500, "server_error", true, "try again later"),
        (503, "invalid_client", true, "try again later"),
    ] {
        let body = format!(r#"{{"error":"{code}","error_description":"why","request_id":"req_1"}}"#);
        let error = failure(status, &[], &body);
        let kind = if transient { ErrorKind::Unavailable } else { ErrorKind::Refused };
        assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{status} {code}");
        assert_eq!((error.code(), error.request_id()), (Some(code), Some("req_1")));
        let text = error.to_string();
        for part in [&*status.to_string(), code, "(why)", "request id req_1", hint] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(!text.contains('\n'));
    }
}

#[test]
fn the_openapi_shape_is_a_refusal_too() {
    let body = r#"{"Code":"Forbidden.App","Message":"why","RequestId":"ID-1","HostId":"x"}"#;
    let error = failure(403, &[], body);
    assert_eq!((error.code(), error.request_id()), (Some("Forbidden.App"), Some("ID-1")));
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));

    let error = failure(400, &[], r#"{"Code":"Throttling.User","Message":"slower"}"#);
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
}

#[test]
fn a_failure_in_an_object_of_its_own_or_in_small_letters_is_a_refusal_too() {
    for status in [200, 400] {
        let nested =
            r#"{"access_token":"t","request_id":"ID-1","error":{"code":"invalid_scope","message":"why"}}"#;
        let small = r#"{"code":"invalid_scope","message":"why","requestId":"ID-1"}"#;
        for body in [nested, small] {
            let error = failure(status, &[], body);
            assert_eq!((error.code(), error.request_id()), (Some("invalid_scope"), Some("ID-1")));
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
            assert!(error.to_string().contains("invalid_scope (why)"), "{error}");
        }
    }
}

#[test]
fn another_server_than_the_issuer_is_named_by_status_and_content_type_and_not_shown() {
    let html = "<html>MARKER blocked by the firewall</html>";
    for (status, content_type, body, kind) in [
        (403, "text/html; charset=utf-8", html, ErrorKind::Unavailable),
        (404, "text/html", html, ErrorKind::Unavailable),
        (407, "text/html", html, ErrorKind::Unavailable),
        (500, "text/html", html, ErrorKind::Unavailable),
        (502, "text/html", "", ErrorKind::Unavailable),
        (503, "application/json", r#"{"status":"MARKER"}"#, ErrorKind::Unavailable),
        (400, "application/json", r#"{"error":{"hint":"MARKER"}}"#, ErrorKind::Unavailable),
        (200, "text/html", html, ErrorKind::InvalidResponse),
        (200, "application/json", r#"{"access_token":"MARKER","#, ErrorKind::InvalidResponse),
        (200, "application/json", r#"["MARKER"]"#, ErrorKind::InvalidResponse),
        (
            200,
            "application/json",
            r#"{"error":{"hint":"MARKER"},"access_token":"t"}"#,
            ErrorKind::InvalidResponse,
        ),
        (200, "application/json", r#"{"error":["MARKER"],"access_token":"t"}"#, ErrorKind::InvalidResponse),
        (200, "application/json", r#"{"error":true,"access_token":"t"}"#, ErrorKind::InvalidResponse),
        (200, "application/json", r#""MARKER""#, ErrorKind::InvalidResponse),
        (200, "application/json", "null", ErrorKind::InvalidResponse),
        (200, "application/json", "", ErrorKind::InvalidResponse),
        (204, "text/plain", "", ErrorKind::InvalidResponse),
    ] {
        let error = failure(status, &[("content-type", content_type)], body);
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{status} {body}");
        assert_eq!(error.code(), None);
        let text = error.to_string();
        let length = format!("{} bytes", body.len());
        for part in [&*status.to_string(), content_type, &length] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }
    assert!(failure(200, &[], "x").to_string().contains("no content type"));
}

#[test]
fn a_deeply_nested_response_is_an_error_and_no_stack_overflow() {
    for body in ["[".repeat(200_000), r#"{"error":"#.repeat(200_000)] {
        let error = failure(200, &[], &body);
        assert!(error.to_string().contains("is nested too deeply") && !error.is_transient(), "{error}");
    }
}

#[test]
fn redirects_are_refused_and_their_target_is_not_shown() {
    for status in [300, 301, 302, 303, 307, 308] {
        let error = failure(status, &[("location", "https://evil.example/?MARKER")], "");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::InvalidResponse, false));
        let text = error.to_string();
        assert!(text.contains("redirects of the token endpoint are refused"), "{text}");
        assert!(!text.contains("evil.example"), "{text}");
    }
}

#[test]
fn a_304_redirects_nowhere() {
    let error = failure(304, &[], "");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
    let text = error.to_string();
    assert!(
        text.contains("responded with 304 Not Modified and 0 bytes") && !text.contains("redirect"),
        "{text}"
    );
}

#[test]
fn a_redirect_with_a_token_in_it_is_still_refused() {
    failure(302, &[], r#"{"access_token":"t","token_type":"Bearer","expires_in":1200}"#);
}

#[test]
fn retry_after_is_read_by_the_issuers_clock() {
    const BEHIND: (&str, &str) = ("date", "Tue, 14 Nov 2023 22:03:20 GMT");
    let busy = |pairs: &[(&'static str, &str)]| {
        let from_issuer = failure(429, pairs, r#"{"error":"too_many_requests"}"#);
        let from_gateway = failure(503, pairs, "<html>busy</html>");
        assert_eq!(from_issuer.retry_after(), from_gateway.retry_after());
        from_issuer.retry_after().map(|pause| pause.as_secs())
    };
    assert_eq!(busy(&[("retry-after", "Tue, 14 Nov 2023 22:15:20 GMT")]), Some(120));
    // An issuer whose clock is ten minutes behind means a time by its own clock; a cached response's date says nothing
    // about that clock.
    let until = ("retry-after", "Tue, 14 Nov 2023 22:05:20 GMT");
    assert_eq!(busy(&[BEHIND, until]), Some(120));
    assert_eq!(busy(&[BEHIND, until, ("age", "600")]), Some(0));
    assert_eq!(busy(&[]), None);
    // The gateway's headers belong to the OpenAPI, not to the token endpoint.
    assert_eq!(busy(&[("x-acs-retry-after", "60000")]), None);
}

#[test]
fn a_coding_that_was_not_requested_is_named_and_lasting() {
    for (status, lasting) in [(200, true), (400, true), (502, false)] {
        let error = failure(status, &[("content-encoding", "gzip")], "\u{1f}not really MARKER");
        assert!(error.to_string().contains("compressed (gzip), although the request accepts"), "{error}");
        assert_eq!(error.is_transient(), !lasting, "{error}");
    }
}

#[test]
fn a_clock_offset_follows_from_the_date_of_a_server_and_not_of_a_cache() {
    const LATE: (&str, &str) = ("date", "Tue, 14 Nov 2023 22:23:20 GMT");
    let offset = |pairs: &[(&'static str, &str)]| failure(400, pairs, r#"{"error":"x"}"#).clock_offset();
    assert_eq!(offset(&[]), None);
    assert_eq!(offset(&[("date", "Tue, 14 Nov 2023 22:13:20 GMT")]), Some(0));
    assert_eq!(offset(&[LATE]), Some(600_000_000_000));
    assert_eq!(offset(&[LATE, ("age", "0")]), None);
    assert_eq!(offset(&[("date", "yesterday")]), None);
}

#[test]
fn the_request_id_comes_from_the_body_or_else_from_a_header() {
    let header = ("x-request-id", "from-header");
    for (pairs, body, expected) in [
        (&[header][..], r#"{"error":"x","request_id":"a"}"#, Some("a")),
        (&[header], r#"{"error":"x","RequestId":"b"}"#, Some("b")),
        (&[header], r#"{"error":"x","requestId":"c"}"#, Some("c")),
        (&[header], r#"{"error":"x"}"#, Some("from-header")),
        (&[header], r#"{"error":"x","request_id":5}"#, Some("from-header")),
        (&[("x-acs-request-id", "acs"), header], "<html>", Some("acs")),
        (&[("x-acs-request-id", "acs")], r#"{"token_type":"x"}"#, Some("acs")),
        (&[], "<html>", None),
    ] {
        let error = failure(500, pairs, body);
        assert_eq!(error.request_id(), expected, "{body}");
    }
    // Redirects and unusable successes are reported to the issuer's support as well.
    assert_eq!(failure(302, &[header], "").request_id(), Some("from-header"));
    let unusable = read_from(200, &[header], "{}", |response| Err::<(), _>(response.unusable("it is empty")));
    assert_eq!(unusable.unwrap_err().request_id(), Some("from-header"));
}

#[test]
fn a_response_that_echoes_the_request_shows_none_of_it() {
    let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let by_rfc_3986 = "MARKER%2bsecret%2fof%3dthe%20client%25";
    for echo in [SECRET, &encoded, by_rfc_3986] {
        let body = format!(
            r#"{{"error":"bad {echo}","error_description":"client_secret={echo}&x","request_id":"{echo}"}}"#
        );
        let error = failure(400, &[("content-type", &format!("text/{echo}"))], &body);
        assert!(error.to_string().contains("(client_secret=[redacted]"), "{error}");
        assert_eq!(error.code(), Some("bad [redacted]"));
        assert_eq!(error.request_id(), Some("[redacted]"));
        failure(502, &[("content-type", &format!("text/{echo}")), ("x-request-id", echo)], "");
    }
}

#[test]
fn an_issuers_text_can_neither_forge_a_log_line_nor_flood_the_log() {
    let body = format!(r#"{{"error":"e\r\nINFO forged","error_description":"{}"}}"#, "x".repeat(100_000));
    let text = failure(400, &[], &body).to_string();
    assert!(!text.contains(['\r', '\n']), "{text}");
    assert!(text.len() < 1_000, "{}", text.len());
}
