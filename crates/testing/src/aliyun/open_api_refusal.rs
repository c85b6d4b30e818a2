//! The refusals of Alibaba Cloud's OpenAPI.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, request};
use serde_json::json;

use crate::server::response::{self, Refused};

/// A refused call: its code, and a text for the reader of a failed test.
#[derive(Debug)]
pub(crate) struct OpenApiRefusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl OpenApiRefusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A refusal that gives away what came, as a careless one would: credentials first, because a long
    /// message may be cut.
    pub(crate) fn echo(head: &request::Parts) -> Self {
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

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let body = json!({
            "RequestId": format!("{:032X}", fastrand::u128(..)),
            "Code": self.code,
            "Message": self.message,
        });
        response::json(self.status, &body)
    }
}

impl From<OpenApiRefusal> for Refused {
    fn from(refusal: OpenApiRefusal) -> Self {
        refusal.into_response().into()
    }
}
