//! The DeveloperAPI, as far as it hands out STS credentials of cloud roles, stored credentials, and tokens of third
//! parties.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode, request};
use rustls::ServerConfig;
use serde_json::{Map, Value};

use crate::aliyun::access_key::AccessKeys;
use crate::aliyun::cloud_account::{CloudAccount, CloudVendor};
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::aliyun::stored_secrets::{FETCH, OBTAIN, StoredSecrets, refusal};
use crate::bearer::BearerVerifier;
use crate::idaas::TestIdaas;
use crate::issuer::service::IdaasService;
use crate::names::INSTANCE_ID;
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::response::{self, Refused};

const AUDIENCE: &str = "urn:cloud:idaas:pam";

/// Either of them will do: the API's own, and the one that the vendor's clients ask for by default.
const PERMISSIONS: [&str; 2] =
    ["cloud_account_role:obtain_access_credential", "cloud_account:obtain_access_credential"];

/// In seconds, what a session may last.
const SESSION: std::ops::RangeInclusive<u64> = 900..=43_200;

/// A DeveloperAPI beside the IDaaS that hands out STS credentials of cloud roles, stored credentials, and
/// tokens of third parties, for tokens of one [`TestIdaas`]; started by [`TestIdaas::start_developer_api`].
///
/// It speaks HTTPS under the authority of the IDaaS, and wants a live token of it for `urn:cloud:idaas:pam`.
/// The credentials open nothing, and end by the clock of the IDaaS. It has [`Controls`], and stops when it is
/// dropped.
pub struct DeveloperApi {
    controls: Controls,
    endpoint: Arc<DeveloperEndpoint>,
}

struct DeveloperEndpoint {
    bearer: BearerVerifier,
    state: Mutex<State>,
}

struct State {
    account: CloudAccount,
    session: Duration,
    stored: StoredSecrets,
}

impl TestIdaas {
    /// Starts a DeveloperAPI for tokens of this IDaaS, on the Tokio runtime of the caller. It knows no role yet:
    /// [`add_role`](DeveloperApi::add_role).
    ///
    /// # Errors
    ///
    /// If no port is free, or no certificate can be made.
    pub async fn start_developer_api(&self) -> io::Result<DeveloperApi> {
        self.start_developer_api_on(0).await
    }

    /// The same on this port, for clients in other processes; 0 is a free one. It listens where the IDaaS does.
    ///
    /// # Errors
    ///
    /// If the port is taken, or no certificate can be made.
    pub async fn start_developer_api_on(&self, port: u16) -> io::Result<DeveloperApi> {
        DeveloperApi::start(Arc::clone(&self.service), port, self.tls()?)
    }
}

impl DeveloperApi {
    fn start(idaas: Arc<IdaasService>, port: u16, tls: Arc<ServerConfig>) -> io::Result<Self> {
        let place = idaas.place.clone();
        let permissions = PERMISSIONS.map(str::to_owned).to_vec();
        let clock = idaas.endpoint.clock.clone();
        let state = State {
            account: CloudAccount::default(),
            session: Duration::from_secs(3600),
            stored: StoredSecrets::default(),
        };
        let endpoint = Arc::new(DeveloperEndpoint {
            bearer: BearerVerifier::new(idaas, AUDIENCE.to_owned(), permissions),
            state: Mutex::new(state),
        });
        let controls = Controls::start(place.reserve(port)?, Arc::clone(&endpoint), clock, Some(tls))?;
        Ok(Self { controls, endpoint })
    }

    /// Where it is, as the configuration has it: a host, with its port and without a scheme.
    pub fn endpoint(&self) -> String {
        self.endpoint.bearer.idaas.place.authority(self.controls.port())
    }

    /// Hands out credentials of this role from now on, in the shape of this cloud.
    pub fn add_role(&self, arn: impl Into<String>, vendor: CloudVendor) {
        self.endpoint.state().account.add(arn.into(), vendor);
    }

    /// The access keys of the credentials, for servers that verify signatures.
    pub(crate) fn access_keys(&self) -> Arc<AccessKeys> {
        Arc::clone(self.endpoint.state().account.keys())
    }

    /// Stores this API key under this identifier from now on, in the place of what was there.
    pub fn store_api_key(&self, name: impl Into<String>, key: impl Into<String>) {
        self.endpoint.state().stored.store_api_key(name.into(), key.into());
    }

