//! One call of a JSON API: send, redact, classify. Its response is a success with a JSON object, or one readable error.
//! Nothing here panics, whatever the response is.

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value};

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::wire::json::{self, BodyFault};
use crate::wire::profile::{ApiProfile, Refusal};
use crate::wire::redact::Redactor;
use crate::wire::time;

/// The details of a call that are known before it is made. `Debug` shows no secret.
pub(crate) struct ApiCall<'a> {
    profile: &'a dyn ApiProfile,
    /// The address without its query, as errors show it.
    endpoint: &'a str,
    /// The scope of the call; may be empty.
    scope: &'a str,
    clock: &'a Clock,
    redactor: Redactor<'a>,
}

/// The timestamp and authentication of a call.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    sent: Timestamp,
    received: Timestamp,
    /// Whether its credentials are in `Authorization: Basic`.
    basic: bool,
}

impl<'a> ApiCall<'a> {
    /// `secrets` are redacted in a response that echoes them.
    pub(crate) fn new(
        profile: &'a dyn ApiProfile,
        endpoint: &'a str,
        scope: &'a str,
        clock: &'a Clock,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let parts = scope.split(['|', ' ']);
        let redactor = Redactor::new(secrets).with_public(parts.chain([scope, endpoint]));
        Self { profile, endpoint, scope, clock, redactor }
    }

    /// Marks parts of the request as public: ids of clients, instances, roles.
    pub(crate) fn with_public(mut self, public: impl IntoIterator<Item = &'a str>) -> Self {
        self.redactor = self.redactor.with_public(public);
        self
    }

    pub(crate) fn redactor(&self) -> &Redactor<'a> {
        &self.redactor
    }

    /// Sends the request `through` a transport, which bounds time and size, and reads the response.
    ///
    /// # Errors
    ///
    /// When the call fails on the way, without echoes of the request's secrets; and for every response that is not a
    /// success with a JSON object, classified: whether it is transient, its code and request id, and the server's
    /// requested pause.
    pub(crate) async fn send<F>(
        &self,
        mut request: Request<Full<Bytes>>,
        through: impl FnOnce(Request<Full<Bytes>>) -> F,
    ) -> Result<ApiResponse<'_>, Error>
    where
        F: Future<Output = Result<Response<Bytes>, Error>>,
    {
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        let basic = is_basic(headers);
        self.exchange(through(request), basic).await
    }

    /// The same for a request that has been sent already.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    #[cfg(feature = "aliyun")]
    pub(crate) async fn receive(
        &self,
        sending: impl Future<Output = Result<Response<Bytes>, Error>>,
    ) -> Result<ApiResponse<'_>, Error> {
        self.exchange(sending, false).await
    }

    async fn exchange(
        &self,
        sending: impl Future<Output = Result<Response<Bytes>, Error>>,
        basic: bool,
    ) -> Result<ApiResponse<'_>, Error> {
        let sent = self.clock.now();
        let outcome = sending.await;
        let exchange = Exchange { sent, received: self.clock.now(), basic };
        let response = outcome.map_err(|error| self.redactor.error(error))?;
        ApiResponse::read(self, &response, exchange)
    }
}

fn is_basic(headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    value.and_then(|value| value.get(..6)).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
}

impl fmt::Debug for ApiCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiCall")
            .field("profile", &self.profile)
            .field("endpoint", &self.endpoint)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// A success: its JSON object, and the rest of the response.
#[derive(Debug)]
pub(crate) struct ApiResponse<'a> {
    pub(crate) object: Map<String, Value>,
    head: Head<'a>,
}

/// All of a response but its body.
#[derive(Debug)]
struct Head<'a> {
    call: &'a ApiCall<'a>,
    status: StatusCode,
    headers: HeaderMap,
    exchange: Exchange,
    request_id: Option<String>,
}

