//! The HTTP face of the test IDaaS: which path is what.

use bytes::Bytes;
use http::{Method, Response, StatusCode, request};
use serde_json::{Value, json};

use crate::issuer::exchange;
use crate::issuer::refusal::Refusal;
use crate::issuer::request::TokenRequest;
use crate::issuer::token_endpoint::TokenEndpoint;
use crate::server::behaviour::ResponseChange;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::listener::Place;
use crate::server::response::{self, Refused};

/// The path of the issuer, as the real service has it.
pub(crate) const ISSUER_PATH: &str = "/api/v2/iauths_system/oauth2";

/// Appended to the issuer (OpenID Connect Discovery 1.0 section 4), or put before its path (RFC 8414 section 3.1).
const OPENID_METADATA: &str = "/.well-known/openid-configuration";
const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";

/// Asked for tokens, and for the means to verify them.
pub(crate) struct IdaasService {
    pub(crate) endpoint: TokenEndpoint,
    /// Where the servers of this IDaaS are.
    pub(crate) place: Place,
}

impl IdaasService {
    /// What the issuer publishes about itself.
    pub(crate) fn metadata(&self) -> Value {
        let issuer = self.endpoint.issuer.url();
        json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "grant_types_supported": ["client_credentials", exchange::GRANT_TYPE],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt",
            ],
            "token_endpoint_auth_signing_alg_values_supported": [
                "HS256", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512",
            ],
        })
    }
}

impl Endpoint for IdaasService {
    fn unscripted(&self, head: &request::Parts) -> Option<Response<Bytes>> {
        let path = head.uri.path();
        let below_issuer = path.strip_prefix(ISSUER_PATH);
        if below_issuer == Some("/token") {
            return None;
        }
        let is_get = head.method == Method::GET;
        Some(match below_issuer {
            Some("/jwks") if is_get => response::json(StatusCode::OK, &self.endpoint.issuer.key_set()),
            Some(OPENID_METADATA) if is_get => response::json(StatusCode::OK, &self.metadata()),
            None if is_get && path.strip_prefix(OAUTH_METADATA) == Some(ISSUER_PATH) => {
                response::json(StatusCode::OK, &self.metadata())
            }
            _ => Refusal::new(StatusCode::NOT_FOUND, "not_found", "nothing is here").into_response(),
        })
    }

    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        Ok(response::success(self.endpoint.grant(TokenRequest::new(call))?, change))
    }

    fn echo(&self, call: &Call) -> Response<Bytes> {
        Refusal::invalid_request(TokenRequest::new(call).echo()).into_response()
    }
}
