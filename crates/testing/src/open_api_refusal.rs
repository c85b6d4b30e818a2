//! How Alibaba Cloud's OpenAPI says no.

use http::{HeaderName, HeaderValue, StatusCode, request};
use serde_json::json;

use super::answer::{Answer, Refused};

/// A refused call: its code, and a text for the reader of a failed test.
#[derive(Debug)]
pub(super) struct OpenApiRefusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl OpenApiRefusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A refusal that gives away what came, as a careless one would: credentials first, because a long
    /// message may be cut.
    pub(super) fn echo(head: &request::Parts) -> Self {
        let mut headers: Vec<_> =
            head.headers.iter().filter(|(name, _)| !name.as_str().starts_with("accept")).collect();
        headers.sort_by_key(|(_, value)| !value.is_sensitive());
        let line = |(name, value): &(&HeaderName, &HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        let headers: Vec<String> = headers.iter().map(line).collect();
        let message = format!("cannot read {} {}", headers.join(", "), head.uri);
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameter", message)
    }

    pub(super) fn into_answer(self) -> Answer {
        let body = json!({
            "RequestId": format!("{:032X}", fastrand::u128(..)),
            "Code": self.code,
            "Message": self.message,
        });
        Answer::json(self.status, &body)
    }
}

impl From<OpenApiRefusal> for Refused {
    fn from(refusal: OpenApiRefusal) -> Self {
        refusal.into_answer().into()
    }
}
