//! A job of GitHub Actions, as far as it gives a token to what runs in it.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Response, StatusCode};
use serde_json::{Map, json};

use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::idaas::TestIdaas;
use crate::issuer::service::IdaasService;
use crate::issuer::service_account::Platform;
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::listener::reserve;
use crate::server::response::{self, Refused};
use tower_idaas::environment::ManualEnvironment;

/// The place of the identity tokens of a GitHub Actions job, on the loopback interface; started by
/// [`TestIdaas::start_github_actions`].
///
/// It wants the job's own token, and gives OIDC tokens that the token endpoint verifies. It speaks plain HTTP, has
/// [`Controls`], and stops when it is dropped.
pub struct GithubActions {
    controls: Controls,
    job: Arc<Job>,
}

struct Job {
    idaas: Arc<IdaasService>,
    /// What the job authenticates with.
    token: String,
}

impl TestIdaas {
    /// Starts a job whose tokens this IDaaS trusts, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub async fn start_github_actions(&self) -> io::Result<GithubActions> {
        let clock = self.service.endpoint.clock.clone();
        let token = format!("{:032x}", fastrand::u128(..));
        let job = Arc::new(Job { idaas: Arc::clone(&self.service), token });
        let controls = Controls::start(reserve(0)?, Arc::clone(&job), clock, None)?;
        Ok(GithubActions { controls, job })
    }
}

impl GithubActions {
    /// Sets the variables of a job that has `permissions: id-token: write`.
    pub fn set_variables(&self, environment: &ManualEnvironment) {
        let url = format!("http://127.0.0.1:{}/token?api-version=2.0", self.controls.port());
        environment.set("ACTIONS_ID_TOKEN_REQUEST_URL", url);
        environment.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &self.job.token);
    }
}

impl Deref for GithubActions {
    type Target = Controls;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl fmt::Debug for GithubActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubActions").field("port", &self.controls.port()).finish_non_exhaustive()
    }
}

impl Endpoint for Job {
    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        let bearer = call.head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if bearer.and_then(|value| value.strip_prefix("Bearer ")) != Some(&self.token) {
            return Err(StatusCode::UNAUTHORIZED.into());
        }
        let query = call.head.uri.query().unwrap_or_default();
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let [(version, _), (name, audience)] = pairs.as_slice() else {
            return Err(StatusCode::BAD_REQUEST.into());
        };
        if call.head.method != Method::GET || version != "api-version" || name != "audience" {
            return Err(StatusCode::BAD_REQUEST.into());
        }
        let accounts = &self.idaas.endpoint.client.federation().service_accounts;
        let token = accounts.platform_token(Platform::GithubActions, audience);
        let token = token.map_err(|_| Refused::from(StatusCode::INTERNAL_SERVER_ERROR))?;
        let answer = Map::from_iter([("count".to_owned(), json!(1)), ("value".to_owned(), json!(token))]);
        Ok(response::success(answer, change))
    }

    fn echo(&self, call: &Call) -> Response<Bytes> {
        OpenApiRefusal::echo(&call.head).into_response()
    }
}
