//! `GenerateOauthToken`, version 2021-12-01: a token of the test IDaaS for a signature.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, request};
use serde_json::{Map, Value, json};

use crate::aliyun::access_key::AccessKeys;
use crate::aliyun::acs3::{SignatureVerifier, percent_decoded};
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::issuer::exchange;
use crate::issuer::grants::parse_scope;
use crate::issuer::service::IdaasService;
use crate::names::INSTANCE_ID;
use tower_idaas::Scope;

pub(crate) struct GenerateOauthToken {
    idaas: Arc<IdaasService>,
    verifier: SignatureVerifier,
}

impl GenerateOauthToken {
    pub(crate) fn new(idaas: Arc<IdaasService>, keys: Arc<AccessKeys>) -> Self {
        let verifier = SignatureVerifier::new(keys, idaas.endpoint.clock.clone());
        Self { idaas, verifier }
    }

    /// The JSON of a success, or why there is none.
    pub(crate) fn respond(
        &self,
        head: &request::Parts,
        body: &Bytes,
    ) -> Result<Map<String, Value>, OpenApiRefusal> {
        check_call(head, body)?;
        self.verifier.verify(head, body)?;
        let mut parameters = Parameters::parse(head.uri.query().unwrap_or_default())?;
        let exchange = self.exchange(&mut parameters)?;
        let endpoint = &self.idaas.endpoint;
        let client = parameters.take("ApplicationId")?;
        if endpoint.registered(&client).is_none() {
            return Err(not_found("ResourceNotFound.Application", "there is no such application"));
        }
        let scope = scope(parameters)?;
        let issued = match &exchange {
            Some(subject) => endpoint.exchanged_token(&client, subject, &scope),
            None => endpoint.client_token(&client, &scope),
        };
        let issued = issued.map_err(|refusal| {
            let code =
                if refusal.status.is_server_error() { "InternalError" } else { "Forbidden.ScopeValues" };
            OpenApiRefusal::new(refusal.status, code, refusal.description)
        })?;
        let response = json!({
            "AccessToken": issued.token,
            "TokenType": "Bearer",
            "ExpiresIn": issued.expires_in,
            "ExpiresAt": issued.expires_at,
            "IssuedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        });
        Ok(Map::from_iter([
            ("RequestId".to_owned(), json!(format!("{:032X}", fastrand::u128(..)))),
            ("TokenResponse".to_owned(), response),
        ]))
    }

    /// The subject of the token that is to be exchanged, if one is: an access token for an access token.
    fn exchange(&self, parameters: &mut Parameters) -> Result<Option<String>, OpenApiRefusal> {
        if !parameters.has("GrantType") {
            return Ok(None);
        }
        if parameters.take("GrantType")? != exchange::GRANT_TYPE {
            return Err(invalid("parameter `GrantType` is not the grant type of token exchange"));
        }
        for name in ["SubjectTokenType", "RequestedTokenType"] {
            if parameters.take(name)? != exchange::ACCESS_TOKEN {
                return Err(invalid(format!("parameter `{name}` is not the type of access tokens")));
            }
        }
        let endpoint = &self.idaas.endpoint;
        let refused =
            |problem| OpenApiRefusal::new(StatusCode::BAD_REQUEST, "InvalidParameter.SubjectToken", problem);
        let claims = endpoint.issuer.verify(&parameters.take("SubjectToken")?);
        let claims = claims.filter(|claims| claims.issuer == endpoint.issuer.url());
        let claims = claims.ok_or_else(|| refused("the subject token is not of this issuer"))?;
        match claims.expires <= endpoint.clock.now().unix_seconds() {
            true => Err(refused("the subject token is expired")),
            false => Ok(Some(claims.subject)),
        }
    }
}

/// The scope that the parameters spell. A parameter that is left over is a mistake of the sender.
fn scope(mut parameters: Parameters) -> Result<Scope, OpenApiRefusal> {
    if parameters.take("InstanceId")? != INSTANCE_ID {
        return Err(not_found("ResourceNotFound.Instance", "there is no such instance"));
    }
    let audience = parameters.take("Audience")?;
    let mut items = Vec::new();
    for number in 1..=parameters.0.len().max(1) {
        items.push(format!("{audience}|{}", parameters.take(&format!("ScopeValues.{number}"))?));
    }
    parse_scope(&items.join(" ")).map_err(|fault| invalid(format!("the scope {fault}")))
}

fn check_call(head: &request::Parts, body: &Bytes) -> Result<(), OpenApiRefusal> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours =
        header("x-acs-action") == Some("GenerateOauthToken") && header("x-acs-version") == Some("2021-12-01");
    if !is_ours {
        return Err(not_found("InvalidAction.NotFound", "there is no such action in this version"));
    }
    if head.method != Method::POST || head.uri.path() != "/" || !body.is_empty() {
        return Err(invalid("expected a POST to / with an empty body"));
    }
    match header("accept") {
        Some("application/json") => Ok(()),
        _ => Err(invalid("expected to be asked for JSON")),
    }
}

/// The query's parameters, each name once.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(query: &str) -> Result<Self, OpenApiRefusal> {
        let text = |text: &str| percent_decoded(text).and_then(|bytes| String::from_utf8(bytes).ok());
        let mut parameters = Vec::<(String, String)>::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (text(name), text(value)) else {
                return Err(invalid("the query is malformed"));
            };
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(invalid(format!("parameter `{}` is repeated", name.escape_debug())));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    fn take(&mut self, name: &str) -> Result<String, OpenApiRefusal> {
        match self.0.iter().position(|(known, value)| known == name && !value.is_empty()) {
            Some(place) => Ok(self.0.swap_remove(place).1),
            None => Err(invalid(format!("parameter `{name}` is missing"))),
        }
    }
}

fn invalid(message: impl Into<String>) -> OpenApiRefusal {
    OpenApiRefusal::new(StatusCode::BAD_REQUEST, "InvalidParameter", message)
}

fn not_found(code: &'static str, message: &str) -> OpenApiRefusal {
    OpenApiRefusal::new(StatusCode::NOT_FOUND, code, message)
}
