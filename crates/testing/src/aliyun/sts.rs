//! STS, as far as it hands out credentials of one role.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, request};
use serde_json::{Map, Value, json};

use crate::aliyun::acs3::SignatureVerifier;
use crate::aliyun::open_api::OpenApiService;
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::aliyun::temporary_keys::TemporaryKeys;
use crate::idaas::TestIdaas;
use crate::issuer::form::Form;
use crate::issuer::service::IdaasService;
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::listener::reserve;
use crate::server::response::{self, Refused};
use tower_idaas::environment::ManualEnvironment;

const VERSION: &str = "2015-04-01";

/// STS on the loopback interface, which hands out credentials of one role; started by
/// [`TestIdaas::start_sts`].
///
/// `AssumeRoleWithOIDC` wants a token of the Kubernetes service account that the [`TestIdaas`] trusts, for
/// [`TOKEN_AUDIENCE`](Self::TOKEN_AUDIENCE), and wants it in the body; `AssumeRole` wants a signature. An
/// [`OpenApiService`] knows the access keys. It speaks HTTPS, has [`Controls`], and stops when it is dropped.
pub struct StsService {
    controls: Controls,
}

struct StsEndpoint {
    idaas: Arc<IdaasService>,
    verifier: SignatureVerifier,
    issuer: TemporaryKeys,
}

impl TestIdaas {
    /// Starts an STS whose credentials this OpenAPI accepts, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port is free, or no certificate can be made.
    pub async fn start_sts(&self, open_api: &OpenApiService) -> io::Result<StsService> {
        let clock = self.service.endpoint.clock.clone();
        let endpoint = StsEndpoint {
            idaas: Arc::clone(&self.service),
            verifier: SignatureVerifier::new(open_api.keys(), clock.clone()),
            issuer: TemporaryKeys::new(open_api.keys(), clock.clone()),
        };
        let controls = Controls::start(reserve(0)?, Arc::new(endpoint), clock, Some(self.tls()?))?;
        Ok(StsService { controls })
    }
}

/// What clients are configured with.
impl StsService {
    /// The role that can be assumed.
    pub const ROLE_ARN: &str = "acs:ram::1234567890123456:role/test";

    /// The OIDC provider that stands for the Kubernetes cluster.
    pub const OIDC_PROVIDER_ARN: &str = "acs:ram::1234567890123456:oidc-provider/test";

    /// The audience that tokens have to be for.
    pub const TOKEN_AUDIENCE: &str = "sts.aliyuncs.com";

    /// Where it is: what `IdaasBuilder::sts_endpoint` (feature `aliyun`) takes.
    pub fn endpoint(&self) -> String {
        format!("localhost:{}", self.controls.port())
    }

    /// New environment variables that tell clients to assume the role with the token in this file, and
    /// nothing else.
    pub fn environment(&self, token_file: impl AsRef<Path>) -> ManualEnvironment {
        let environment = ManualEnvironment::from_iter([
            ("ALIBABA_CLOUD_ROLE_ARN", Self::ROLE_ARN),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", Self::OIDC_PROVIDER_ARN),
        ]);
        environment.set("ALIBABA_CLOUD_OIDC_TOKEN_FILE", token_file.as_ref());
        environment
    }

    /// How many credentials were handed out.
    pub fn credentials_issued(&self) -> usize {
        self.controls.granted()
    }
}

impl Deref for StsService {
    type Target = Controls;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl fmt::Debug for StsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsService").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Endpoint for StsEndpoint {
    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        let parameters = Parameters::of(&call.head, &call.body)?;
        Ok(response::success(self.assume(&call.head, &call.body, &parameters)?, change))
    }

    /// The token once as it is, and once as it was encoded in the form.
    fn echo(&self, call: &Call) -> Response<Bytes> {
        let parameters = Parameters::of(&call.head, &call.body).ok();
        let token = parameters.as_ref().and_then(|parameters| parameters.form.get("OIDCToken"));
        let body = String::from_utf8_lossy(&call.body);
        let message = format!("cannot read {} in {body}", token.unwrap_or_default());
        bad("InvalidParameter", message).into_response()
    }
}

