//! How Alibaba Cloud's OpenAPI says no.

use http::{StatusCode, request};
use serde_json::json;

use super::answer::Answer;

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

    /// A refusal that gives away what came, as a careless one would.
    pub(super) fn echo(head: &request::Parts) -> Self {
        let headers = head.headers.iter();
        let headers =
            headers.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        let headers: Vec<String> = headers.filter(|line| !line.starts_with("accept")).collect();
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
