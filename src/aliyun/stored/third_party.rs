//! The operation that obtains a third party's access token: its request, and how its response is read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::aliyun::developer_api::Operation;
use crate::aliyun::life::{Life, life_until};
use crate::aliyun::stored::consent::ConsentRequired;
use crate::cache::window::{DEFAULT_LIFE, RefreshAhead};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::token::TokenResponse;
use crate::wire::call::{ApiResponse, text};
use crate::wire::profile::Refusal;
use crate::wire::redact::Redactor;

/// The parameters of the request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) provider: Arc<str>,
    /// The third party's scope.
    pub(super) scope: Option<String>,
    pub(super) parameters: BTreeMap<String, String>,
}

impl Request {
    pub(super) fn operation(&self) -> Operation<'_> {
        let mut body = Map::from_iter([
            ("credentialProviderIdentifier".to_owned(), json!(&*self.provider)),
            // Forced authentication would ask for the user's consent each time.
            ("forceAuthentication".to_owned(), json!(false)),
        ]);
        if let Some(scope) = &self.scope {
            body.insert("scope".to_owned(), json!(scope));
        }
        if !self.parameters.is_empty() {
            body.insert("customParameters".to_owned(), json!(self.parameters));
        }
        Operation {
            method: Method::POST,
            path: "/authenticationTokens/_/actions/fetchOAuthAccessToken",
            query: Vec::new(),
            body: Some(Value::Object(body).to_string()),
            secrets: self.parameters.values().map(String::as_str).collect(),
            subject: format!("credential provider {}", self.provider),
            hint: &|refusal: &Refusal<'_>| {
                (refusal.status == StatusCode::BAD_REQUEST)
                    .then(|| "check the provider's identifier, the scope and the custom parameters".into())
            },
        }
    }

    /// The token in the response.
    ///
    /// # Errors
    ///
    /// When there is no usable token, or a user must consent first.
    pub(super) fn read(&self, response: &ApiResponse<'_>) -> Result<TokenResponse, Error> {
        let top = &response.object;
        let Some(Value::Object(content)) = top.get("oauthAccessTokenContent") else {
            return Err(match top.get("oauthAuthorizationSession") {
                Some(Value::Object(session)) => self.consent_required(response, session),
                _ => response.unusable("carries no `oauthAccessTokenContent`"),
            });
        };
        if top.get("revoked") == Some(&Value::Bool(true)) {
            let problem =
                format!("the token of provider {} is revoked; have IDaaS get another one", self.provider);
            return Err(response.refused(ErrorKind::Refused, &problem));
        }
        let token = text(content, &["accessTokenValue"]).unwrap_or_default();
        if let Some(kind) = text(content, &["tokenType"])
            && !kind.eq_ignore_ascii_case("bearer")
        {
            let kind = Redactor::new([token]).text(&response.redactor().text(kind));
            return Err(
                response.unusable(&format!("the token type `{kind}` is not supported, only Bearer is"))
            );
        }
        // A third party may issue tokens for months; the cache keeps one for a day.
        let life = match life_until(response, [top.get("expirationTime")], RefreshAhead::TwoThirds) {
            Life::Ended => return Err(response.unusable("the token in it has ended already")),
            Life::Stated(life) => life,
            Life::Unknown => DEFAULT_LIFE,
        };
        let unusable = |_| {
            response.unusable("its `accessTokenValue` is blank or holds characters that no header may hold")
        };
        let mut value = TokenResponse::bearer(token).map_err(unusable)?;
        let issued = Redactor::new([token]);
        if let Some(scope) = text(content, &["scope"])
            && let Some(scope) = response.redactor().value(scope).and_then(|scope| issued.value(&scope))
        {
            value = value.with_granted_scope(scope);
        }
        if let Some(id) = response.request_id() {
            value = value.with_request_id(issued.id(id));
        }
        Ok(value.with_expires_in(life))
    }

    fn consent_required(&self, response: &ApiResponse<'_>, session: &Map<String, Value>) -> Error {
        let Self { provider, .. } = self;
        let status = response.redactor().code(text(session, &["sessionStatus"]).unwrap_or("unknown"));
        let Some(url) = text(session, &["authorizationUrl"]) else {
            return response.unusable(&format!(
                "a user must consent at provider {provider} first (session `{status}`), and it carries no \
                 `authorizationUrl`"
            ));
        };
        let problem = format!(
            "a user must consent at provider {provider} first (session `{status}`); hand the address of \
             `ConsentRequired::of` to that user, then request the token again"
        );
        let consent = ConsentRequired {
            provider: provider.to_string(),
            authorization_url: Secret::new(url),
            session_uri: text(session, &["sessionUri"]).map(Secret::new),
        };
        response.refused(ErrorKind::ConsentRequired, &problem).with_source(consent)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, scope, parameters } = self;
        f.debug_struct("Request")
            .field("provider", provider)
            .field("scope", scope)
            .field("parameters", &parameters.keys())
            .finish()
    }
}
