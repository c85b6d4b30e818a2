//! The DeveloperAPI, as far as it hands out STS credentials of cloud roles.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use rustls::ServerConfig;
use serde_json::{Value, json};

use super::answer::Answer;
use super::bearer::Doorkeeper;
use super::behaviour::{AnswerChange, Behaviour};
use super::body::AnswerBody;
use super::cloud_account::{CloudAccount, CloudVendor};
use super::ledger::Ledger;
use super::server::{Connection, Handler, Server, reserve};
use super::service::IdaasService;
use super::stage::Stage;
use super::{TestIdaas, act};
use crate::BoxFuture;

const AUDIENCE: &str = "urn:cloud:idaas:pam";

/// Either of them will do: the API's own, and the one that the vendor's clients ask for by default.
const PERMISSIONS: [&str; 2] =
    ["cloud_account_role:obtain_access_credential", "cloud_account:obtain_access_credential"];

/// In seconds, what a session may last.
const SESSION: std::ops::RangeInclusive<u64> = 900..=43_200;

/// A DeveloperAPI on the loopback interface that hands out STS credentials of cloud roles for tokens of one
/// [`TestIdaas`]; started by [`TestIdaas::start_developer_api`].
///
/// It speaks HTTPS under the authority of the IDaaS, and wants a live token of it for `urn:cloud:idaas:pam`. The
/// credentials open nothing. Their end, and the answer's header `Date`, go by the clock of the IDaaS. It stops
/// when it is dropped.
pub struct DeveloperApi {
    server: Server,
    desk: Arc<Desk>,
}

/// A request that reached a [`DeveloperApi`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeveloperApiRequest {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers, that with the token marked as sensitive.
    pub headers: HeaderMap,
}

struct Desk {
    doorkeeper: Doorkeeper,
    stage: Stage,
    ledger: Ledger,
    state: Mutex<State>,
}

struct State {
    account: CloudAccount,
    session: Duration,
    received: Vec<DeveloperApiRequest>,
}

impl TestIdaas {
    /// Starts a DeveloperAPI for tokens of this IDaaS, on the Tokio runtime of the caller. It knows no role yet:
    /// [`add_role`](DeveloperApi::add_role).
    ///
    /// # Errors
    ///
    /// If no port or no certificate is to be had.
    #[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
    pub async fn start_developer_api(&self) -> io::Result<DeveloperApi> {
        DeveloperApi::start(Arc::clone(&self.service), self.tls()?)
    }
}

impl DeveloperApi {
    fn start(idaas: Arc<IdaasService>, tls: Arc<ServerConfig>) -> io::Result<Self> {
        let permissions = PERMISSIONS.map(str::to_owned).to_vec();
        let desk = Arc::new(Desk {
            doorkeeper: Doorkeeper::new(idaas, AUDIENCE.to_owned(), permissions),
            stage: Stage::new(),
            ledger: Ledger::default(),
            state: Mutex::new(State {
                account: CloudAccount::default(),
                session: Duration::from_secs(3600),
                received: Vec::new(),
            }),
        });
        let server = Server::start(reserve()?, Arc::clone(&desk) as _, Some(tls))?;
        Ok(Self { server, desk })
    }

    /// Where it is, as the configuration has it: a host, with its port and without a scheme.
    pub fn endpoint(&self) -> String {
        format!("localhost:{}", self.server.port())
    }

    /// Hands out credentials of this role from now on, in the shape of this cloud.
    pub fn add_role(&self, arn: impl Into<String>, vendor: CloudVendor) {
        self.desk.state().account.add(arn.into(), vendor);
    }

    /// How long credentials live when the request does not say. Default: an hour.
    pub fn set_session_duration(&self, duration: Duration) {
        self.desk.state().session = duration;
    }

    /// Refuses one token from now on; the token itself or its `jti` will do.
    pub fn revoke(&self, token_or_id: &str) {
        self.desk.doorkeeper.revoke(token_or_id);
    }

