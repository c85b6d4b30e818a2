//! The token endpoint: which client gets what.

use std::io;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::issuer::access_token::{Holder, IssuedToken, Issuer};
use crate::issuer::client_authentication::{Credentials, Occasion, RegisteredClient};
use crate::issuer::exchange::{self, Exchange};
use crate::issuer::grants::{self, Granted, Grants};
use crate::issuer::refusal::Refusal;
use crate::issuer::request::TokenRequest;
use tower_idaas::Scope;
use tower_idaas::clock::{Clock, Timestamp};

/// What the token endpoint knows.
pub(crate) struct TokenEndpoint {
    pub(crate) issuer: Issuer,
    /// The client that configurations are written for.
    pub(crate) client: RegisteredClient,
    pub(crate) further_clients: Vec<RegisteredClient>,
    pub(crate) grants: Grants,
    pub(crate) token_life: Duration,
    /// Whether an exchanged token has the claim `act`.
    pub(crate) names_actor: bool,
    pub(crate) clock: Clock,
}

impl TokenEndpoint {
    /// The JSON of a success, or why there is none.
    pub(crate) fn grant(&self, request: TokenRequest<'_>) -> Result<Map<String, Value>, Refusal> {
        let head = request.head;
        let form = request.into_form()?;
        let now = self.clock.now();
        let occasion = Occasion { audience: &format!("{}/token", self.issuer.url()), now };
        let client = self.registered(form.required("client_id")?);
        let client = client.ok_or_else(|| Refusal::invalid_client("no such client"))?;
        client.authenticate(&Credentials { headers: &head.headers, form: &form }, &occasion)?;

        let exchange = match form.required("grant_type")? {
            "client_credentials" => None,
            exchange::GRANT_TYPE => Some(Exchange::verify(&form, &self.issuer, now.unix_seconds())?),
            _ => {
                let description = "expected `client_credentials` or the grant type of token exchange";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", description));
            }
        };
        let scope = grants::parse_scope(form.get("scope").unwrap_or_default())
            .map_err(|fault| invalid_scope(format!("scope {fault}")))?;
        let granted = self.granted(&scope)?;

        let holder = match &exchange {
            None => Holder { subject: client.id(), actor: None },
            Some(exchange) => {
                self.exchanged(&exchange.subject, exchange.actor.as_deref().unwrap_or(client.id()))
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

    /// The client with this id, if it is registered.
    pub(crate) fn registered(&self, id: &str) -> Option<&RegisteredClient> {
        std::iter::once(&self.client).chain(&self.further_clients).find(|client| client.id() == id)
    }

    /// A token for this client itself, however it has authenticated.
    pub(crate) fn client_token(&self, client_id: &str, scope: &Scope) -> Result<IssuedToken, Refusal> {
        let holder = Holder { subject: client_id, actor: None };
        self.issue(&holder, &self.granted(scope)?, self.clock.now())
    }

    /// A token that speaks of this subject, for this client's use.
    pub(crate) fn exchanged_token(
        &self,
        client_id: &str,
        subject: &str,
        scope: &Scope,
    ) -> Result<IssuedToken, Refusal> {
        self.issue(&self.exchanged(subject, client_id), &self.granted(scope)?, self.clock.now())
    }

    fn exchanged<'a>(&self, subject: &'a str, actor: &'a str) -> Holder<'a> {
        Holder { subject, actor: self.names_actor.then_some(actor) }
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
    pub(crate) fn user_token(&self, user: &str, scope: &Scope) -> io::Result<String> {
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
