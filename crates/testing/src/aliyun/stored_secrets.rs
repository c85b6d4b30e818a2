//! The credentials that a DeveloperAPI keeps, and the third parties whose tokens it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode, request};
use serde_json::{Map, Value, json};

use crate::names::INSTANCE_ID;
use crate::server::endpoint::Call;
use crate::server::response::{self, Refused};
use tower_idaas::clock::Timestamp;

/// The path below the instance at which a stored credential is obtained, and the permission that this takes.
pub(crate) const OBTAIN: (&str, &str) = ("/credentials/_/actions/obtain", "credential:obtain");

/// The same for a third party's token.
pub(crate) const FETCH: (&str, &str) =
    ("/authenticationTokens/_/actions/fetchOAuthAccessToken", "authentication_token:obtain");

/// Everything that is kept, by identifier.
#[derive(Default)]
pub(crate) struct StoredSecrets {
    credentials: BTreeMap<String, Credential>,
    providers: BTreeMap<String, Provider>,
}

struct Credential {
    content: Content,
    enabled: bool,
}

enum Content {
    ApiKey(String),
    OauthClient { id: String, secret: String },
}

struct Provider {
    life: Duration,
    /// Those that a token may have, separated by spaces; any where there are none.
    scopes: BTreeSet<String>,
    /// The names of the custom parameters that it demands.
    parameters: BTreeSet<String>,
    consent: Consent,
    issued: BTreeSet<String>,
}

enum Consent {
    NotNeeded,
    Pending { session: u128 },
}

impl StoredSecrets {
    pub(crate) fn store_api_key(&mut self, name: String, key: String) {
        self.credentials.insert(name, Credential { content: Content::ApiKey(key), enabled: true });
    }

    pub(crate) fn store_oauth_client(&mut self, name: String, id: String, secret: String) {
        let content = Content::OauthClient { id, secret };
        self.credentials.insert(name, Credential { content, enabled: true });
    }

    pub(crate) fn set_enabled(&mut self, name: &str, enabled: bool) {
        if let Some(credential) = self.credentials.get_mut(name) {
            credential.enabled = enabled;
        }
    }

    pub(crate) fn add_provider(&mut self, name: String, life: Duration, scopes: &str, parameters: &[&str]) {
        let provider = Provider {
            life,
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
            consent: Consent::NotNeeded,
            issued: BTreeSet::new(),
        };
        self.providers.insert(name, provider);
    }

    /// Whether a user must consent before the provider has a token.
    pub(crate) fn require_consent(&mut self, name: &str, required: bool) {
        if let Some(provider) = self.providers.get_mut(name) {
            provider.consent = match required {
                true => Consent::Pending { session: fastrand::u128(..) },
                false => Consent::NotNeeded,
            };
        }
    }

    /// Whether this is a token of this third party.
    pub(crate) fn has_issued(&self, provider: &str, token: &str) -> bool {
        self.providers.get(provider).is_some_and(|provider| provider.issued.contains(token))
    }

