//! What a server does instead of its duty.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::header::{AGE, CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// What the token endpoint of a [`TestIdaas`](crate::TestIdaas), or another server that has
/// [`Controls`](crate::Controls), does with a request.
///
/// ```
/// use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
/// use tower_idaas_testing::Behaviour;
///
/// let busy = Behaviour::status(StatusCode::TOO_MANY_REQUESTS)
///     .with_header(RETRY_AFTER, HeaderValue::from_static("7"));
/// let no_life = Behaviour::change(|json| {
///     json.remove("expires_in");
///     json.remove("expires_at");
/// });
/// # let _ = (busy, no_life);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Behaviour {
    /// Verifies the request and responds as the real service does.
    #[default]
    Normal,
    /// As normal, after a pause.
    Slow(Duration),
    /// Holds the request until [`Controls::release`](crate::Controls::release).
    Hold,
    /// This response, without looking at the request. See [`response`](Self::response), [`json`](Self::json),
    /// [`status`](Self::status), [`code`](Self::code), [`openapi_error`](Self::openapi_error),
    /// [`unavailable`](Self::unavailable) and [`throttled`](Self::throttled).
    Respond(Response<Bytes>),
    /// As normal, but the response is changed on its way out. See [`change`](Self::change) and
    /// [`change_response`](Self::change_response).
    Change(ResponseChange),
    /// Refuses with 400 and a text, in the server's own shape of errors, that repeats the request's headers or
    /// form: credentials must not get into logs by this way.
    Echo,
    /// As normal, but the connection closes after half of the response's body.
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
    /// Accepts the connection and sends no byte, so that a TLS handshake does not end.
    ///
    /// Open connections are closed when this is set, so that clients need a new one. A request that still
    /// comes on an open one gets no response.
    HangHandshake,
    /// These bytes in place of a response, and the end of the connection after them: what no HTTP library writes.
    ///
    /// For clients that speak HTTP/1.1, see [`TestIdaasBuilder::without_http2`](crate::TestIdaasBuilder::without_http2).
    Raw(Bytes),
    /// As normal, but header fields are folded onto more lines (RFC 9112 section 5.2), the content type among them. For
    /// clients that speak HTTP/1.1; the connection closes.
    FoldedHeaders,
    /// As normal, after this many interim responses (`102 Processing`). For clients that speak HTTP/1.1.
    Interim(usize),
}

/// A change to a response; made by [`Behaviour::change`] and [`Behaviour::change_response`].
#[derive(Clone, Default)]
pub struct ResponseChange {
    json: Option<Arc<JsonChange>>,
    /// One after the other.
    response: Vec<Arc<WholeChange>>,
}

type JsonChange = dyn Fn(&mut Map<String, Value>) + Send + Sync;
type WholeChange = dyn Fn(&mut Response<Bytes>) + Send + Sync;

impl ResponseChange {
    /// Of a success, before it becomes text.
    pub(crate) fn apply_to_json(&self, json: &mut Map<String, Value>) {
        if let Some(change) = &self.json {
            change(json);
        }
    }

    /// Of whatever is sent.
    pub(crate) fn apply_to_response(&self, response: &mut Response<Bytes>) {
        for change in &self.response {
            change(response);
        }
    }
}

impl fmt::Debug for ResponseChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseChange")
    }
}

/// Responses without a look at the request.
impl Behaviour {
    /// A response with this status, content type and body.
    pub fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        if let Ok(content_type) = HeaderValue::from_str(content_type) {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        Self::Respond(response)
    }

    /// A response with this JSON.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::response(status, "application/json", body.to_string())
    }

    /// A response without a body: a bare 401 as gateways send it, for example.
    pub fn status(status: StatusCode) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        Self::Respond(response)
    }

    /// A failure in the shape of OAuth: `error`, `error_description`, `request_id`.
    pub fn code(status: StatusCode, error: &str) -> Self {
        let description = "the script of the test says so";
        let body = json!({ "error": error, "error_description": description, "request_id": "req_test" });
        Self::json(status, &body)
    }

    /// A failure in the shape of Alibaba Cloud's OpenAPI: `Code`, `Message`, `RequestId`.
    pub fn openapi_error(status: StatusCode, code: &str) -> Self {
        let message = "the script of the test says so";
        Self::json(status, &json!({ "Code": code, "Message": message, "RequestId": "req_test" }))
    }

    /// 503 with this `Retry-After`, as it is: `"7"`, an HTTP date, or what some servers send in their place, such as `"1.5"`.
    ///
    /// # Panics
    ///
    /// If it is not visible ASCII.
    pub fn unavailable(retry_after: &'static str) -> Self {
        Self::status(StatusCode::SERVICE_UNAVAILABLE)
            .with_header(RETRY_AFTER, HeaderValue::from_static(retry_after))
    }

    /// Throttles as the gateway of the OpenAPI, of STS and of the DeveloperAPI does now: 429, code `Throttling.User`,
    /// and the time to wait in milliseconds in the header `x-acs-retry-after`.
    pub fn throttled(wait: Duration) -> Self {
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self::openapi_error(StatusCode::TOO_MANY_REQUESTS, "Throttling.User")
            .with_header(HeaderName::from_static("x-acs-retry-after"), HeaderValue::from(milliseconds))
    }

    /// Throttles as the gateway did before: 400, code `Throttling.Api`, and the time to wait among others in the header
    /// `x-ratelimit-user-api`.
    pub fn throttled_by_rate_limit(wait: Duration) -> Self {
        let limit = format!("Limit:1,Remain:0,TimeLeft:{},Reset:1234", wait.as_millis());
        let behaviour = Self::openapi_error(StatusCode::BAD_REQUEST, "Throttling.Api");
        match HeaderValue::from_str(&limit) {
            Ok(limit) => behaviour.with_header(HeaderName::from_static("x-ratelimit-user-api"), limit),
            Err(_) => behaviour, // digits and letters make a header value
        }
    }
}

