//! The token endpoint: who asks, for what, and what it gets.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, USER_AGENT};
use http::{Method, StatusCode, request};
use serde_json::{Map, Value, json};

use super::access_token::{Holder, IssuedToken, Issuer};
use super::client_authentication::{ClientAuthentication, Credentials, Occasion, RegisteredClient};
use super::desk::Call;
use super::exchange::{self, Exchange};
use super::form::Form;
use super::grants::{Granted, Grants};
use super::refusal::Refusal;
use super::requests::{ReceivedRequest, Record};
use tower_idaas::Scope;
use tower_idaas::clock::{Clock, Timestamp};

const FORM: &str = "application/x-www-form-urlencoded";

/// The form fields that every method of client authentication shares.
const COMMON_FIELDS: [&str; 3] = ["grant_type", "client_id", "scope"];

/// A request to the token endpoint, read as far as it can be read.
pub(super) struct TokenRequest<'a> {
    head: &'a request::Parts,
    body: &'a Bytes,
    form: Result<Form, Refusal>,
}

impl<'a> TokenRequest<'a> {
    pub(super) fn new(call: &'a Call) -> Self {
        Self { form: Form::parse(&call.body), head: &call.head, body: &call.body }
    }

    /// The credentials and the form as they came, for the behaviour that gives them away.
    pub(super) fn echo(&self) -> String {
        let authorization =
            self.head.headers.get(AUTHORIZATION).map_or(&b"none"[..], |value| value.as_bytes());
        let authorization = String::from_utf8_lossy(authorization);
        format!("cannot read Authorization: {authorization}, form: {}", String::from_utf8_lossy(self.body))
    }
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
            grant_type: field("grant_type"),
            scope: field("scope"),
            user_agent: user_agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned()),
            header_names,
            field_names: form.map(|form| form.names().map(str::to_owned).collect()).unwrap_or_default(),
        }
    }
}

/// What the token endpoint knows.
pub(super) struct TokenEndpoint {
    pub(super) issuer: Issuer,
    pub(super) client: RegisteredClient,
    pub(super) grants: Grants,
    pub(super) token_life: Duration,
    pub(super) clock: Clock,
}

impl TokenEndpoint {
    /// The JSON of a success, or why there is none.
    pub(super) fn grant(&self, request: TokenRequest<'_>) -> Result<Map<String, Value>, Refusal> {
        check_head(request.head)?;
        let form = request.form?;
        check_names(&form)?;
        let now = self.clock.now();
        let occasion = Occasion { audience: &format!("{}/token", self.issuer.url()), now };
        self.client.authenticate(&Credentials { headers: &request.head.headers, form: &form }, &occasion)?;

        let exchange = match form.required("grant_type")? {
            "client_credentials" => None,
            exchange::GRANT_TYPE => Some(Exchange::verify(&form, &self.issuer, now.unix_seconds())?),
            _ => {
                let description = "expected `client_credentials` or the grant type of token exchange";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", description));
            }
        };
        let scope = crate::scopes::parse(form.get("scope").unwrap_or_default())
            .map_err(|fault| invalid_scope(format!("scope {fault}")))?;
        let granted = self.granted(&scope)?;

        let holder = match &exchange {
            None => Holder { subject: self.client.id(), actor: None },
            Some(exchange) => {
                let actor = exchange.actor.as_deref().unwrap_or(self.client.id());
                Holder { subject: &exchange.subject, actor: Some(actor) }
            }
        };
        let issued = self.issue(&holder, &granted, now)?;
        let issued_token_type = exchange.map(|exchange| exchange.issued_token_type);
        let issued_token_type = issued_token_type.map(|kind| ("issued_token_type".to_owned(), json!(kind)));
        Ok(Map::from_iter(issued_token_type.into_iter().chain([
            ("access_token".to_owned(), json!(issued.token)),
            ("token_type".to_owned(), json!("Bearer")),
            ("expires_in".to_owned(), json!(issued.expires_in)),
            ("expires_at".to_owned(), json!(issued.expires_at)),
            ("scope".to_owned(), json!(granted.scope())),
        ])))
    }
}

impl TokenEndpoint {
    /// A token for the client itself, whoever vouches for it.
    pub(super) fn client_token(&self, scope: &Scope) -> Result<IssuedToken, Refusal> {
        let holder = Holder { subject: self.client.id(), actor: None };
        self.issue(&holder, &self.granted(scope)?, self.clock.now())
    }

    /// A token that speaks of this subject, for the client's use.
    pub(super) fn exchanged_token(&self, subject: &str, scope: &Scope) -> Result<IssuedToken, Refusal> {
        let holder = Holder { subject, actor: Some(self.client.id()) };
        self.issue(&holder, &self.granted(scope)?, self.clock.now())
    }

    fn granted(&self, scope: &Scope) -> Result<Granted, Refusal> {
        let refusal = |item| invalid_scope(format!("`{item}` is not granted to the client"));
        self.grants.grant(scope).map_err(refusal)
    }

    fn issue(&self, holder: &Holder<'_>, granted: &Granted, now: Timestamp) -> Result<IssuedToken, Refusal> {
        self.issuer.issue(holder, granted, now, self.token_life).map_err(|fault| {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", fault.to_string())
        })
    }

    /// A token that speaks of a user, whatever the client is granted.
    pub(super) fn user_token(&self, user: &str, scope: &Scope) -> io::Result<String> {
        let holder = Holder { subject: user, actor: None };
        let granted = Granted {
            audience: scope.audience().to_owned(),
            permissions: scope.permissions().map(str::to_owned).collect(),
        };
        Ok(self.issuer.issue(&holder, &granted, self.clock.now(), self.token_life)?.token)
    }
}

fn invalid_scope(description: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_scope", description)
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

/// A field that nobody reads is a mistake of the sender, and a test should say so.
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
