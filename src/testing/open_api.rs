//! The EIAM OpenAPI, as far as it hands out tokens.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::access_key::{AccessKey, AccessKeys};
use super::answer::Answer;
use super::behaviour::{AnswerChange, Behaviour};
use super::body::AnswerBody;
use super::generate_oauth_token::GenerateOauthToken;
use super::ledger::Ledger;
use super::open_api_refusal::OpenApiRefusal;
use super::server::{Connection, Handler, Server, reserve};
use super::stage::Stage;
use super::{TestIdaas, act};
use crate::BoxFuture;

const LARGEST_REQUEST: usize = 1024 * 1024;

/// The EIAM OpenAPI on the loopback interface, which hands out tokens of a [`TestIdaas`] for signatures with an
/// Alibaba Cloud access key; started by [`TestIdaas::start_open_api`].
///
/// It speaks HTTPS, verifies each signature anew from what it received, and refuses used nonces and dates
/// that are more than 15 minutes off. It stops when it is dropped.
pub struct OpenApiService {
    server: Server,
    desk: Arc<Desk>,
    config: String,
    access_key: AccessKey,
}

/// A request that reached an [`OpenApiService`]. Its headers hold credentials, of which `Debug` shows none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenApiRequest {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
}

struct Desk {
    api: GenerateOauthToken,
    keys: Arc<AccessKeys>,
    stage: Stage,
    ledger: Ledger,
    received: Mutex<Vec<OpenApiRequest>>,
}

impl TestIdaas {
    /// Starts the OpenAPI of this IDaaS, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port or no certificate is to be had.
    pub async fn start_open_api(&self) -> io::Result<OpenApiService> {
        let keys = Arc::new(AccessKeys::default());
        let access_key = AccessKey::new("LTAI_test", "not-a-real-access-key-secret");
        keys.add(access_key.clone());
        let desk = Arc::new(Desk {
            api: GenerateOauthToken::new(Arc::clone(&self.service), Arc::clone(&keys)),
            keys,
            stage: Stage::new(),
            ledger: Ledger::default(),
            received: Mutex::default(),
        });
        let server = Server::start(reserve()?, Arc::clone(&desk) as _, Some(self.tls()?))?;
        let config = json!({
            "idaasInstanceId": Self::INSTANCE_ID,
            "clientId": self.client_id(),
            "issuer": self.issuer(),
            "tokenEndpoint": self.token_endpoint(),
            "openApiEndpoint": format!("localhost:{}", server.port()),
            "scope": self.scope().as_str(),
            "authnConfiguration": {
                "identityType": "CLIENT",
                "authnMethod": "PLUGIN",
                "pluginName": "alibabacloudPluginCredentialProvider",
            },
        });
        Ok(OpenApiService { server, desk, config: format!("{config:#}"), access_key })
    }
}

/// What clients are configured with.
impl OpenApiService {
    /// Where it is, without a scheme, as in key `openApiEndpoint`.
    pub fn endpoint(&self) -> String {
        format!("localhost:{}", self.server.port())
    }

    /// The text of a `client-config.json` with PLUGIN.
    pub fn client_config(&self) -> String {
        self.config.clone()
    }

    /// Writes [`client_config`](Self::client_config) to `client-config.json` in the directory, and says
    /// where that is.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_config(&self, directory: impl AsRef<Path>) -> io::Result<PathBuf> {
        let path = directory.as_ref().join("client-config.json");
        std::fs::write(&path, &self.config)?;
        Ok(path)
    }

    /// The access key that is known from the start, a permanent one.
    pub fn access_key(&self) -> AccessKey {
        self.access_key.clone()
    }

    /// Lets this access key sign, in place of an earlier one of the same id.
    pub fn add_access_key(&self, key: AccessKey) {
        self.desk.keys.add(key);
    }

    /// The access keys, for servers that hand out more of them.
    pub(super) fn keys(&self) -> Arc<AccessKeys> {
        Arc::clone(&self.desk.keys)
    }

    /// Signatures with the access key of this id are refused from now on.
    pub fn remove_access_key(&self, id: &str) {
        self.desk.keys.remove(id);
    }
}

/// What the server does, and what happened.
impl OpenApiService {
    /// All requests from now on meet this behaviour; what was planned before is forgotten.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        let hangs = matches!(behaviour, Behaviour::HangHandshake);
        self.desk.stage.set(behaviour);
        if hangs {
            self.server.close_connections();
        }
    }

    /// The next request meets this behaviour, after the ones planned before.
    pub fn behave_once(&self, behaviour: Behaviour) {
        self.desk.stage.plan(1, &behaviour);
        if matches!(behaviour, Behaviour::HangHandshake) {
            self.server.close_connections();
        }
    }

    /// Lets the requests that [`Behaviour::Hold`] parked go on as normal, and ends a standing `Hold`.
    pub fn release(&self) {
        self.desk.stage.release(Behaviour::Normal);
    }

    /// Returns when at least this many requests are parked by [`Behaviour::Hold`] at once.
    pub async fn wait_for_held(&self, count: usize) {
        self.desk.ledger.wait_for(|entries| entries.held >= count).await;
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<OpenApiRequest> {
        self.desk.received().clone()
    }

    /// How many tokens were issued here.
    pub fn tokens_issued(&self) -> usize {
        self.desk.ledger.read(|entries| entries.issued)
    }
}

impl fmt::Debug for OpenApiService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApiService").field("endpoint", &self.endpoint()).finish_non_exhaustive()
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
            let (mut head, body) = request.into_parts();
            let body = Limited::new(body, LARGEST_REQUEST).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            for name in [AUTHORIZATION.as_str(), "x-acs-security-token"] {
                if let Some(value) = head.headers.get_mut(name) {
                    value.set_sensitive(true);
                }
            }
            self.received().push(OpenApiRequest {
                method: head.method.clone(),
                uri: head.uri.clone(),
                headers: head.headers.clone(),
            });
            let behaviour = self.stage.next(&self.ledger).await;
            let echo = OpenApiRefusal::echo(&head).into_answer();
            act::act(behaviour, connection, echo, |change| self.judge(&head, &body, change)).await
        })
    }
}

impl Desk {
    /// What the request deserves.
    fn judge(&self, head: &request::Parts, body: &Bytes, change: Option<&AnswerChange>) -> Answer {
        match self.api.answer(head, body) {
            Ok(mut answer) => {
                self.ledger.write(|entries| entries.issued += 1);
                if let Some(change) = change {
                    change.apply(&mut answer);
                }
                Answer::json(StatusCode::OK, &Value::Object(answer))
            }
            Err(refusal) => refusal.into_answer(),
        }
    }

    fn received(&self) -> MutexGuard<'_, Vec<OpenApiRequest>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
