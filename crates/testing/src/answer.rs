//! An answer before it is sent: status, headers, and the whole body.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use super::behaviour::AnswerChange;
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

    /// The JSON of a success, changed on its way out if it is to be.
    pub(super) fn success(mut object: Map<String, Value>, change: Option<&AnswerChange>) -> Self {
        if let Some(change) = change {
            change.apply(&mut object);
        }
        Self::json(StatusCode::OK, &Value::Object(object))
    }

    pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: text.into() }
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

/// An answer that says no.
pub(super) struct Refused(pub(super) Box<Answer>);

impl From<Answer> for Refused {
    fn from(answer: Answer) -> Self {
        Self(Box::new(answer))
    }
}

impl From<StatusCode> for Refused {
    fn from(status: StatusCode) -> Self {
        Answer::text(status, Bytes::new()).into()
    }
}