    /// Refuses every token issued so far; later ones are accepted, even those of the same second.
    pub fn revoke_all_issued_before_now(&self) {
        self.desk.doorkeeper.revoke_all_issued_before_now();
    }

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

    /// How many credentials were handed out.
    pub fn issued(&self) -> usize {
        self.desk.ledger.read(|entries| entries.issued)
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<DeveloperApiRequest> {
        self.desk.state().received.clone()
    }
}

impl fmt::Debug for DeveloperApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeveloperApi").field("endpoint", &self.endpoint()).finish_non_exhaustive()
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
            let (mut head, _) = request.into_parts();
            if let Some(token) = head.headers.get_mut(AUTHORIZATION) {
                token.set_sensitive(true);
            }
            let request = DeveloperApiRequest { method: head.method, uri: head.uri, headers: head.headers };
            self.state().received.push(request.clone());
            let behaviour = self.stage.next(&self.ledger).await;
            let echo = echo(&request);
            let mut answer =
                act::act(behaviour, connection, echo, |change| self.judge(&request, change)).await;
            let date = httpdate::fmt_http_date(self.doorkeeper.idaas.endpoint.clock.now().system_time());
            if let Ok(date) = HeaderValue::try_from(date) {
                answer.headers_mut().entry(DATE).or_insert(date);
            }
            answer
        })
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, request: &DeveloperApiRequest, change: Option<&AnswerChange>) -> Answer {
        match self.doorkeeper.judge(&request.headers) {
            Ok(_) => self.obtain(request, change),
            Err(refusal) => refusal.into_answer(),
        }
    }

    fn obtain(&self, request: &DeveloperApiRequest, change: Option<&AnswerChange>) -> Answer {
        let path =
            format!("/v2/{}/cloudAccountRoles/_/actions/obtainAccessCredential", TestIdaas::INSTANCE_ID);
        if request.method != Method::GET || request.uri.path() != path {
            return refuse(StatusCode::NOT_FOUND, "ResourceNotFound", "nothing is here");
        }
        let state = self.state();
        let (mut arn, mut life) = (None, state.session);
        for (name, value) in form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()) {
            match (&*name, value.parse()) {
                ("cloudAccountRoleExternalId", _) if arn.is_none() => arn = Some(value),
                ("durationSeconds", Ok(seconds)) if SESSION.contains(&seconds) => {
                    life = Duration::from_secs(seconds);
                }
                _ => {
                    let message = format!("parameter {name} is unknown, repeated or out of range");
                    return refuse(StatusCode::BAD_REQUEST, "InvalidParameter", &message);
                }
            }
        }
        let now = self.doorkeeper.idaas.endpoint.clock.now();
        let Some(mut answer) = state.account.assume(&arn.unwrap_or_default(), now, life) else {
            let message = "the role does not exist, or is not granted to the client";
            return refuse(StatusCode::NOT_FOUND, "ResourceNotFound.CloudAccountRole", message);
        };
        drop(state);
        self.ledger.write(|entries| entries.issued += 1);
        if let Some(change) = change {
            change.apply(&mut answer);
        }
        Answer::json(StatusCode::OK, &Value::Object(answer))
    }
}

/// A refusal that gives away what the request carried.
fn echo(request: &DeveloperApiRequest) -> Answer {
    let authorization = request.headers.get(AUTHORIZATION);
    let authorization = authorization.map_or(&b"none"[..], |value| value.as_bytes());
    let authorization = String::from_utf8_lossy(authorization);
    let message = format!("cannot read Authorization: {authorization} for {}", request.uri);
    refuse(StatusCode::BAD_REQUEST, "InvalidParameter", &message)
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Answer {
    let request_id = format!("{:032X}", fastrand::u128(..));
    Answer::json(status, &json!({ "Code": code, "Message": message, "RequestId": request_id }))
}
