//! An API that accepts only live tokens of one test IDaaS.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::{Extension, Json, Router};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tower::ServiceExt;

use super::access_token::Claims;
use super::answer::Answer;
use super::body::AnswerBody;
use super::certificates::{Authority, ServerCertificate, TlsOptions};
use super::grants::ALL;
use super::server::{Connection, Handler, Server, reserve};
use super::service::IdaasService;
use crate::BoxFuture;

/// Why a [`ProtectedApi`] refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiRefusal {
    /// There is no `Authorization` header. 401.
    NoToken,
    /// The `Authorization` header is not one bearer token of this IDaaS: malformed, several, or signed by
    /// someone else. 401.
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

/// Builds a [`ProtectedApi`]; made by [`TestIdaas::api`](super::TestIdaas::api).
pub struct ProtectedApiBuilder {
    idaas: Arc<IdaasService>,
    authority: Arc<Authority>,
    audience: String,
    permission: Option<String>,
    plain_http: bool,
}

impl ProtectedApiBuilder {
    pub(super) fn new(idaas: Arc<IdaasService>, authority: Arc<Authority>, audience: String) -> Self {
        Self { idaas, authority, audience, permission: None, plain_http: false }
    }

    /// Requires this permission; a token with `.all` has it. Default: none is required.
    #[must_use]
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        self.permission = Some(permission.into());
        self
    }

    /// Speaks plain HTTP. Default: HTTPS, with a certificate of the authority that the IDaaS has.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Starts the API on a free port of the loopback interface, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port or no certificate is to be had.
    pub async fn start(self) -> io::Result<ProtectedApi> {
        let tls = match self.plain_http {
            true => None,
            false => Some(self.authority.server_config(ServerCertificate::Trusted, &TlsOptions::default())?),
        };
        let service = Arc::new(ApiService {
            idaas: self.idaas,
            audience: self.audience,
            permission: self.permission,
            record: Mutex::default(),
        });
        let server = Server::start(reserve()?, Arc::new(Routes::new(&service)), tls)?;
        let scheme = if self.plain_http { "http" } else { "https" };
        let url = format!("{scheme}://localhost:{}/", server.port());
        Ok(ProtectedApi { url, server, service })
    }
}

impl fmt::Debug for ProtectedApiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedApiBuilder")
            .field("audience", &self.audience)
            .field("permission", &self.permission)
            .finish_non_exhaustive()
    }
}

/// An API in this process that accepts only live tokens of one [`TestIdaas`](super::TestIdaas).
///
/// Every path and method is answered alike: 200 with the JSON `{"sub", "aud", "scope"}` of the token, and `act` after an exchange, or a
/// refusal as RFC 6750 has it. Tokens are judged to the instant, without leeway, by the clock of the IDaaS,
/// and even after the IDaaS is dropped. The API stops when it is dropped.
pub struct ProtectedApi {
    url: String,
    server: Server,
    service: Arc<ApiService>,
}

impl ProtectedApi {
    /// The API's URL; any path below it will do.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many requests arrived.
    pub fn requests(&self) -> usize {
        let record = self.service.record();
        record.accepted + record.refused.values().sum::<usize>()
    }

    /// How many requests were answered 200.
    pub fn accepted(&self) -> usize {
        self.service.record().accepted
    }

    /// How many requests were answered 401.
    pub fn unauthorized(&self) -> usize {
        let record = self.service.record();
        let refused = record.refused.iter().filter(|(reason, _)| **reason != ApiRefusal::MissingPermission);
        refused.map(|(_, count)| count).sum()
    }

    /// How many requests were refused for this reason.
    pub fn refused(&self, reason: ApiRefusal) -> usize {
        self.service.record().refused.get(&reason).copied().unwrap_or_default()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.server.accepted()
    }

    /// Sets all counts to zero. Revoked tokens stay revoked.
    pub fn reset(&self) {
        let mut record = self.service.record();
        record.accepted = 0;
        record.refused.clear();
        self.server.reset();
    }

    /// Refuses one token from now on; the token itself or its `jti` will do.
    pub fn revoke(&self, token_or_id: &str) {
        let id = self.service.idaas.endpoint.issuer.verify(token_or_id).map(|claims| claims.id);
        self.service.record().revoked.insert(id.unwrap_or_else(|| token_or_id.to_owned()));
    }

