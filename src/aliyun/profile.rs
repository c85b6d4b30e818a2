//! The OpenAPI of Alibaba Cloud as an [`ApiProfile`]: `Code`, `Message` and `RequestId`, and what the codes mean.

use crate::wire::profile::{ApiProfile, Refusal};
use crate::wire::redact::bounded;

/// The OpenAPI of Alibaba Cloud.
#[derive(Debug)]
pub(crate) struct OpenApi {
    /// The RAM action and resource that the call needs.
    pub(crate) permission: Option<(String, String)>,
    /// Whether a subject token is exchanged.
    pub(crate) exchange: bool,
}

impl ApiProfile for OpenApi {
    fn name(&self) -> &'static str {
        "the OpenAPI"
    }

    fn contents(&self) -> [&'static str; 2] {
        ["a result", "an error of the OpenAPI"]
    }

    fn is_transient(&self, code: &str) -> bool {
        is_transient(code)
    }

    fn hint_of_unusable(&self) -> &'static str {
        "check this machine's clock and the endpoint, or ask the support of Alibaba Cloud"
    }

    fn hint(&self, refusal: &Refusal<'_>) -> String {
        let Refusal { code, scope, description, .. } = *refusal;
        match code {
            _ if blames_clock(code) => "check this machine's clock".into(),
            _ if blames_security_token(code) => {
                "the STS credential has expired, or its id, secret and token are not of one credential; get a new one".into()
            }
            _ if blames_credential(code) => "check the Alibaba Cloud access key id and secret".into(),
            _ if blames_permission(code) => match &self.permission {
                Some((action, resource)) => format!(
                    "check that the RAM policies of the access key's owner allow `{action}` on `{resource}`{}",
                    granted(scope)
                ),
                None => format!("check what the access key's owner may do (RAM){}", granted(scope)),
            },
            _ if self.exchange && blames_subject(code, description) => {
                "check the subject token: it must be unexpired, not revoked, and an access token of the same issuer for \
                 this application"
                    .into()
            }
            _ if code.starts_with("OperationDenied") || code.contains("License") => {
                "check the licence of the IDaaS instance in the console".into()
            }
            _ => format!("check the configuration{}", granted(scope)),
        }
    }

    fn has_gateway(&self) -> bool {
        true
    }
}

/// Whether a refused exchange is about the subject token.
fn blames_subject(code: &str, description: &str) -> bool {
    let [code, description] = [code, description].map(str::to_ascii_lowercase);
    code.contains("subjecttoken")
        || code.contains("subject_token")
        || matches!(code.as_str(), "invalid_grant" | "invalidgrant" | "expired_token")
        || description.contains("subject token")
        || description.contains("subjecttoken")
}

fn granted(scope: &str) -> String {
    match scope {
        "" => String::new(),
        scope => format!(", and that the application is granted `{}`", bounded(scope)),
    }
}

/// Whether a call of an API behind the gateway may succeed later after this code.
pub(crate) fn is_transient(code: &str) -> bool {
    // The next attempt has a new nonce.
    code == "SignatureNonceUsed" || code == "ServiceUnavailable" || code.starts_with("InternalError")
}

/// Whether a refusal with this code is about the request's timestamp.
pub(crate) fn blames_clock(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    ["invalidtimestamp", "illegaltimestamp", "timestampexpired"].iter().any(|start| code.starts_with(start))
}

/// Whether a refusal with this code is about the credential, so that another one may succeed.
pub(crate) fn blames_credential(code: &str) -> bool {
    let starts =
        ["InvalidAccessKeyId", "InvalidAccessKeySecret", "SignatureDoesNotMatch", "IncompleteSignature"];
    starts.iter().any(|start| code.starts_with(start)) || blames_security_token(code)
}

/// Whether a refusal with this code is about the permissions of the credential's owner.
pub(crate) fn blames_permission(code: &str) -> bool {
    code.starts_with("Forbidden") || code.starts_with("NoPermission")
}

