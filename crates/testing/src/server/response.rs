//! Responses before they are sent: status, headers, and the whole body.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use crate::server::behaviour::ResponseChange;

/// JSON that no cache may store.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = text(status, body.to_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The JSON of a success, with the change, if there is one.
pub(crate) fn success(mut object: Map<String, Value>, change: Option<&ResponseChange>) -> Response<Bytes> {
    if let Some(change) = change {
        change.apply_to_json(&mut object);
    }
    json(StatusCode::OK, &Value::Object(object))
}

pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
}

/// Announces the whole body's length, whatever the body then does.
pub(crate) fn announce_length(mut response: Response<Bytes>) -> Response<Bytes> {
    let length = HeaderValue::from(response.body().len());
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// The bytes of the response in HTTP/1.1, with the content type folded onto a second line (RFC 9112 section 5.2) and a
/// second header that is folded twice. No HTTP library writes such a head any more.
pub(crate) fn folded(response: &Response<Bytes>) -> Bytes {
    let mut head = format!("HTTP/1.1 {}\r\n", response.status());
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        let fold = if name == CONTENT_TYPE { ";\r\n charset=utf-8" } else { "" };
        let _ = write!(head, "{name}: {value}{fold}\r\n");
    }
    let length = response.body().len();
    let _ = write!(
        head,
        "x-route: gateway-1,\r\n\tgateway-2,\r\n gateway-3\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), response.body()].concat().into()
}

/// A response that refuses the request.
pub(crate) struct Refused(pub(crate) Box<Response<Bytes>>);

impl From<Response<Bytes>> for Refused {
    fn from(response: Response<Bytes>) -> Self {
        Self(Box::new(response))
    }
}

impl From<StatusCode> for Refused {
    fn from(status: StatusCode) -> Self {
        text(status, Bytes::new()).into()
    }
}