    /// Refuses every token issued so far; later ones are accepted, even those of the same second.
    pub fn revoke_all_issued_before_now(&self) {
        let last = self.service.idaas.endpoint.issuer.issued();
        self.service.record().revoked_up_to = last;
    }
}

impl fmt::Debug for ProtectedApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedApi")
            .field("url", &self.url)
            .field("audience", &self.service.audience)
            .finish_non_exhaustive()
    }
}

struct ApiService {
    idaas: Arc<IdaasService>,
    audience: String,
    permission: Option<String>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    accepted: usize,
    refused: HashMap<ApiRefusal, usize>,
    /// By `jti`.
    revoked: HashSet<String>,
    /// By order of issue.
    revoked_up_to: u64,
}

/// The API proper: an axum service whose every route is behind the verification.
#[derive(Clone)]
struct Routes(Router);

impl Routes {
    fn new(service: &Arc<ApiService>) -> Self {
        let verification = middleware::from_fn_with_state(Arc::clone(service), verify);
        Self(Router::new().fallback(who_am_i).layer(verification))
    }
}

impl Handler for Routes {
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        _connection: Connection,
    ) -> BoxFuture<'static, Response<AnswerBody>> {
        let answering = self.0.clone().oneshot(request.map(Body::new));
        Box::pin(async move {
            let Ok(response) = answering.await;
            let (head, body) = response.into_parts();
            // Our own answers: short, and whole before they get here.
            let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
            Response::from_parts(head, AnswerBody::whole(body))
        })
    }
}

/// Lets requests with a good token through, with its claims attached.
async fn verify(
    State(service): State<Arc<ApiService>>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    match service.judge(request.headers()) {
        Ok(claims) => {
            service.record().accepted += 1;
            request.extensions_mut().insert(claims);
            next.run(request).await
        }
        Err(reason) => {
            *service.record().refused.entry(reason).or_default() += 1;
            refuse(reason).send().map(Body::new)
        }
    }
}

async fn who_am_i(Extension(claims): Extension<Claims>) -> Json<serde_json::Value> {
    let mut seen = json!({ "sub": claims.subject, "aud": claims.audience, "scope": claims.scope });
    if let (Some(actor), Some(seen)) = (claims.actor, seen.as_object_mut()) {
        seen.insert("act".to_owned(), json!({ "sub": actor }));
    }
    Json(seen)
}

impl ApiService {
    fn judge(&self, headers: &HeaderMap) -> Result<Claims, ApiRefusal> {
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
        let record = self.record();
        if claims.serial <= record.revoked_up_to || record.revoked.contains(&claims.id) {
            return Err(ApiRefusal::Revoked);
        }
        let has = |needed: &String| claims.scope.split(' ').any(|has| has == needed || has == ALL);
        if self.permission.as_ref().is_some_and(|needed| !has(needed)) {
            return Err(ApiRefusal::MissingPermission);
        }
        Ok(claims)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse(reason: ApiRefusal) -> Answer {
    let (status, error, description) = match reason {
        // RFC 6750 section 3.1: no error code for a request without any authentication.
        ApiRefusal::NoToken => (StatusCode::UNAUTHORIZED, None, "there is no bearer token"),
        ApiRefusal::NotOurs => {
            (StatusCode::UNAUTHORIZED, Some("invalid_token"), "not a token of this issuer")
        }
        ApiRefusal::WrongAudience => {
            (StatusCode::UNAUTHORIZED, Some("invalid_token"), "the token is for another audience")
        }
        ApiRefusal::Expired => (StatusCode::UNAUTHORIZED, Some("invalid_token"), "the token expired"),
        ApiRefusal::Revoked => (StatusCode::UNAUTHORIZED, Some("invalid_token"), "the token was revoked"),
        ApiRefusal::MissingPermission => {
            (StatusCode::FORBIDDEN, Some("insufficient_scope"), "the token lacks the permission")
        }
    };
    let mut answer = Answer::json(status, &json!({ "error": error, "error_description": description }));
    let challenge = match error {
        Some(error) => {
            format!("Bearer realm=\"api\", error=\"{error}\", error_description=\"{description}\"")
        }
        None => "Bearer realm=\"api\"".to_owned(),
    };
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        answer.headers.insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}
