//! The metadata service of a cloud, as far as it signs documents and knows the instance's role.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

use super::OpenApiService;
use super::answer::Answer;
use super::attestation::Attestation;
use super::body::AnswerBody;
use super::server::{Connection, Handler, Server, reserve};
use super::temporary_keys::TemporaryKeys;
use crate::BoxFuture;
use crate::clock::Clock;

const LONGEST_TOKEN_LIFE: u64 = 21_600;

const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
const ROLE_LIFE: Duration = Duration::from_secs(3600);

const ECS_LIFE: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds");
const ECS_TOKEN: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token");
const EC2_LIFE: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const EC2_TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// A metadata service on the loopback interface, of Alibaba Cloud ECS and of AWS EC2 at once; started by
/// [`TestIdaas::start_metadata_service`](super::TestIdaas::start_metadata_service).
///
/// It speaks plain HTTP, wants a token before it tells anything, and signs documents (CMS) that the token
/// endpoint verifies. It stops when it is dropped.
pub struct MetadataService {
    server: Server,
    desk: Arc<Desk>,
}

/// What a [`MetadataService`] does with requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataBehaviour {
    /// Answers what the request deserves.
    #[default]
    Normal,
    /// As normal, but the document's base64 is broken into lines and ends with a line break.
    WrappedDocument,
    /// As normal, but a byte of the document is changed after it was signed.
    TamperedDocument,
    /// As normal, but something that is no document stands in its place.
    NoDocument,
    /// Answers every request with this status.
    Status(StatusCode),
    /// Accepts the connection and never says a word, as it looks from a container when the hop limit is 1.
    Silent,
}

/// A request that reached a [`MetadataService`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetadataRequest {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
}

struct Desk {
    attestation: Arc<Attestation>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    behaviour: MetadataBehaviour,
    received: Vec<MetadataRequest>,
    /// Of each token the Unix second in which it ends.
    tokens: HashMap<String, u64>,
    role: Option<Arc<Role>>,
}

/// The instance's RAM role.
struct Role {
    name: String,
    issuer: TemporaryKeys,
}

impl MetadataService {
    pub(super) fn start(attestation: Arc<Attestation>, clock: Clock) -> io::Result<Self> {
        let desk = Arc::new(Desk { attestation, clock, state: Mutex::default() });
        let server = Server::start(reserve()?, Arc::clone(&desk) as _, None)?;
        Ok(Self { server, desk })
    }

    /// Where it is: what [`IdaasBuilder::metadata_address`](crate::IdaasBuilder::metadata_address) takes.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Attaches a RAM role to the instance, in place of an earlier one: credentials of it, which live for an
    /// hour, are handed out under `/latest/meta-data/ram/security-credentials/`, and this OpenAPI accepts them.
    pub fn attach_role(&self, name: impl Into<String>, open_api: &OpenApiService) {
        let issuer = TemporaryKeys::new(open_api.keys(), self.desk.clock.clone());
        self.desk.state().role = Some(Arc::new(Role { name: name.into(), issuer }));
    }