impl<'a> ApiResponse<'a> {
    fn read(call: &'a ApiCall<'a>, response: &Response<Bytes>, exchange: Exchange) -> Result<Self, Error> {
        let status = response.status();
        let mut head = Head { call, status, headers: response.headers().clone(), exchange, request_id: None };
        let length = response.body().len();
        // A 304 leads nowhere else: a cache in between takes the client to have a response already.
        let body = match status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            true => None,
            false => Some(json::object(&head.headers, response.body())),
        };
        let in_body = body.as_ref().and_then(|body| body.as_ref().ok());
        // Once for each response: it is searched for the request's secrets.
        head.request_id = head.request_id(in_body);
        let object = match body {
            None => return Err(head.redirect()),
            Some(Err(fault)) => return Err(head.unreadable(length, Some(&fault))),
            Some(Ok(object)) => object,
        };
        if !names_failure(status, &object) {
            return Ok(Self { object, head });
        }
        Err(match text(failure_in(&object), &["error", "Code", "code"]) {
            Some(code) => head.refusal(&object, code),
            None => head.unreadable(length, None),
        })
    }

    /// The object under this name, if the response has it.
    #[cfg(feature = "aliyun")]
    pub(crate) fn member(&self, name: &str) -> Result<&Map<String, Value>, Error> {
        match self.object.get(name) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(self.unusable(&format!("carries no `{name}`"))),
        }
    }

    /// The server's id of the request.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.head.request_id.as_deref()
    }

    /// When the request was sent.
    pub(crate) fn sent(&self) -> Timestamp {
        self.head.exchange.sent
    }

    /// When the response was received.
    #[cfg(feature = "aliyun")]
    pub(crate) fn received(&self) -> Timestamp {
        self.head.exchange.received
    }

    /// The time by the server's clock, if the response has it.
    pub(crate) fn server_time(&self) -> Option<SystemTime> {
        time::date(&self.head.headers)
    }

    pub(crate) fn redactor(&self) -> &Redactor<'_> {
        self.head.call.redactor()
    }

    /// The error of a success whose content is missing for a reason in the server's settings. `problem` follows
    /// "responded with 200 OK, but", says what to do, and shows no secret.
    #[cfg(feature = "aliyun")]
    pub(crate) fn refused(&self, kind: ErrorKind, problem: &str) -> Error {
        let Head { call, status, .. } = &self.head;
        self.head.error(kind, format!("{} responded with {status}, but {problem}", call.endpoint))
    }

    /// The error of an unusable success. `problem` follows "responded with 200 OK, but it", and shows no secret.
    pub(crate) fn unusable(&self, problem: &str) -> Error {
        let Head { call, status, .. } = &self.head;
        let hint = call.profile.hint_of_unusable();
        let message = format!("{} responded with {status}, but {problem}; {hint}", call.endpoint);
        self.head.error(ErrorKind::InvalidResponse, message).with_transient(false)
    }
}

