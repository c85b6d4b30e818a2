//! The metadata service of a cloud, as far as it signs documents and knows the instance's role.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};
use serde_json::{Map, Value, json};

use crate::aliyun::metadata_document::{MetadataDocument, wrapped};
use crate::aliyun::open_api::OpenApiService;
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::aliyun::temporary_keys::TemporaryKeys;
use crate::idaas::TestIdaas;
use crate::issuer::attestation::Attestation;
use crate::issuer::service::IdaasService;
use crate::issuer::service_account::{Platform, ServiceAccounts};
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::response::{self, Refused};
use tower_idaas::clock::Clock;

const LONGEST_TOKEN_LIFE: u64 = 21_600;

const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
const ROLE_LIFE: Duration = Duration::from_secs(3600);

const AZURE_DOCUMENT: &str = "/metadata/attested/document";
const AZURE_TOKEN: &str = "/metadata/identity/oauth2/token";
const GOOGLE_TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";

const ECS_LIFE: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds");
const ECS_TOKEN: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token");
const EC2_LIFE: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const EC2_TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// A metadata service beside the IDaaS, of Alibaba Cloud ECS, AWS EC2, Azure and Google Cloud at once; started by
/// [`TestIdaas::start_metadata_service`](crate::TestIdaas::start_metadata_service).
///
/// It speaks plain HTTP, wants what its cloud wants before it sends anything, a token or a header, and gives documents
/// (CMS) and identity tokens that the token endpoint verifies. It has [`Controls`], and stops when it is dropped. From a container with a hop limit of 1,
/// a real one looks as this one does with [`Behaviour::HangHandshake`](crate::Behaviour::HangHandshake).
pub struct MetadataService {
    controls: Controls,
    endpoint: Arc<MetadataEndpoint>,
}

struct MetadataEndpoint {
    idaas: Arc<IdaasService>,
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
        self.start_metadata_service_on(0).await
    }

    /// The same on this port, for clients in other processes; 0 is a free one. It listens where the IDaaS does.
    ///
    /// # Errors
    ///
    /// If the port is taken.
    pub async fn start_metadata_service_on(&self, port: u16) -> io::Result<MetadataService> {
        MetadataService::start(Arc::clone(&self.service), port)
    }
}

impl MetadataService {
    fn start(idaas: Arc<IdaasService>, port: u16) -> io::Result<Self> {
        let clock = idaas.endpoint.client.federation().clock.clone();
        let socket = idaas.place.reserve(port)?;
        let endpoint = Arc::new(MetadataEndpoint { idaas, clock: clock.clone(), state: Mutex::default() });
        let controls = Controls::start(socket, Arc::clone(&endpoint), clock, None)?;
        Ok(Self { controls, endpoint })
    }

    /// Where it is: what `IdaasBuilder::metadata_address` (feature `aliyun`) takes.
    pub fn address(&self) -> String {
        let (place, port) = (&self.endpoint.idaas.place, self.controls.port());
        match place.address.is_unspecified() {
            true => format!("http://{}", place.authority(port)),
            false => format!("http://{}", SocketAddr::new(place.address, port)),
        }
    }

    /// Attaches a RAM role to the instance, in place of an earlier one: credentials of it, which live for an
    /// hour, are handed out under `/latest/meta-data/ram/security-credentials/`, and this OpenAPI accepts them.
    pub fn attach_role(&self, name: impl Into<String>, open_api: &OpenApiService) {
        let issuer = TemporaryKeys::new(open_api.keys(), self.endpoint.clock.clone());
        self.endpoint.state().role = Some(Arc::new(Role { name: name.into(), issuer }));
    }

    /// Knows no tokens from now on, as before the second version of the service: a request for one gets a 404,
    /// and everything else is sent without.
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
            ("GET", AZURE_DOCUMENT, _) => {
                check_header(headers, "metadata", "true", StatusCode::BAD_REQUEST)?;
                check_query(uri.query(), &[("api-version", Some("2020-09-01"))])?;
                let signature =
                    self.state().document.of(self.attestation().azure_document().map_err(fault)?);
                Ok(response::success(object(json!({ "encoding": "pkcs7", "signature": signature })), change))
            }
            ("GET", AZURE_TOKEN, _) => {
                check_header(headers, "metadata", "true", StatusCode::BAD_REQUEST)?;
                let wanted = [("api-version", Some("2018-02-01")), ("resource", None)];
                let [_, resource] = check_query(uri.query(), &wanted)?;
                let token = self.accounts().platform_token(Platform::Azure, &resource).map_err(fault)?;
                let answer = json!({
                    "access_token": token, "expires_in": "3600", "resource": resource, "token_type": "Bearer",
                });
                Ok(response::success(object(answer), change))
            }
            ("GET", GOOGLE_TOKEN, _) => {
                check_header(headers, "metadata-flavor", "Google", StatusCode::FORBIDDEN)?;
                let wanted = [("audience", None), ("format", Some("full"))];
                let [audience, _] = check_query(uri.query(), &wanted)?;
                let token =
                    self.accounts().platform_token(Platform::GoogleCloud, &audience).map_err(fault)?;
                let mut response = response::text(StatusCode::OK, token);
                let google = HeaderValue::from_static("Google");
                response.headers_mut().insert(HeaderName::from_static("metadata-flavor"), google);
                Ok(response)
            }
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

    fn attestation(&self) -> &Attestation {
        &self.idaas.endpoint.client.federation().attestation
    }

    fn accounts(&self) -> &ServiceAccounts {
        &self.idaas.endpoint.client.federation().service_accounts
    }

    /// A token that lives as long as its header requests.
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
        let document = self.attestation().ecs_document(&audience.unwrap_or_default().1).map_err(fault)?;
        let no_json = || response::text(StatusCode::BAD_REQUEST, "the audience is not JSON");
        Ok(self.document(document.ok_or_else(no_json)?))
    }

    fn ec2_document(&self, headers: &HeaderMap) -> Result<Response<Bytes>, Refused> {
        self.check_token(headers, &EC2_TOKEN, StatusCode::UNAUTHORIZED)?;
        Ok(self.document(wrapped(&self.attestation().ec2_document().map_err(fault)?)))
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

fn check_header(
    headers: &HeaderMap,
    name: &str,
    value: &str,
    otherwise: StatusCode,
) -> Result<(), StatusCode> {
    match headers.get(name).is_some_and(|sent| sent.as_bytes().eq_ignore_ascii_case(value.as_bytes())) {
        true => Ok(()),
        false => Err(otherwise),
    }
}

/// The values of these parameters, each there once, some with a certain value; no other may be there but a client id.
fn check_query<const N: usize>(
    query: Option<&str>,
    wanted: &[(&str, Option<&str>); N],
) -> Result<[String; N], StatusCode> {
    let mut pairs: Vec<(String, String)> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    pairs.retain(|(name, _)| name != "client_id");
    let value = |&(name, must): &(&str, Option<&str>)| {
        let mut found = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let value = found.next().filter(|value| !value.is_empty() && must.is_none_or(|must| *value == must));
        value.filter(|_| found.next().is_none()).cloned()
    };
    let values: Option<Vec<String>> = wanted.iter().map(value).collect();
    let values = values.filter(|values| values.len() == pairs.len());
    values.and_then(|values| values.try_into().ok()).ok_or(StatusCode::BAD_REQUEST)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn fault(fault: io::Error) -> Response<Bytes> {
    response::text(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string())
}