    /// Stores this OAuth client under this identifier from now on, in the place of what was there.
    pub fn store_oauth_client(
        &self,
        name: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) {
        self.endpoint.state().stored.store_oauth_client(name.into(), client_id.into(), client_secret.into());
    }

    /// Disables a stored credential, or enables it again.
    pub fn set_credential_enabled(&self, name: &str, enabled: bool) {
        self.endpoint.state().stored.set_enabled(name, enabled);
    }

    /// Gets tokens of this third party from now on, which live for `token_life`. `scopes`, separated by spaces, are those
    /// that a token may have; without any, it may have all. `parameters` are the names of the custom parameters that a
    /// request may have.
    pub fn add_credential_provider(
        &self,
        name: impl Into<String>,
        token_life: Duration,
        scopes: &str,
        parameters: &[&str],
    ) {
        self.endpoint.state().stored.add_provider(name.into(), token_life, scopes, parameters);
    }

    /// Whether this is an access token of this third party that was handed out here, as its API would check.
    pub fn has_issued(&self, provider: &str, token: &str) -> bool {
        self.endpoint.state().stored.has_issued(provider, token)
    }

    /// Has a user consent before there are tokens of this third party; `false` once the user has.
    pub fn require_consent(&self, provider: &str, required: bool) {
        self.endpoint.state().stored.require_consent(provider, required);
    }

    /// How long credentials live when the request does not say. Default: an hour.
    pub fn set_session_duration(&self, duration: Duration) {
        self.endpoint.state().session = duration;
    }

    /// Refuses one token from now on; the token itself or its `jti` will do.
    pub fn revoke(&self, token_or_id: &str) {
        self.endpoint.bearer.revoke(token_or_id);
    }

    /// Refuses every token issued so far; later ones are accepted, even those of the same second.
    pub fn revoke_all_issued_before_now(&self) {
        self.endpoint.bearer.revoke_all_issued_before_now();
    }

    /// How many credentials were handed out.
    pub fn issued(&self) -> usize {
        self.controls.granted()
    }
}

impl Deref for DeveloperApi {
    type Target = Controls;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl fmt::Debug for DeveloperApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeveloperApi").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Endpoint for DeveloperEndpoint {
    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        let headers = &call.head.headers;
        let below = call.head.uri.path().strip_prefix("/v2/").and_then(|path| path.strip_prefix(INSTANCE_ID));
        let now = self.bearer.idaas.endpoint.clock.now();
        let answer = match below {
            Some(path) if path == OBTAIN.0 => {
                self.bearer.verify_for(headers, &[OBTAIN.1])?;
                self.state().stored.obtain(&call.head, now)?
            }
            Some(path) if path == FETCH.0 => {
                self.bearer.verify_for(headers, &[FETCH.1])?;
                self.state().stored.fetch(call, now)?
            }
            _ => {
                self.bearer.verify(headers)?;
                self.obtain(&call.head)?
            }
        };
        Ok(response::success(answer, change))
    }

    fn echo(&self, call: &Call) -> Response<Bytes> {
        OpenApiRefusal::echo(&call.head).into_response()
    }
}

impl DeveloperEndpoint {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obtain(&self, head: &request::Parts) -> Result<Map<String, Value>, Refused> {
        let path = format!("/v2/{INSTANCE_ID}/cloudAccountRoles/_/actions/obtainAccessCredential");
        if head.uri.path() != path {
            return Err(refusal(StatusCode::NOT_FOUND, "resource_not_found", "nothing is here"));
        }
        if head.method != Method::GET {
            return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "GET is expected"));
        }
        let state = self.state();
        let (mut arn, mut life) = (None, state.session);
        for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            match (&*name, value.parse()) {
                ("cloudAccountRoleExternalId", _) if arn.is_none() => arn = Some(value),
                ("durationSeconds", Ok(seconds)) if SESSION.contains(&seconds) => {
                    life = Duration::from_secs(seconds);
                }
                _ => {
                    let message = format!("parameter {name} is unknown, repeated or out of range");
                    return Err(refusal(StatusCode::BAD_REQUEST, "invalid_parameter", &message));
                }
            }
        }
        let now = self.bearer.idaas.endpoint.clock.now();
        state.account.assume(&arn.unwrap_or_default(), now, life).ok_or_else(|| {
            let message = "the role does not exist, or is not granted to the client";
            refusal(StatusCode::NOT_FOUND, "cloud_account_role_not_found", message)
        })
    }
}