impl Head<'_> {
    fn refusal(&self, object: &Map<String, Value>, code: &str) -> Error {
        let Self { call, status, .. } = self;
        let code = call.redactor().code(code);
        let description =
            text(failure_in(object), &["error_description", "Message", "message"]).unwrap_or_default();
        let refusal = Refusal { status: *status, code: &code, description, scope: call.scope };
        let transient = self.may_pass(&code) || call.profile.is_transient(&code);
        let mut message = format!("{} refused with {status}: {code}", call.endpoint);
        if !description.is_empty() {
            message.push_str(&format!(" ({})", call.redactor().text(description)));
        }
        if let Some(id) = &self.request_id {
            message.push_str(&format!(", request id {id}"));
        }
        match transient {
            true => message.push_str("; try again later"),
            false => message.push_str(&format!("; {}", call.profile.hint(&refusal))),
        }
        let kind = if transient { ErrorKind::Unavailable } else { ErrorKind::Refused };
        self.error(kind, message).with_code(code)
    }

    /// Whether the failure is transient, by status, by headers, and by a code that all servers share.
    fn may_pass(&self, code: &str) -> bool {
        self.status.is_server_error()
            || matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            || code.starts_with("Throttling")
            || self.is_throttled()
    }

    /// Whether the gateway of Alibaba Cloud's APIs requests a pause, whatever the code.
    fn is_throttled(&self) -> bool {
        let failed = self.status.is_client_error() || self.status.is_server_error();
        failed && self.call.profile.has_gateway() && time::gateway_throttle(&self.headers).is_some()
    }

    /// A response that the server itself did not produce, but a proxy, a firewall or a gateway; or one that cannot be
    /// read. Its body is not shown.
    fn unreadable(&self, length: usize, fault: Option<&BodyFault>) -> Error {
        let Self { call, status, .. } = self;
        let transient = self.may_pass("");
        let refusal = call.profile.refuses_by_status(*status, self.exchange.basic).filter(|_| !transient);
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type =
            content_type.map_or_else(|| "no content type".into(), |text| call.redactor().text(text));
        let fault = fault.map(|fault| match fault {
            BodyFault::Duplicate(name) => BodyFault::Duplicate(call.redactor().text(name)),
            other => other.clone(),
        });
        let reason = fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
        let id = self.request_id.as_ref().map(|id| format!(", request id {id}")).unwrap_or_default();
        if let Some(code) = refusal {
            let amounts_to = code.map(|code| format!(", which amounts to {code}")).unwrap_or_default();
            let refusal = Refusal {
                status: *status,
                code: code.unwrap_or_default(),
                description: "",
                scope: call.scope,
            };
            let message = format!(
                "{} refused with {status} and no reason that can be read ({length} bytes of {content_type}{reason}){amounts_to}{id}; {}",
                call.endpoint,
                call.profile.hint(&refusal)
            );
            let error = self.error(ErrorKind::Refused, message);
            return match code {
                Some(code) => error.with_code(code),
                None => error,
            };
        }
        let [one, other] = call.profile.contents();
        let message = format!(
            "{} responded with {status} and {length} bytes of {content_type} that hold neither {one} nor {other}{reason}{id}; check the endpoint and what stands before it",
            call.endpoint
        );
        let kind = if status.is_success() { ErrorKind::InvalidResponse } else { ErrorKind::Unavailable };
        // A compressed or absurd body is the same at the next attempt.
        let lasting = fault.as_ref().is_some_and(BodyFault::is_lasting) && !transient;
        self.error(kind, message).with_transient(!lasting)
    }

    fn redirect(&self) -> Error {
        let Self { call, status, .. } = self;
        let message = format!(
            "{} responded with {status}: redirects of {} are refused, because following one would hand the client's credentials on; configure the final address",
            call.endpoint,
            call.profile.name()
        );
        self.error(ErrorKind::InvalidResponse, message).with_transient(false)
    }

    /// Adds all details of the response.
    fn error(&self, kind: ErrorKind, message: String) -> Error {
        let Exchange { sent, received, .. } = self.exchange;
        let mut error = Error::new(kind, message).with_status(self.status);
        if let Some(id) = &self.request_id {
            error = error.with_request_id(id);
        }
        let gateway = || time::gateway_retry_after(&self.headers).filter(|_| self.call.profile.has_gateway());
        if let Some(pause) = gateway().or_else(|| time::retry_after(&self.headers, received.system_time())) {
            error = error.with_retry_after(pause);
        }
        error.with_clock_offset(time::clock_offset(&self.headers, sent, received))
    }

    /// The id in the body or, if that has none, in a header.
    fn request_id(&self, object: Option<&Map<String, Value>>) -> Option<String> {
        let in_headers = || {
            let names = ["x-acs-request-id", "x-request-id"].iter();
            names.filter_map(|name| self.headers.get(*name)?.to_str().ok()).find(|id| !id.is_empty())
        };
        let in_body = object.and_then(|object| text(object, &["request_id", "RequestId", "requestId"]));
        let id = in_body.or_else(in_headers)?;
        Some(self.call.redactor().id(id))
    }
}

/// A non-empty `error` means a failure under any status; zero is the number of no error. `Code` is the OpenAPI's field;
/// some gateways also send `Code: "Success"`, and some write it in lower case, with a message.
fn names_failure(status: StatusCode, object: &Map<String, Value>) -> bool {
    let is_empty = |error: &Value| match error {
        Value::Null => true,
        Value::Bool(error) => !error,
        Value::Number(error) => error.as_f64() == Some(0.0),
        Value::String(error) => error.is_empty(),
        Value::Array(errors) => errors.is_empty(),
        Value::Object(error) => error.is_empty(),
    };
    let is_failure = |code: &str| !["success", "ok", "200"].contains(&code.to_ascii_lowercase().as_str());
    let names = if object.contains_key("message") { &["Code", "code"][..] } else { &["Code"] };
    !status.is_success()
        || object.get("error").is_some_and(|error| !is_empty(error))
        || (!object.contains_key("access_token") && text(object, names).is_some_and(is_failure))
}

/// The object that describes the failure: some servers nest it.
fn failure_in(object: &Map<String, Value>) -> &Map<String, Value> {
    object.get("error").and_then(Value::as_object).unwrap_or(object)
}

/// The first of these fields that is a non-empty string.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| object.get(*name)?.as_str().filter(|text| !text.is_empty()))
}
