//! The metadata service of a cloud, as far as it signs documents and knows the instance's role.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, request};

use crate::aliyun::metadata_document::{MetadataDocument, wrapped};
use crate::aliyun::open_api::OpenApiService;
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::aliyun::temporary_keys::TemporaryKeys;
use crate::idaas::TestIdaas;
use crate::issuer::attestation::Attestation;
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::listener::reserve;
use crate::server::response::{self, Refused};
use tower_idaas::clock::Clock;

const LONGEST_TOKEN_LIFE: u64 = 21_600;

const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
const ROLE_LIFE: Duration = Duration::from_secs(3600);

const ECS_LIFE: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds");
const ECS_TOKEN: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token");
const EC2_LIFE: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const EC2_TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// A metadata service on the loopback interface, of Alibaba Cloud ECS and of AWS EC2 at once; started by
/// [`TestIdaas::start_metadata_service`](crate::TestIdaas::start_metadata_service).
///
/// It speaks plain HTTP, wants a token before it tells anything, and signs documents (CMS) that the token
/// endpoint verifies. It has [`Controls`], and stops when it is dropped. From a container with a hop limit of 1,
/// a real one looks as this one does with [`Behaviour::HangHandshake`](crate::Behaviour::HangHandshake).
pub struct MetadataService {
    controls: Controls,
    endpoint: Arc<MetadataEndpoint>,
}

struct MetadataEndpoint {
    attestation: Arc<Attestation>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    document: MetadataDocument,
    /// Of each token the Unix second in which it ends.
    tokens: HashMap<String, u64>,
    role: Option<Arc<Role>>,
    /// No token is given, and none is wanted.
    is_without_tokens: bool,
}

/// The instance's RAM role.
struct Role {
    name: String,
    issuer: TemporaryKeys,
}

impl TestIdaas {
    /// Starts a metadata service whose documents this IDaaS trusts, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub async fn start_metadata_service(&self) -> io::Result<MetadataService> {
        let federation = self.service.endpoint.client.federation();
        MetadataService::start(Arc::clone(&federation.attestation), federation.clock.clone())
    }
}

impl MetadataService {
    fn start(attestation: Arc<Attestation>, clock: Clock) -> io::Result<Self> {
        let endpoint =
            Arc::new(MetadataEndpoint { attestation, clock: clock.clone(), state: Mutex::default() });
        let controls = Controls::start(reserve(0)?, Arc::clone(&endpoint), clock, None)?;
        Ok(Self { controls, endpoint })
    }

    /// Where it is: what [`IdaasBuilder::metadata_address`](tower_idaas::IdaasBuilder::metadata_address) takes.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.controls.port())
    }

    /// Attaches a RAM role to the instance, in place of an earlier one: credentials of it, which live for an
    /// hour, are handed out under `/latest/meta-data/ram/security-credentials/`, and this OpenAPI accepts them.
    pub fn attach_role(&self, name: impl Into<String>, open_api: &OpenApiService) {
        let issuer = TemporaryKeys::new(open_api.keys(), self.endpoint.clock.clone());
        self.endpoint.state().role = Some(Arc::new(Role { name: name.into(), issuer }));
    }

    /// Knows no tokens from now on, as before the second version of the service: a request for one gets a 404,
    /// and everything else is told without.
    pub fn serve_without_tokens(&self) {
        self.endpoint.state().is_without_tokens = true;
    }

    /// Hands out documents of this kind from now on.
    pub fn set_document(&self, document: MetadataDocument) {
        self.endpoint.state().document = document;
    }
}

impl Deref for MetadataService {
    type Target = Controls;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl fmt::Debug for MetadataService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataService").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Endpoint for MetadataEndpoint {
    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        let request::Parts { method, uri, headers, .. } = &call.head;
        match (method.as_str(), uri.path(), uri.path().strip_prefix(ROLES)) {
            ("PUT", "/latest/api/token", _) => self.token(headers),
            ("GET", "/latest/dynamic/instance-identity/pkcs7", _) => {
                self.ecs_document(headers, uri.query().unwrap_or_default())
            }
            ("GET", "/latest/dynamic/instance-identity/rsa2048", _) => self.ec2_document(headers),
            ("GET", _, Some(name)) => self.role(headers, name, change),
            _ => Err(StatusCode::NOT_FOUND.into()),
        }
    }

    fn echo(&self, call: &Call) -> Response<Bytes> {
        OpenApiRefusal::echo(&call.head).into_response()
    }
}

impl MetadataEndpoint {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that lives as long as its header asks.
    fn token(&self, headers: &HeaderMap) -> Result<Response<Bytes>, Refused> {
        if self.state().is_without_tokens {
            return Err(StatusCode::NOT_FOUND.into());
        }
        let life = headers.get(ECS_LIFE).or_else(|| headers.get(EC2_LIFE));
        let life = life.and_then(|life| life.to_str().ok()?.parse().ok());
        let Some(life @ 1..=LONGEST_TOKEN_LIFE) = life else {
            return Err(StatusCode::BAD_REQUEST.into());
        };
        let token = format!("{:032x}==", fastrand::u128(..));
        let end = self.clock.now().unix_seconds() + life;
        self.state().tokens.insert(token.clone(), end);
        Ok(response::text(StatusCode::OK, token))
    }

    fn ecs_document(&self, headers: &HeaderMap, query: &str) -> Result<Response<Bytes>, Refused> {
        self.check_token(headers, &ECS_TOKEN, StatusCode::FORBIDDEN)?;
        let audience = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "audience");
        let document = self.attestation.ecs_document(&audience.unwrap_or_default().1).map_err(fault)?;
        let no_json = || response::text(StatusCode::BAD_REQUEST, "the audience is not JSON");
        Ok(self.document(document.ok_or_else(no_json)?))
    }

    fn ec2_document(&self, headers: &HeaderMap) -> Result<Response<Bytes>, Refused> {
        self.check_token(headers, &EC2_TOKEN, StatusCode::UNAUTHORIZED)?;
        Ok(self.document(wrapped(&self.attestation.ec2_document().map_err(fault)?)))
    }

    fn document(&self, signed: String) -> Response<Bytes> {
        let document = self.state().document;
        response::text(StatusCode::OK, document.of(signed))
    }

    /// The name of the instance's role, or a credential of it.
    fn role(
        &self,
        headers: &HeaderMap,
        name: &str,
        change: Option<&ResponseChange>,
    ) -> Result<Response<Bytes>, Refused> {
        self.check_token(headers, &ECS_TOKEN, StatusCode::FORBIDDEN)?;
        let role = self.state().role.clone().filter(|role| name.is_empty() || role.name == name);
        let role = role.ok_or(StatusCode::NOT_FOUND)?;
        if name.is_empty() {
            return Ok(response::text(StatusCode::OK, role.name.clone()));
        }
        let mut object = role.issuer.issue(ROLE_LIFE);
        object.insert("Code".into(), "Success".into());
        Ok(response::success(object, change))
    }

    fn check_token(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
        status: StatusCode,
    ) -> Result<(), StatusCode> {
        if self.state().is_without_tokens {
            return Ok(());
        }
        let end = headers.get(name).and_then(|token| self.state().tokens.get(token.to_str().ok()?).copied());
        match end {
            Some(end) if self.clock.now().unix_seconds() < end => Ok(()),
            _ => Err(status),
        }
    }
}

fn fault(fault: io::Error) -> Response<Bytes> {
    response::text(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string())
}
