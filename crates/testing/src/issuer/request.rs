//! A request to the token endpoint, and what the log keeps of it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, USER_AGENT};
use http::{Method, StatusCode, Version, request};

use crate::issuer::client_authentication::{ClientAuthentication, Credentials};
use crate::issuer::exchange;
use crate::issuer::form::Form;
use crate::issuer::refusal::Refusal;
use crate::server::endpoint::{Call, Record};

const FORM: &str = "application/x-www-form-urlencoded";

/// The form fields that every method of client authentication shares.
const COMMON_FIELDS: [&str; 3] = ["grant_type", "client_id", "scope"];

/// A request to the token endpoint, read as far as it can be read.
pub(crate) struct TokenRequest<'a> {
    pub(crate) head: &'a request::Parts,
    body: &'a Bytes,
    form: Result<Form, Refusal>,
}

impl<'a> TokenRequest<'a> {
    pub(crate) fn new(call: &'a Call) -> Self {
        Self { form: Form::parse(&call.body), head: &call.head, body: &call.body }
    }

    /// The credentials and the form as they came, for the behaviour that gives them away.
    pub(crate) fn echo(&self) -> String {
        let authorization =
            self.head.headers.get(AUTHORIZATION).map_or(&b"none"[..], |value| value.as_bytes());
        let authorization = String::from_utf8_lossy(authorization);
        format!("cannot read Authorization: {authorization}, form: {}", String::from_utf8_lossy(self.body))
    }

    /// The form, if the request has the shape of RFC 6749 section 3.2 and no field that is not known.
    pub(crate) fn into_form(self) -> Result<Form, Refusal> {
        check_head(self.head)?;
        let form = self.form?;
        check_names(&form)?;
        Ok(form)
    }
}

fn check_head(head: &request::Parts) -> Result<(), Refusal> {
    if head.method != Method::POST {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(Refusal::new(status, "invalid_request", "the token endpoint takes POST only"));
    }
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(FORM) {
        return Err(Refusal::invalid_request(format!("expected a body of type {FORM}")));
    }
    if head.uri.query().is_some() {
        return Err(Refusal::invalid_request("the token endpoint takes no query"));
    }
    Ok(())
}

/// An unknown field is a mistake of the sender, and a test should say so.
fn check_names(form: &Form) -> Result<(), Refusal> {
    let known = |name: &str| {
        COMMON_FIELDS.contains(&name)
            || (form.get("grant_type") == Some(exchange::GRANT_TYPE) && exchange::FIELDS.contains(&name))
            || ClientAuthentication::ALL.iter().any(|method| method.fields().contains(&name))
    };
    match form.names().find(|name| !known(name)) {
        Some(name) => Err(Refusal::invalid_request(format!("field `{}` is unknown", name.escape_debug()))),
        None => Ok(()),
    }
}

/// One request that reached the token endpoint, without anything secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The HTTP method.
    pub method: Method,
    /// The HTTP version.
    pub version: Version,
    /// The method that the client used; `None` if it used none, or several at once.
    pub client_authentication: Option<ClientAuthentication>,
    /// The form field `client_id`.
    pub client_id: Option<String>,
    /// The form field `grant_type`.
    pub grant_type: Option<String>,
    /// The form field `scope`, as it came.
    pub scope: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The names of the headers, each once, sorted.
    pub header_names: Vec<HeaderName>,
    /// The names of the form fields, in the order they came.
    pub field_names: Vec<String>,
}

impl Record for ReceivedRequest {
    fn of(call: &Call) -> Self {
        let TokenRequest { head, form, .. } = TokenRequest::new(call);
        let form = form.as_ref().ok();
        let field = |name: &str| form.and_then(|form| form.get(name)).map(str::to_owned);
        let mut header_names: Vec<HeaderName> = head.headers.keys().cloned().collect();
        header_names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        let user_agent = head.headers.get(USER_AGENT);
        Self {
            method: head.method.clone(),
            version: head.version,
            client_authentication: form.and_then(|form| {
                ClientAuthentication::presented(&Credentials { headers: &head.headers, form })
            }),
            client_id: field("client_id"),
            grant_type: field("grant_type"),
            scope: field("scope"),
            user_agent: user_agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned()),
            header_names,
            field_names: form.map(|form| form.names().map(str::to_owned).collect()).unwrap_or_default(),
        }
    }
}
