//! An API that accepts only live tokens of one test IDaaS.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::{Extension, Json, Router};
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::json;
use tower::ServiceExt;

use super::access_token::Claims;
use super::bearer::{ApiRefusal, Doorkeeper};
use super::body::AnswerBody;
use super::certificates::{Authority, ServerCertificate, TlsOptions};
use super::server::{Connection, Handler, Server, reserve};
use super::service::IdaasService;
use tower_idaas::BoxFuture;

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
        let clock = self.idaas.endpoint.clock.clone();
        let service = Arc::new(ApiService {
            doorkeeper: Doorkeeper::new(self.idaas, self.audience, self.permission.into_iter().collect()),
            record: Mutex::default(),
        });
        let server = Server::start(reserve()?, Arc::new(Routes::new(&service)), clock, tls)?;
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
        self.service.doorkeeper.revoke(token_or_id);
    }

    /// Refuses every token issued so far; later ones are accepted, even those of the same second.
    pub fn revoke_all_issued_before_now(&self) {
        self.service.doorkeeper.revoke_all_issued_before_now();
    }
}

impl fmt::Debug for ProtectedApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedApi")
            .field("url", &self.url)
            .field("audience", &self.service.doorkeeper.audience)
            .finish_non_exhaustive()
    }
}

struct ApiService {
    doorkeeper: Doorkeeper,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    accepted: usize,
    refused: HashMap<ApiRefusal, usize>,
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
    match service.doorkeeper.judge(request.headers()) {
        Ok(claims) => {
            service.record().accepted += 1;
            request.extensions_mut().insert(claims);
            next.run(request).await
        }
        Err(reason) => {
            *service.record().refused.entry(reason).or_default() += 1;
            reason.into_answer().send().map(Body::new)
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
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
