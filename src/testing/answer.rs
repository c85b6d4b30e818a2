//! An answer before it is sent: status, headers, and the whole body.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::body::AnswerBody;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// JSON that nobody may store.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status, headers, body: Bytes::from(body.to_string()) }
    }

    pub(super) fn send(self) -> Response<AnswerBody> {
        self.send_as(AnswerBody::whole)
    }

    /// Announces the whole body's length, whatever the body then does.
    pub(super) fn announce_length(mut self) -> Self {
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        self
    }

    pub(super) fn send_as(self, body: impl FnOnce(Bytes) -> AnswerBody) -> Response<AnswerBody> {
        let mut response = Response::new(body(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