/// Responses as normal, changed on their way out. Changes of the whole response can be combined with one of the JSON, by
/// [`with_header`](Behaviour::with_header) and [`and`](Behaviour::and).
impl Behaviour {
    /// As normal, but the JSON of a success is changed before it is sent.
    pub fn change(change: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static) -> Self {
        Self::Change(ResponseChange { json: Some(Arc::new(change)), response: Vec::new() })
    }

    /// As normal, but the response, a success or a refusal, is changed before it is sent.
    pub fn change_response(change: impl Fn(&mut Response<Bytes>) + Send + Sync + 'static) -> Self {
        Self::Normal.and(change)
    }

    /// Adds a change of the whole response to [`Normal`](Self::Normal), [`Respond`](Self::Respond) and
    /// [`Change`](Self::Change). No other behaviour is changed by it.
    #[must_use]
    pub fn and(mut self, change: impl Fn(&mut Response<Bytes>) + Send + Sync + 'static) -> Self {
        match &mut self {
            Self::Respond(response) => change(response),
            Self::Change(changes) => changes.response.push(Arc::new(change)),
            Self::Normal => {
                return Self::Change(ResponseChange { json: None, response: vec![Arc::new(change)] });
            }
            _ => {}
        }
        self
    }

    /// Adds a header, as [`and`](Self::and) does.
    #[must_use]
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.and(move |response| {
            response.headers_mut().append(name.clone(), value.clone());
        })
    }

    /// As normal, with this header `Date`: that of a proxy whose clock is wrong.
    pub fn date(date: SystemTime) -> Self {
        let date = HeaderValue::from_str(&httpdate::fmt_http_date(date));
        Self::change_response(move |response| {
            if let Ok(date) = &date {
                response.headers_mut().insert(DATE, date.clone());
            }
        })
    }

    /// As normal, with a header `Age`: from a cache that has had the response for so long (RFC 9111 section 5.1).
    pub fn aged(age: Duration) -> Self {
        Self::Normal.with_header(AGE, HeaderValue::from(age.as_secs()))
    }

    /// As normal, but the body is compressed with gzip, whatever the client accepts.
    pub fn gzip() -> Self {
        Self::change_response(|response| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            // Writing to memory does not fail.
            if encoder.write_all(response.body()).is_ok()
                && let Ok(compressed) = encoder.finish()
            {
                *response.body_mut() = compressed.into();
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        })
    }

    /// As normal, but the body starts with a byte-order mark (RFC 8259 section 8.1).
    pub fn byte_order_mark() -> Self {
        Self::change_response(|response| {
            *response.body_mut() = [b"\xef\xbb\xbf", response.body().as_ref()].concat().into();
        })
    }

    /// As normal, with this many header fields more.
    pub fn many_headers(count: usize) -> Self {
        Self::change_response(move |response| {
            for _ in 0..count {
                let name = HeaderName::from_static("x-filler");
                response.headers_mut().append(name, HeaderValue::from_static("filler"));
            }
        })
    }

    /// As normal, but the response says that what was issued is no access token: `token_type` is `N_A`, as RFC 8693 section 2.2.1 has
    /// it, and `issued_token_type` is this.
    pub fn not_an_access_token(issued_token_type: &str) -> Self {
        let kind = issued_token_type.to_owned();
        Self::change(move |json| {
            json.insert("token_type".to_owned(), json!("N_A"));
            json.insert("issued_token_type".to_owned(), json!(kind));
        })
    }
}

impl fmt::Debug for Behaviour {
    /// Of a response only the status: tests put tokens into the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("Normal"),
            Self::Slow(pause) => f.debug_tuple("Slow").field(pause).finish(),
            Self::Hold => f.write_str("Hold"),
            Self::Respond(response) => f.debug_tuple("Respond").field(&response.status()).finish(),
            Self::Change(_) => f.write_str("Change"),
            Self::Echo => f.write_str("Echo"),
            Self::CutMidBody => f.write_str("CutMidBody"),
            Self::Drip { interval, blanks } => {
                f.debug_struct("Drip").field("interval", interval).field("blanks", blanks).finish()
            }
            Self::HugeBody(bytes) => f.debug_tuple("HugeBody").field(bytes).finish(),
            Self::HangHandshake => f.write_str("HangHandshake"),
            Self::Raw(bytes) => f.debug_tuple("Raw").field(&bytes.len()).finish(),
            Self::FoldedHeaders => f.write_str("FoldedHeaders"),
            Self::Interim(count) => f.debug_tuple("Interim").field(count).finish(),
        }
    }
}