/// What is requested, wherever that stands.
struct Parameters {
    action: String,
    form: Form,
}

impl Parameters {
    /// A call with headers of the API's own has them in the query, and one without in the query and in the body,
    /// but the token in the body alone.
    fn of(head: &request::Parts, body: &[u8]) -> Result<Self, OpenApiRefusal> {
        let malformed = |_| bad("InvalidParameter", "the parameters are malformed");
        let query = head.uri.query().unwrap_or_default();
        match header(&head.headers, "x-acs-action") {
            Some(action) => {
                let form = Form::parse(query.as_bytes()).map_err(malformed)?;
                let version = header(&head.headers, "x-acs-version");
                Self { action: action.to_owned(), form }.checked(version)
            }
            None => {
                if Form::parse(query.as_bytes()).map_err(malformed)?.get("OIDCToken").is_some() {
                    return Err(bad("InvalidParameter", "a token in the query gets into logs"));
                }
                let form = Form::parse(&[query.as_bytes(), b"&", body].concat()).map_err(malformed)?;
                let action = form.get("Action").unwrap_or_default().to_owned();
                let version = form.get("Version").map(str::to_owned);
                Self { action, form }.checked(version.as_deref())
            }
        }
    }

    fn checked(self, version: Option<&str>) -> Result<Self, OpenApiRefusal> {
        match version {
            Some(VERSION) => Ok(self),
            _ => Err(bad("InvalidVersion", "expected version 2015-04-01")),
        }
    }

    fn required(&self, name: &str) -> Result<&str, OpenApiRefusal> {
        self.form.get(name).ok_or_else(|| bad("MissingParameter", format!("`{name}` is missing")))
    }
}

impl StsEndpoint {
    /// The credential that the request deserves.
    fn assume(
        &self,
        head: &request::Parts,
        body: &Bytes,
        parameters: &Parameters,
    ) -> Result<Map<String, Value>, OpenApiRefusal> {
        if head.method != Method::POST {
            return Err(bad("UnsupportedHTTPMethod", "expected POST"));
        }
        match parameters.action.as_str() {
            "AssumeRole" => {
                self.verifier.verify(head, body)?;
            }
            "AssumeRoleWithOIDC" => self.verify_token(parameters)?,
            _ => return Err(bad("InvalidAction.NotFound", "there is no such action")),
        }
        if parameters.required("RoleArn")? != StsService::ROLE_ARN {
            let text = "The role not exists.";
            return Err(OpenApiRefusal::new(StatusCode::NOT_FOUND, "EntityNotExist.Role", text));
        }
        let name = parameters.required("RoleSessionName")?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".@-_".contains(&byte);
        if !(2..=64).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(bad("InvalidParameter.RoleSessionName", "the session's name is malformed"));
        }
        let seconds = parameters.required("DurationSeconds")?.parse().ok();
        let Some(seconds @ 900..=43_200) = seconds else {
            return Err(bad("InvalidParameter.DurationSeconds", "expected 900 to 43200"));
        };
        Ok(Map::from_iter([
            ("RequestId".to_owned(), json!(format!("{:032X}", fastrand::u128(..)))),
            ("Credentials".to_owned(), Value::Object(self.issuer.issue(Duration::from_secs(seconds)))),
        ]))
    }

    fn verify_token(&self, parameters: &Parameters) -> Result<(), OpenApiRefusal> {
        if parameters.required("OIDCProviderArn")? != StsService::OIDC_PROVIDER_ARN {
            let text = "The OIDC provider does not exist.";
            return Err(OpenApiRefusal::new(StatusCode::NOT_FOUND, "EntityNotExist.OIDCProvider", text));
        }
        parameters.required("Timestamp")?;
        let accounts = &self.idaas.endpoint.client.federation().service_accounts;
        let verdict = accounts.verify_for(parameters.required("OIDCToken")?, StsService::TOKEN_AUDIENCE);
        verdict.map_err(|problem| bad("AuthenticationFail.OIDCToken.Invalid", problem))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn bad(code: &'static str, message: impl Into<String>) -> OpenApiRefusal {
    OpenApiRefusal::new(StatusCode::BAD_REQUEST, code, message)
}