    /// The answer to a request for a credential.
    pub(crate) fn obtain(
        &self,
        head: &request::Parts,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Refused> {
        if head.method != Method::GET {
            return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "GET is expected"));
        }
        let query = head.uri.query().unwrap_or_default();
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let [(field, name)] = pairs.as_slice() else {
            return Err(invalid("one parameter is expected"));
        };
        if field != "credentialIdentifier" {
            return Err(invalid("the parameter credentialIdentifier is missing"));
        }
        let Some(Credential { content, enabled }) = self.credentials.get(name.as_ref()) else {
            let message = "the credential does not exist, or is not granted to the client";
            return Err(refusal(StatusCode::NOT_FOUND, "credential_not_found", message));
        };
        let (kind, label, content) = match content {
            Content::ApiKey(key) => ("api_key", "llm", json!({ "apiKeyContent": { "apiKey": key } })),
            Content::OauthClient { id, secret } => {
                let client = json!({ "clientId": id, "clientSecret": secret });
                ("oauth_client", "saas", json!({ "oauthClientContent": client }))
            }
        };
        Ok(object(json!({
            "instanceId": INSTANCE_ID,
            "credentialId": format!("cred_{name}"),
            "status": if *enabled { "enabled" } else { "disabled" },
            "credentialIdentifier": name,
            "credentialName": name,
            "credentialScenarioLabel": label,
            "credentialType": kind,
            "credentialContent": if *enabled { content } else { json!({}) },
            "createTime": now.unix_seconds() * 1000,
            "updateTime": now.unix_seconds() * 1000,
        })))
    }

    /// The answer to a request for a third party's token.
    pub(crate) fn fetch(&mut self, call: &Call, now: Timestamp) -> Result<Map<String, Value>, Refused> {
        if call.head.method != Method::POST || call.head.uri.query().is_some() {
            let message = "POST is expected, without a query";
            return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message));
        }
        let content_type = call.head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.and_then(|text| text.split(';').next()) != Some("application/json") {
            let message = "application/json is expected";
            return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        let Ok(Value::Object(body)) = serde_json::from_slice(&call.body) else {
            return Err(invalid("the body is no JSON object"));
        };
        let requested =
            Requested::read(&body).ok_or_else(|| invalid("a field is unknown or of another type"))?;
        let Some(provider) = self.providers.get_mut(requested.provider) else {
            let message = "the credential provider does not exist, or is not granted to the client";
            return Err(refusal(StatusCode::NOT_FOUND, "credential_provider_not_found", message));
        };
        let scopes: Vec<&str> =
            requested.scope.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()).collect();
        if !provider.scopes.is_empty() && !scopes.iter().all(|&scope| provider.scopes.contains(scope)) {
            return Err(refusal(StatusCode::BAD_REQUEST, "invalid_scope", "the scope is not granted"));
        }
        if !provider
            .parameters
            .iter()
            .all(|name| requested.parameters.is_some_and(|all| all.contains_key(name)))
        {
            return Err(invalid("a custom parameter is missing"));
        }
        let mut answer = object(json!({
            "instanceId": INSTANCE_ID,
            "authenticationTokenId": format!("at_{:016x}", fastrand::u64(..)),
            "authenticationTokenType": "oauth_access_token",
            "revoked": false,
        }));
        let member = match provider.consent {
            Consent::Pending { session } => json!({ "oauthAuthorizationSession": {
                "sessionId": format!("session_{session:x}"),
                "sessionUri": format!("urn:session:{session:x}"),
                "authorizationUrl": format!("https://third-party.example/authorize?state={session:x}"),
                "sessionStatus": "pending",
            } }),
            Consent::NotNeeded => {
                let token = format!("3rd_{:032x}", fastrand::u128(..));
                provider.issued.insert(token.clone());
                json!({
                    "expirationTime": now.after(provider.life).unix_seconds() * 1000,
                    "oauthAccessTokenContent": {
                        "accessTokenValue": token,
                        "tokenType": "Bearer",
                        "scope": scopes.join(" "),
                    },
                })
            }
        };
        answer.extend(object(member));
        Ok(answer)
    }
}

/// What the body of a request for a token holds.
struct Requested<'a> {
    provider: &'a str,
    scope: Option<&'a str>,
    parameters: Option<&'a Map<String, Value>>,
}

impl<'a> Requested<'a> {
    fn read(body: &'a Map<String, Value>) -> Option<Self> {
        let mut requested = Requested { provider: "", scope: None, parameters: None };
        for (name, value) in body {
            match name.as_str() {
                "credentialProviderIdentifier" => requested.provider = value.as_str()?,
                "scope" => requested.scope = Some(value.as_str()?),
                "forceAuthentication" => drop(value.as_bool()?),
                "customParameters" => {
                    requested.parameters =
                        Some(value.as_object().filter(|all| all.values().all(Value::is_string))?);
                }
                _ => return None,
            }
        }
        (!requested.provider.is_empty()).then_some(requested)
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn invalid(message: &str) -> Refused {
    refusal(StatusCode::BAD_REQUEST, "invalid_parameter", message)
}

/// A refusal in the DeveloperAPI's own form.
pub(crate) fn refusal(status: StatusCode, error: &str, description: &str) -> Refused {
    let body = json!({
        "error": error,
        "error_description": description,
        "request_id": format!("{:032X}", fastrand::u128(..)),
    });
    response::json(status, &body).into()
}
