//! The verifier of bearer tokens: those of one test IDaaS, and no others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::issuer::access_token::Claims;
use crate::issuer::grants::ALL;
use crate::issuer::service::IdaasService;
use crate::server::response::{self, Refused};

/// Why a [`ProtectedApi`](crate::ProtectedApi) or a `DeveloperApi` refused a request's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiRefusal {
    /// There is no `Authorization` header. 401.
    NoToken,
    /// The `Authorization` header is not one bearer token of this IDaaS: malformed, several, or signed by
    /// another issuer. 401.
    NotOurs,
    /// The token is for another audience. 401.
    WrongAudience,
    /// The token's life is over. 401.
    Expired,
    /// The token lives, but was revoked. 401.
    Revoked,
    /// The token is good, but lacks the permission. 403.
    MissingPermission,
}

/// Verifies tokens, to the instant, without leeway.
pub(crate) struct BearerVerifier {
    pub(crate) idaas: Arc<IdaasService>,
    pub(crate) audience: String,
    /// Any one of them will do; without any, none is required.
    pub(crate) permissions: Vec<String>,
    revoked: Mutex<Revoked>,
}

#[derive(Default)]
struct Revoked {
    /// By `jti`.
    ids: HashSet<String>,
    /// By order of issue.
    up_to: u64,
}

impl BearerVerifier {
    pub(crate) fn new(idaas: Arc<IdaasService>, audience: String, permissions: Vec<String>) -> Self {
        Self { idaas, audience, permissions, revoked: Mutex::default() }
    }

    pub(crate) fn verify(&self, headers: &HeaderMap) -> Result<Claims, ApiRefusal> {
        self.verify_for(headers, &self.permissions)
    }

    /// The same for an operation that takes one of these permissions.
    pub(crate) fn verify_for<P: AsRef<str>>(
        &self,
        headers: &HeaderMap,
        permissions: &[P],
    ) -> Result<Claims, ApiRefusal> {
        let mut authorizations = headers.get_all(AUTHORIZATION).iter();
        let authorization = authorizations.next().ok_or(ApiRefusal::NoToken)?;
        if authorizations.next().is_some() {
            return Err(ApiRefusal::NotOurs);
        }
        let endpoint = &self.idaas.endpoint;
        let claims = match authorization.to_str().unwrap_or_default().split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => endpoint.issuer.verify(token),
            _ => None,
        };
        let claims = claims.filter(|claims| claims.issuer == endpoint.issuer.url());
        let claims = claims.ok_or(ApiRefusal::NotOurs)?;
        if claims.audience != self.audience {
            return Err(ApiRefusal::WrongAudience);
        }
        if endpoint.clock.now().unix_seconds() >= claims.expires {
            return Err(ApiRefusal::Expired);
        }
        let revoked = self.revoked();
        if claims.serial <= revoked.up_to || revoked.ids.contains(&claims.id) {
            return Err(ApiRefusal::Revoked);
        }
        let enough = |has: &str| has == ALL || permissions.iter().any(|needed| has == needed.as_ref());
        if !permissions.is_empty() && !claims.scope.split(' ').any(enough) {
            return Err(ApiRefusal::MissingPermission);
        }
        Ok(claims)
    }

    /// Refuses one token from now on; the token itself or its `jti` will do.
    pub(crate) fn revoke(&self, token_or_id: &str) {
        let id = self.idaas.endpoint.issuer.verify(token_or_id).map(|claims| claims.id);
        self.revoked().ids.insert(id.unwrap_or_else(|| token_or_id.to_owned()));
    }

    /// Refuses every token issued so far.
    pub(crate) fn revoke_all_issued_before_now(&self) {
        let last = self.idaas.endpoint.issuer.issued();
        self.revoked().up_to = last;
    }

    fn revoked(&self) -> MutexGuard<'_, Revoked> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ApiRefusal {
    /// As RFC 6750 section 3 has it.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let (status, error, description) = match self {
            // RFC 6750 section 3.1: no error code for a request without any authentication.
            Self::NoToken => (StatusCode::UNAUTHORIZED, None, "there is no bearer token"),
            Self::NotOurs => (StatusCode::UNAUTHORIZED, Some("invalid_token"), "not a token of this issuer"),
            Self::WrongAudience => {
                (StatusCode::UNAUTHORIZED, Some("invalid_token"), "the token is for another audience")
            }
            Self::Expired => (StatusCode::UNAUTHORIZED, Some("invalid_token"), "the token expired"),
            Self::Revoked => (StatusCode::UNAUTHORIZED, Some("invalid_token"), "the token was revoked"),
            Self::MissingPermission => {
                (StatusCode::FORBIDDEN, Some("insufficient_scope"), "the token lacks the permission")
            }
        };
        let mut response =
            response::json(status, &json!({ "error": error, "error_description": description }));
        let challenge = match error {
            Some(error) => {
                format!("Bearer realm=\"api\", error=\"{error}\", error_description=\"{description}\"")
            }
            None => "Bearer realm=\"api\"".to_owned(),
        };
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<ApiRefusal> for Refused {
    fn from(refusal: ApiRefusal) -> Self {
        refusal.into_response().into()
    }
}