    /// All requests from now on meet this behaviour.
    pub fn set_behaviour(&self, behaviour: MetadataBehaviour) {
        self.desk.state().behaviour = behaviour;
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<MetadataRequest> {
        self.desk.state().received.clone()
    }
}

impl fmt::Debug for MetadataService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataService").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Handler for Desk {
    fn serves_next_connection(&self) -> bool {
        self.state().behaviour != MetadataBehaviour::Silent
    }

    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        _connection: Connection,
    ) -> BoxFuture<'static, Response<AnswerBody>> {
        Box::pin(async move {
            let (head, _) = request.into_parts();
            let request = MetadataRequest { method: head.method, uri: head.uri, headers: head.headers };
            let behaviour = {
                let mut state = self.state();
                state.received.push(request.clone());
                state.behaviour
            };
            let (status, body) = match (behaviour, request.uri.path().strip_prefix(ROLES)) {
                (MetadataBehaviour::Status(status), _) => (status, String::new()),
                (_, Some(name)) => match self.role_answer(&request, name) {
                    Ok(answer) => return answer.send(),
                    Err(status) => (status, String::new()),
                },
                _ => self.judge(&request, behaviour),
            };
            Answer { status, headers: HeaderMap::new(), body: Bytes::from(body) }.send()
        })
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, request: &MetadataRequest, behaviour: MetadataBehaviour) -> (StatusCode, String) {
        let document = match (request.method.as_str(), request.uri.path()) {
            ("PUT", "/latest/api/token") => return self.token(&request.headers),
            ("GET", "/latest/dynamic/instance-identity/pkcs7") => {
                if !self.has_token(&request.headers, &ECS_TOKEN) {
                    return (StatusCode::FORBIDDEN, String::new());
                }
                let query = request.uri.query().unwrap_or_default();
                let audience = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "audience");
                self.attestation.ecs_document(&audience.unwrap_or_default().1)
            }
            ("GET", "/latest/dynamic/instance-identity/rsa2048") => {
                if !self.has_token(&request.headers, &EC2_TOKEN) {
                    return (StatusCode::UNAUTHORIZED, String::new());
                }
                self.attestation.ec2_document().map(|document| Some(wrapped(&document)))
            }
            _ => return (StatusCode::NOT_FOUND, String::new()),
        };
        match document {
            Ok(Some(document)) => (StatusCode::OK, behaviour.change(document)),
            Ok(None) => (StatusCode::BAD_REQUEST, "the audience is not JSON".to_owned()),
            Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()),
        }
    }

    /// The name of the instance's role, or a credential of it.
    fn role_answer(&self, request: &MetadataRequest, name: &str) -> Result<Answer, StatusCode> {
        if !self.has_token(&request.headers, &ECS_TOKEN) {
            return Err(StatusCode::FORBIDDEN);
        }
        let role = self.state().role.clone().filter(|role| name.is_empty() || role.name == name);
        let role = role.filter(|_| request.method == Method::GET).ok_or(StatusCode::NOT_FOUND)?;
        if name.is_empty() {
            let body = Bytes::from(role.name.clone());
            return Ok(Answer { status: StatusCode::OK, headers: HeaderMap::new(), body });
        }
        let mut object = role.issuer.issue(ROLE_LIFE);
        object.insert("Code".into(), "Success".into());
        Ok(role.issuer.answer(object, None))
    }

    /// A token that lives as long as its header asks.
    fn token(&self, headers: &HeaderMap) -> (StatusCode, String) {
        let life = headers.get(ECS_LIFE).or_else(|| headers.get(EC2_LIFE));
        let life = life.and_then(|life| life.to_str().ok()?.parse().ok());
        match life {
            Some(life @ 1..=LONGEST_TOKEN_LIFE) => {
                let token = format!("{:032x}==", fastrand::u128(..));
                let end = self.clock.now().unix_seconds() + life;
                self.state().tokens.insert(token.clone(), end);
                (StatusCode::OK, token)
            }
            _ => (StatusCode::BAD_REQUEST, String::new()),
        }
    }

    fn has_token(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let end = headers.get(name).and_then(|token| self.state().tokens.get(token.to_str().ok()?).copied());
        end.is_some_and(|end| self.clock.now().unix_seconds() < end)
    }
}

impl MetadataBehaviour {
    fn change(self, document: String) -> String {
        match self {
            Self::WrappedDocument => wrapped(&document),
            // In the middle there is the certificate or the content; either way the signature no longer fits.
            Self::TamperedDocument => {
                let (before, after) = document.split_at(document.len() / 2);
                let Some(place) = after.find(|letter| letter != '\n') else { return document };
                let (between, rest) = after.split_at(place);
                let other = if rest.starts_with('A') { 'B' } else { 'A' };
                format!("{before}{between}{other}{}", rest.get(1..).unwrap_or_default())
            }
            Self::NoDocument => "<html>welcome</html>".to_owned(),
            Self::Normal | Self::Status(_) | Self::Silent => document,
        }
    }
}

fn wrapped(document: &str) -> String {
    let breaks = |(place, letter): (usize, char)| {
        let end = if place % 64 == 63 { Some('\n') } else { None };
        std::iter::once(letter).chain(end)
    };
    let mut wrapped: String = document.chars().enumerate().flat_map(breaks).collect();
    wrapped.push('\n');
    wrapped
}
