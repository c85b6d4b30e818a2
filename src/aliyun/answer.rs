//! Answers in the OpenAPI's shape: the JSON of a success, or `Code`, `Message` and `RequestId`.

use std::time::SystemTime;

use bytes::Bytes;
use http::Response;

use crate::error::Error;
use crate::wire::response::{self as answer, Answer, Asked, Peer};

/// The OpenAPI of Alibaba Cloud.
#[derive(Debug)]
pub(crate) struct OpenApi;

impl Peer for OpenApi {
    fn name(&self) -> &'static str {
        "the OpenAPI"
    }

    fn holds(&self) -> [&'static str; 2] {
        ["a result", "an error of the OpenAPI"]
    }

    fn may_pass(&self, code: &str) -> bool {
        // The next attempt has a nonce of its own.
        code == "SignatureNonceUsed" || code == "ServiceUnavailable" || code.starts_with("InternalError")
    }

    fn advice(&self, code: &str, scope: &str) -> String {
        match code {
            _ if code.starts_with("InvalidTimeStamp") => "check this machine's clock".into(),
            _ if blames_security_token(code) => {
                "the STS credential has expired or does not belong together; get a new one".into()
            }
            _ if blames_credential(code) => "check the Alibaba Cloud access key id and secret".into(),
            _ if blames_permission(code) => {
                format!("check what the access key's owner may do (RAM){}", granted(scope))
            }
            _ => format!("check the configuration{}", granted(scope)),
        }
    }
}

fn granted(scope: &str) -> String {
    match scope {
        "" => String::new(),
        scope => format!(", and that the application is granted `{scope}`"),
    }
}

/// Whether a refusal with this code is about who asked, so that another credential may do.
pub(crate) fn blames_credential(code: &str) -> bool {
    let starts =
        ["InvalidAccessKeyId", "InvalidAccessKeySecret", "SignatureDoesNotMatch", "IncompleteSignature"];
    starts.iter().any(|start| code.starts_with(start)) || blames_security_token(code)
}

/// Whether a refusal with this code is about what the one who asked may do.
pub(crate) fn blames_permission(code: &str) -> bool {
    code.starts_with("Forbidden") || code.starts_with("NoPermission")
}

fn blames_security_token(code: &str) -> bool {
    ["InvalidSecurityToken", "MissingSecurityToken", "SecurityTokenExpired"]
        .iter()
        .any(|start| code.starts_with(start))
}

/// The JSON object of a success.
///
/// # Errors
///
/// Everything else, classified as at the token endpoint.
pub(super) fn read<'a>(response: &'a Response<Bytes>, asked: &'a Asked<'a>) -> Result<Answer<'a>, Error> {
    answer::object(response.status(), response.headers(), response.body(), asked)
}

/// The point in time that RFC 3339 text tells, if it is in UTC and says so: read as if it were in UTC, one of
/// another zone would end credentials hours too late.
pub(super) fn point_in_time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::StatusCode;

    use super::*;
    use crate::error::ErrorKind;

    const SECRET: &str = "S3CRETmarker";

    fn response(status: u16, body: &'static str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    }

    fn asked() -> Asked<'static> {
        Asked {
            peer: &OpenApi,
            endpoint: "https://eiam.example/",
            scope: "api://orders|read",
            secrets: vec![SECRET],
            now: SystemTime::UNIX_EPOCH,
        }
    }

    fn failure(response: &Response<Bytes>) -> Error {
        read(response, &asked()).map(drop).unwrap_err()
    }

    #[test]
    fn each_refusal_tells_what_to_do_and_whether_it_may_pass() {
        for (status, code, transient, hint) in [
            (400, "InvalidTimeStamp.Expired", false, "check this machine's clock"),
            (400, "InvalidTimeStamp.Format", false, "check this machine's clock"),
            (400, "SignatureNonceUsed", true, "it will be asked again"),
            (404, "InvalidAccessKeyId.NotFound", false, "check the Alibaba Cloud access key id and secret"),
            (400, "InvalidAccessKeyId.Inactive", false, "check the Alibaba Cloud access key id and secret"),
            (400, "SignatureDoesNotMatch", false, "check the Alibaba Cloud access key id and secret"),
            (400, "InvalidSecurityToken.Expired", false, "get a new one"),
            (400, "InvalidSecurityToken.MismatchWithAccessKey", false, "get a new one"),
            (403, "Forbidden.RAM", false, "granted `api://orders|read`"),
            (400, "InvalidParameter.Audience", false, "check the configuration"),
            (400, "Throttling.User", true, "it will be asked again"),
            (429, "TooManyRequests", true, "it will be asked again"),
            (503, "ServiceUnavailable", true, "it will be asked again"),
            (200, "InvalidSecurityToken.Expired", false, "get a new one"),
            (200, "Throttling", true, "it will be asked again"),
        ] {
            let body = format!(r#"{{"Code":"{code}","Message":"why {SECRET}","RequestId":"ID-1"}}"#);
            let error = failure(&response(status, Box::leak(body.into_boxed_str())));
            let kind = if transient { ErrorKind::Unavailable } else { ErrorKind::Refused };
            assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{status} {code}");
            assert_eq!((error.code(), error.request_id()), (Some(code), Some("ID-1")));
            let text = error.to_string();
            for part in [&*status.to_string(), code, "(why [redacted])", "request id ID-1", hint] {
                assert!(text.contains(part), "{part} is missing in: {text}");
            }
            assert!(!text.contains('\n') && !format!("{error:?}").contains(SECRET));
        }
    }

    #[test]
    fn a_throttled_call_is_told_when_to_come_back() {
        let mut response = response(429, r#"{"Code":"Throttling","RequestId":"ID-1"}"#);
        response.headers_mut().insert("retry-after", 7.into());
        assert_eq!(failure(&response).retry_after(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn somebody_elses_answer_is_told_apart() {
        let error = failure(&response(502, "<html>"));
        assert!(error.is_transient());
        assert!(error.to_string().contains("neither a result nor an error of the OpenAPI"), "{error}");
        let error = failure(&response(302, ""));
        assert!(error.to_string().contains("redirects of the OpenAPI are refused"), "{error}");
    }

    #[test]
    fn a_point_in_time_is_told_in_utc_or_not_at_all() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for text in ["2027-01-15T08:00:00Z", "2027-01-15T08:00:00.000Z", " 2027-01-15T08:00:00+00:00\n"] {
            assert_eq!(point_in_time(text), Some(expected), "{text}");
        }
        for text in [
            "2027-01-15T08:00:00+08:00",
            "2027-01-15T08:00:00.000+08:00",
            "2027-01-15T08:00:00.000-00:30",
            "2027-01-15T08:00:00",
            "2027-01-15T08:00:00.000",
            "2027-01-15 08:00:00Z",
            "tomorrow",
            "",
        ] {
            assert_eq!(point_in_time(text), None, "{text}");
        }
    }

    #[test]
    fn a_success_is_an_object_even_if_it_says_so() {
        for body in [r#"{"RequestId":"x","Code":"Success"}"#, r#"{"RequestId":"x"}"#, r#"{"Code":null}"#] {
            assert!(read(&response(200, body), &asked()).is_ok(), "{body}");
        }
    }
}
