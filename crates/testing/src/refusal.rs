//! How the token endpoint says no.

use http::StatusCode;
use http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use super::answer::{Answer, Refused};

/// A refused request: the OAuth error of RFC 6749 section 5.2, and a text for the reader of a failed test.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) description: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into() }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    pub(super) fn into_answer(self) -> Answer {
        let body = self.body();
        let mut answer = Answer::json(self.status, &body);
        let header = match self.status {
            StatusCode::UNAUTHORIZED => (WWW_AUTHENTICATE, "Basic realm=\"idaas\", charset=\"UTF-8\""),
            StatusCode::METHOD_NOT_ALLOWED => (ALLOW, "POST"),
            _ => return answer,
        };
        answer.headers.insert(header.0, HeaderValue::from_static(header.1));
        answer
    }

    fn body(&self) -> Value {
        json!({
            "error": self.error,
            "error_description": self.description,
            "request_id": format!("req_{:032x}", fastrand::u128(..)),
        })
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        refusal.into_answer().into()
    }
}
