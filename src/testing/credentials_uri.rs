//! Something on the same machine that hands out credentials to whoever asks.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::behaviour::Behaviour;
use super::body::AnswerBody;
use super::ledger::Ledger;
use super::open_api_refusal::OpenApiRefusal;
use super::server::{Connection, Handler, Server, reserve};
use super::stage::Stage;
use super::temporary_keys::TemporaryKeys;
use super::{ManualEnvironment, OpenApiService, TestIdaas, act};
use crate::BoxFuture;

const PATH: &str = "/credentials";
const LIFE: Duration = Duration::from_secs(3600);

/// What `ALIBABA_CLOUD_CREDENTIALS_URI` points to, on the loopback interface; started by
/// [`TestIdaas::start_credentials_uri`].
///
/// It speaks plain HTTP, and hands a credential that lives for an hour to everyone who knows its address,
/// which is secret for that reason. It stops when it is dropped.
pub struct CredentialsUriService {
    server: Server,
    desk: Arc<Desk>,
}

struct Desk {
    issuer: TemporaryKeys,
    secret: String,
    stage: Stage,
    ledger: Ledger,
    asked: Mutex<usize>,
}

impl TestIdaas {
    /// Starts a server whose credentials this OpenAPI accepts, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port is to be had.
    pub async fn start_credentials_uri(
        &self,
        open_api: &OpenApiService,
    ) -> io::Result<CredentialsUriService> {
        let desk = Arc::new(Desk {
            issuer: TemporaryKeys::new(open_api.keys(), self.service.endpoint.clock.clone()),
            secret: format!("{:032x}", fastrand::u128(..)),
            stage: Stage::new(),
            ledger: Ledger::default(),
            asked: Mutex::default(),
        });
        let server = Server::start(reserve()?, Arc::clone(&desk) as _, None)?;
        Ok(CredentialsUriService { server, desk })
    }
}

impl CredentialsUriService {
    /// Where it is.
    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}?key={}", self.server.port(), self.desk.secret)
    }

    /// New environment variables that tell clients where it is, and nothing else but that there is no
    /// metadata service.
    pub fn environment(&self) -> ManualEnvironment {
        ManualEnvironment::from_iter([
            ("ALIBABA_CLOUD_CREDENTIALS_URI", self.uri().as_str()),
            ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"),
        ])
    }

    /// All requests from now on meet this behaviour; what was planned before is forgotten.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.desk.stage.set(behaviour);
    }

    /// How many requests arrived, whatever became of them.
    pub fn requests(&self) -> usize {
        *self.desk.asked()
    }
}

impl fmt::Debug for CredentialsUriService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsUriService").field("port", &self.server.port()).finish_non_exhaustive()
    }
}

impl Handler for Desk {
    fn serves_next_connection(&self) -> bool {
        !self.stage.hangs_next_connection()
    }

    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
    ) -> BoxFuture<'static, Response<AnswerBody>> {
        Box::pin(async move {
            *self.asked() += 1;
            let behaviour = self.stage.next(&self.ledger).await;
            let refuse = |status, text: String| OpenApiRefusal::new(status, "Failed", text).into_answer();
            let echo = refuse(StatusCode::BAD_REQUEST, format!("cannot read {}", request.uri()));
            let expected = format!("key={}", self.secret);
            let is_good = request.method() == Method::GET
                && request.uri().path() == PATH
                && request.uri().query() == Some(expected.as_str());
            let judge = |change: Option<&_>| {
                if !is_good {
                    return refuse(StatusCode::NOT_FOUND, "there is nothing here".into());
                }
                let mut object = self.issuer.issue(LIFE);
                object.insert("Code".into(), json!("Success"));
                self.issuer.answer(object, change)
            };
            act::act(behaviour, connection, echo, judge).await
        })
    }
}

impl Desk {
    fn asked(&self) -> MutexGuard<'_, usize> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
