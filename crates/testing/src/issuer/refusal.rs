//! The refusals of the token endpoint.

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::server::response::{self, Refused};

/// A refused request: the OAuth error of RFC 6749 section 5.2, and a text for the reader of a failed test.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) description: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into() }
    }

    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(crate) fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = response::json(self.status, &self.body());
        let header = match self.status {
            StatusCode::UNAUTHORIZED => (WWW_AUTHENTICATE, "Basic realm=\"idaas\", charset=\"UTF-8\""),
            StatusCode::METHOD_NOT_ALLOWED => (ALLOW, "POST"),
            _ => return response,
        };
        response.headers_mut().insert(header.0, HeaderValue::from_static(header.1));
        response
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
        refusal.into_response().into()
    }
}
