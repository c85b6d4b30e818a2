//! What a server does instead of its duty.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// What the token endpoint of a [`TestIdaas`](super::TestIdaas), or another server that has
/// [`Controls`](super::Controls), does with a request.
///
/// ```
/// use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
/// use tower_idaas_testing::Behaviour;
///
/// let busy = Behaviour::status(StatusCode::TOO_MANY_REQUESTS)
///     .with_header(RETRY_AFTER, HeaderValue::from_static("7"));
/// let no_life = Behaviour::change(|answer| {
///     answer.remove("expires_in");
///     answer.remove("expires_at");
/// });
/// # let _ = (busy, no_life);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Behaviour {
    /// Verifies the request and answers what it deserves.
    #[default]
    Normal,
    /// As normal, after a pause.
    Slow(Duration),
    /// Parks the request until [`Controls::release`](super::Controls::release).
    Hold,
    /// This answer, without looking at the request. See [`answer`](Self::answer), [`json`](Self::json),
    /// [`status`](Self::status), [`code`](Self::code) and
    /// [`openapi_error`](Self::openapi_error).
    Answer(Response<Bytes>),
    /// As normal, but a success is changed on its way out. See [`change`](Self::change).
    Change(AnswerChange),
    /// Refuses with 400 and a text, in the server's own shape of errors, that repeats the request's headers or
    /// form: credentials must not get into logs by this way.
    Echo,
    /// As normal, but the connection closes after half of the answer's body.
    CutMidBody,
    /// As normal, but the body starts with blanks that arrive one by one; the JSON follows them.
    Drip {
        /// The pause before each blank.
        interval: Duration,
        /// How many; `None` never ends.
        blanks: Option<u64>,
    },
    /// As normal, but the body starts with this many blanks, so that its size is all that is wrong with it.
    /// It has no `Content-Length`.
    HugeBody(u64),
    /// Accepts the connection and never says a word, so that a TLS handshake does not end.
    ///
    /// Open connections are closed when this is set, so that clients need a new one. A request that still
    /// comes on an open one gets no answer.
    HangHandshake,
}

/// A change to the JSON of a successful answer; made by [`Behaviour::change`].
#[derive(Clone)]
pub struct AnswerChange(Arc<Change>);

type Change = dyn Fn(&mut Map<String, Value>) + Send + Sync;

impl AnswerChange {
    pub(super) fn apply(&self, answer: &mut Map<String, Value>) {
        (self.0)(answer);
    }
}

impl fmt::Debug for AnswerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerChange")
    }
}

impl Behaviour {
    /// An answer with this status, content type and body.
    pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut answer = Response::new(body.into());
        *answer.status_mut() = status;
        if let Ok(content_type) = HeaderValue::from_str(content_type) {
            answer.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        Self::Answer(answer)
    }

    /// An answer with this JSON.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::answer(status, "application/json", body.to_string())
    }

    /// An answer without a body.
    pub fn status(status: StatusCode) -> Self {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = status;
        Self::Answer(answer)
    }

    /// A failure in the shape of OAuth: `error`, `error_description`, `request_id`.
    pub fn code(status: StatusCode, error: &str) -> Self {
        let description = "answered so because the test said so";
        let body = json!({ "error": error, "error_description": description, "request_id": "req_test" });
        Self::json(status, &body)
    }

    /// A failure in the shape of Alibaba Cloud's OpenAPI: `Code`, `Message`, `RequestId`.
    pub fn openapi_error(status: StatusCode, code: &str) -> Self {
        let message = "answered so because the test said so";
        Self::json(status, &json!({ "Code": code, "Message": message, "RequestId": "req_test" }))
    }

    /// As normal, but the JSON of a success is changed before it is sent.
    pub fn change(change: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static) -> Self {
        Self::Change(AnswerChange(Arc::new(change)))
    }

    /// Adds a header to an [`Answer`](Self::Answer); every other behaviour stays as it is.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let Self::Answer(answer) = &mut self {
            answer.headers_mut().append(name, value);
        }
        self
    }
}

impl fmt::Debug for Behaviour {
    /// Of an answer only the status: tests put tokens into the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("Normal"),
            Self::Slow(pause) => f.debug_tuple("Slow").field(pause).finish(),
            Self::Hold => f.write_str("Hold"),
            Self::Answer(answer) => f.debug_tuple("Answer").field(&answer.status()).finish(),
            Self::Change(_) => f.write_str("Change"),
            Self::Echo => f.write_str("Echo"),
            Self::CutMidBody => f.write_str("CutMidBody"),
            Self::Drip { interval, blanks } => {
                f.debug_struct("Drip").field("interval", interval).field("blanks", blanks).finish()
            }
            Self::HugeBody(bytes) => f.debug_tuple("HugeBody").field(bytes).finish(),
            Self::HangHandshake => f.write_str("HangHandshake"),
        }
    }
}