fn blames_security_token(code: &str) -> bool {
    ["InvalidSecurityToken", "MissingSecurityToken", "SecurityTokenExpired"]
        .iter()
        .any(|start| code.starts_with(start))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::wire::call::tests::{NOW, headers, read_as};

    const SECRET: &str = "S3CRETmarker";

    fn read(status: u16, headers: HeaderMap, body: &str) -> Result<(), Error> {
        let action = "eiam:GenerateOauthToken".to_owned();
        let permission = Some((action, "acs:eiam:*:*:instance/i/application/a".to_owned()));
        let status = StatusCode::from_u16(status).unwrap();
        let response = (status, headers, body.as_bytes());
        read_as(&OpenApi { permission, exchange: false }, &[SECRET], response, (NOW, NOW), |_| Ok(()))
    }

    fn failure(status: u16, body: &str) -> Error {
        read(status, HeaderMap::new(), body).unwrap_err()
    }

    #[test]
    fn each_refusal_says_what_to_do_and_whether_it_may_pass() {
        for (status, code, transient, hint) in [
            (400, "InvalidTimeStamp.Expired", false, "check this machine's clock"),
            (400, "InvalidTimeStamp.Format", false, "check this machine's clock"),
            (400, "SignatureNonceUsed", true, "try again later"),
            (404, "InvalidAccessKeyId.NotFound", false, "check the Alibaba Cloud access key id and secret"),
            (400, "InvalidAccessKeyId.Inactive", false, "check the Alibaba Cloud access key id and secret"),
            (400, "SignatureDoesNotMatch", false, "check the Alibaba Cloud access key id and secret"),
            (400, "InvalidSecurityToken.Expired", false, "get a new one"),
            (400, "InvalidSecurityToken.MismatchWithAccessKey", false, "get a new one"),
            (
                403,
                "Forbidden.RAM",
                false,
                "allow `eiam:GenerateOauthToken` on `acs:eiam:*:*:instance/i/application/a`, and that the application is \
                 granted `api://orders|read`",
            ),
            (400, "InvalidParameter.Audience", false, "is granted `api://orders|read`"),
            (400, "InvalidParameter.Audience", false, "check the configuration"),
            (400, "Throttling.User", true, "try again later"),
            (429, "TooManyRequests", true, "try again later"),
            (503, "ServiceUnavailable", true, "try again later"),
            (200, "InvalidSecurityToken.Expired", false, "get a new one"),
            (200, "Throttling", true, "try again later"),
        ] {
            let body = format!(r#"{{"Code":"{code}","Message":"why {SECRET}","RequestId":"ID-1"}}"#);
            let error = failure(status, &body);
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
    fn a_throttled_call_says_when_to_come_back_in_whatever_header() {
        let pause = |status, name: &'static str, value, code: &str| {
            let body = format!(r#"{{"Code":"{code}","RequestId":"ID-1"}}"#);
            let error = read(status, headers(&[(name, value)]), &body);
            let error = error.unwrap_err();
            (error.retry_after().map(|pause| pause.as_millis()), error.is_transient())
        };
        for status in [400, 429, 503] {
            assert_eq!(pause(status, "x-acs-retry-after", "60000", "Throttling.User"), (Some(60_000), true));
        }
        assert_eq!(pause(429, "retry-after", "7", "Throttling"), (Some(7_000), true));
        // The code makes no difference.
        assert_eq!(pause(403, "x-acs-retry-after", "1500", "Forbidden"), (Some(1_500), true));
        // A header that requests no pause is no sign of throttling.
        for value in ["0", "-5", "soon", ""] {
            assert_eq!(pause(403, "x-acs-retry-after", value, "Forbidden"), (None, false), "{value}");
        }
        let spent = "Limit:1,Remain:0,TimeLeft:2000,Reset:1234";
        assert_eq!(pause(400, "x-ratelimit-user-api", spent, "Throttling.Api"), (Some(2_000), true));
        assert_eq!(pause(400, "x-ratelimit-user", spent, "InvalidParameter"), (Some(2_000), false));
    }

    #[test]
    fn a_response_of_another_server_is_distinguished() {
        let error = failure(502, "<html>");
        assert!(error.is_transient());
        assert!(error.to_string().contains("neither a result nor an error of the OpenAPI"), "{error}");
        let error = failure(302, "");
        assert!(error.to_string().contains("redirects of the OpenAPI are refused"), "{error}");
    }

    #[test]
    fn a_success_is_an_object_even_if_it_says_so() {
        for body in [r#"{"RequestId":"x","Code":"Success"}"#, r#"{"RequestId":"x"}"#, r#"{"Code":null}"#] {
            assert!(read(200, HeaderMap::new(), body).is_ok(), "{body}");
        }
    }
}
