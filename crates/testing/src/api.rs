//! An API that accepts only live tokens of one test IDaaS.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::bearer::{ApiRefusal, BearerVerifier};
use crate::certificates::{Authority, ServerCertificate, TlsOptions};
use crate::idaas::TestIdaas;
use crate::issuer::access_token::Claims;
use crate::issuer::service::IdaasService;
use crate::server::body::ResponseBody;
use crate::server::connection::Connection;
use crate::server::listener::{Handler, Server};
use crate::server::response;
use tower_idaas::BoxFuture;

/// Builds a [`ProtectedApi`]; made by [`TestIdaas::api`](crate::TestIdaas::api).
pub struct ProtectedApiBuilder {
    idaas: Arc<IdaasService>,
    authority: Arc<Authority>,
    audience: String,
    permission: Option<String>,
    plain_http: bool,
    port: u16,
}

impl TestIdaas {
    /// An API that accepts only tokens of this IDaaS for the audience.
    pub fn api(&self, audience: impl Into<String>) -> ProtectedApiBuilder {
        ProtectedApiBuilder::new(Arc::clone(&self.service), self.authority(), audience.into())
    }
}

impl ProtectedApiBuilder {
    fn new(idaas: Arc<IdaasService>, authority: Arc<Authority>, audience: String) -> Self {
        Self { idaas, authority, audience, permission: None, plain_http: false, port: 0 }
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

    /// The port of the loopback interface to listen on. Default: a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the API, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If the port is taken, or there is no certificate.
    pub async fn start(self) -> io::Result<ProtectedApi> {
        let tls = match self.plain_http {
            true => None,
            false => {
                let host_names = vec![self.idaas.place.host.clone()];
                let options = TlsOptions { host_names, ..TlsOptions::default() };
                Some(self.authority.server_config(ServerCertificate::Trusted, &options)?)
            }
        };
        let place = self.idaas.place.clone();
        let clock = self.idaas.endpoint.clock.clone();
        let service = Arc::new(ApiService {
            bearer: BearerVerifier::new(self.idaas, self.audience, self.permission.into_iter().collect()),
            record: Mutex::default(),
        });
        let server = Server::start(place.reserve(self.port)?, Arc::clone(&service) as _, clock, tls)?;
        let scheme = if self.plain_http { "http" } else { "https" };
        let url = format!("{scheme}://{}/", place.authority(server.port()));
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

/// An API in this process that accepts only live tokens of one [`TestIdaas`](crate::TestIdaas).
///
/// The response is the same for every path and method: 200 with the JSON `{"sub", "aud", "scope"}` of the token, and
/// `act` if it has that, or a refusal as RFC 6750 has it. Tokens are judged to the instant, without leeway, by the clock of the IDaaS,
/// and even after the IDaaS is dropped. The API stops when it is dropped.
pub struct ProtectedApi {
    url: String,
    server: Server,
    service: Arc<ApiService>,
}

impl ProtectedApi {
    /// The API's URL, with a slash at its end; any path below it will do.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many requests arrived.
    pub fn requests(&self) -> usize {
        let record = self.service.record();
        record.accepted + record.refused.values().sum::<usize>()
    }

    /// How many requests got a 200.
    pub fn accepted(&self) -> usize {
        self.service.record().accepted
    }

    /// How many requests got a 401.
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
        self.service.bearer.revoke(token_or_id);
    }

    /// Refuses every token issued so far; later ones are accepted, even those of the same second.
    pub fn revoke_all_issued_before_now(&self) {
        self.service.bearer.revoke_all_issued_before_now();
    }
}

impl fmt::Debug for ProtectedApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedApi")
            .field("url", &self.url)
            .field("audience", &self.service.bearer.audience)
            .finish_non_exhaustive()
    }
}

struct ApiService {
    bearer: BearerVerifier,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    accepted: usize,
    refused: HashMap<ApiRefusal, usize>,
}

impl Handler for ApiService {
    fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        _connection: Connection,
    ) -> BoxFuture<'static, Response<ResponseBody>> {
        let response = match self.bearer.verify(request.headers()) {
            Ok(claims) => {
                self.record().accepted += 1;
                response::json(StatusCode::OK, &seen(&claims))
            }
            Err(reason) => {
                *self.record().refused.entry(reason).or_default() += 1;
                reason.into_response()
            }
        };
        Box::pin(async move {
            // To the end, so that the connection can be used again.
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            response.map(ResponseBody::whole)
        })
    }
}

/// What the API knows of its caller.
fn seen(claims: &Claims) -> Value {
    let mut seen = Map::from_iter([
        ("sub".to_owned(), json!(claims.subject)),
        ("aud".to_owned(), json!(claims.audience)),
        ("scope".to_owned(), json!(claims.scope)),
    ]);
    if let Some(actor) = &claims.actor {
        seen.insert("act".to_owned(), json!({ "sub": actor }));
    }
    Value::Object(seen)
}

impl ApiService {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
