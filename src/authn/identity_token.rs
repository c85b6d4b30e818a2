//! OIDC tokens of the platform on which a program runs: a cloud's metadata service, or a CI system.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;

use crate::authn::{AssertionSource, CheckContext, TokenRequest};
use crate::environment::Environment;
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};
use crate::host::{has_usable_port, is_loopback};
use crate::secret::Secret;
use crate::transport::metadata::{AZURE, GOOGLE_CLOUD, MetadataService, Provider};
use crate::wire::{json, percent, time};

/// The audience that the vendor's own client requests.
const AUDIENCE: &str = "alibaba-cloud-idaas-v2";

/// The identity token of a Google Cloud machine's service account, for
/// [`Oidc::from_source`](crate::authn::Oidc::from_source).
///
/// ```
/// use tower_idaas::authn::{GoogleCloudIdentity, Oidc};
///
/// let method = Oidc::from_source("orders-on-gce", GoogleCloudIdentity::new());
/// # drop(method);
/// ```
#[derive(Clone, Debug)]
pub struct GoogleCloudIdentity {
    audience: String,
    service: Service,
}

/// The access token of an Azure machine's managed identity, for [`Oidc::from_source`](crate::authn::Oidc::from_source).
#[derive(Clone, Debug)]
pub struct AzureIdentity {
    resource: String,
    client_id: Option<String>,
    service: Service,
}

/// The OIDC token of a GitHub Actions job, for [`Oidc::from_source`](crate::authn::Oidc::from_source). The job needs
/// `permissions: id-token: write`, which sets the variables that lead to the token, `ACTIONS_ID_TOKEN_REQUEST_URL` and
/// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
#[derive(Clone, Debug)]
pub struct GithubActionsIdentity {
    audience: String,
}

/// A metadata service, or the fault of its configured address.
type Service = Result<Arc<MetadataService>, ConfigFault>;

fn service(provider: &'static Provider, address: Option<&str>) -> Service {
    MetadataService::new(provider, address, "this source of OIDC tokens works").map(Arc::new)
}

impl GoogleCloudIdentity {
    /// Requests the audience `alibaba-cloud-idaas-v2`.
    pub fn new() -> Self {
        Self { audience: AUDIENCE.to_owned(), service: service(&GOOGLE_CLOUD, None) }
    }

    /// Requests another audience.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// The address of the metadata service, `http://host:port`. Default: `http://metadata.google.internal`.
    #[must_use]
    pub fn metadata_address(mut self, address: impl AsRef<str>) -> Self {
        self.service = service(&GOOGLE_CLOUD, Some(address.as_ref()));
        self
    }
}

impl Default for GoogleCloudIdentity {
    fn default() -> Self {
        Self::new()
    }
}

impl AzureIdentity {
    /// Requests a token for this resource: the application id URI that the federated credential accepts as its
    /// audience.
    pub fn new(resource: impl Into<String>) -> Self {
        Self { resource: resource.into(), client_id: None, service: service(&AZURE, None) }
    }

    /// Selects the user-assigned identity with this client id, where a machine has several.
    #[must_use]
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// The address of the metadata service, `http://host:port`. Default: `http://169.254.169.254`.
    #[must_use]
    pub fn metadata_address(mut self, address: impl AsRef<str>) -> Self {
        self.service = service(&AZURE, Some(address.as_ref()));
        self
    }
}

impl GithubActionsIdentity {
    /// Requests the audience `alibaba-cloud-idaas-v2`.
    pub fn new() -> Self {
        Self { audience: AUDIENCE.to_owned() }
    }

    /// Requests another audience.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }
}

impl Default for GithubActionsIdentity {
    fn default() -> Self {
        Self::new()
    }
}

impl AssertionSource for GoogleCloudIdentity {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let path = "/computeMetadata/v1/instance/service-accounts/default/identity";
            let audience = percent::encoded(&self.audience);
            get(&self.service, request, &format!("{path}?audience={audience}&format=full")).await
        })
    }

    fn check(&self, _: &CheckContext<'_>) -> Vec<ConfigFault> {
        let blank = blank("audience", &self.audience);
        self.service.as_ref().err().cloned().into_iter().chain(blank).collect()
    }
}

impl AssertionSource for AzureIdentity {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let resource = percent::encoded(&self.resource);
            let mut target =
                format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}");
            if let Some(id) = &self.client_id {
                target.extend(["&client_id=", &percent::encoded(id).to_string()]);
            }
            let response = get(&self.service, request, &target).await?;
            member(response.expose_secret(), "access_token", "the Azure metadata service")
        })
    }

    fn check(&self, _: &CheckContext<'_>) -> Vec<ConfigFault> {
        let blank = blank("resource", &self.resource);
        self.service.as_ref().err().cloned().into_iter().chain(blank).collect()
    }
}

async fn get(service: &Service, request: &TokenRequest, target: &str) -> Result<Secret, Error> {
    let service = service
        .as_ref()
        .map_err(|fault| Error::new(ErrorKind::Credential, format!("cannot get an OIDC token: {fault}")))?;
    service.text(service.session(request.environment()).await?.get(target).await?)
}

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

impl GithubActionsIdentity {
    /// The request for a token, if the job has the permission.
    fn request(&self, environment: &Environment) -> Result<Request<Full<Bytes>>, ConfigFault> {
        let url = variable(environment, REQUEST_URL)?;
        let token = variable(environment, REQUEST_TOKEN)?;
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}audience={}", percent::encoded(&self.audience));
        let uri = url
            .parse::<Uri>()
            .ok()
            .filter(|uri| uri.scheme_str() == Some("https") || uri.host().is_some_and(is_loopback))
            .filter(|uri| uri.authority().is_some_and(has_usable_port));
        let uri =
            uri.ok_or_else(|| ConfigFault::new(REQUEST_URL, "is not an https URL; expected GitHub's own"))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut bearer =
            bearer.map_err(|_| ConfigFault::new(REQUEST_TOKEN, "is no token; expected GitHub's own"))?;
        bearer.set_sensitive(true);
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

impl AssertionSource for GithubActionsIdentity {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let unusable = |problem: String| Error::new(ErrorKind::Credential, problem);
            let token_request =
                self.request(request.environment()).map_err(|fault| unusable(fault.to_string()))?;
            let transport = request.transport().ok_or_else(|| {
                unusable(
                    "GitHub's OIDC token needs an HTTP client, and there is none; request it through a handle"
                        .to_owned(),
                )
            })?;
            let response: Response<Bytes> = transport.send(token_request, "GitHub's OIDC provider").await?;
            if !response.status().is_success() {
                let status = response.status();
                let kind = match status.is_server_error() || status.as_u16() == 429 {
                    true => ErrorKind::Unavailable,
                    false => ErrorKind::Refused,
                };
                let problem =
                    format!("GitHub's OIDC provider responded with {status}; check the job's permissions");
                let error = Error::new(kind, problem).with_status(status);
                let now = request.timestamp().system_time();
                return Err(match time::retry_after(response.headers(), now) {
                    Some(pause) => error.with_retry_after(pause),
                    None => error,
                });
            }
            member(&json::text(response.body()), "value", "GitHub's OIDC provider")
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let request = self.request(context.environment());
        request.err().into_iter().chain(blank("audience", &self.audience)).collect()
    }
}

fn variable(environment: &Environment, name: &str) -> Result<String, ConfigFault> {
    environment.text(name).ok_or_else(|| {
        let problem =
            "is not set; this works in a job of GitHub Actions with `permissions: id-token: write` only";
        ConfigFault::new(name, problem)
    })
}

fn blank(option: &str, value: &str) -> Option<ConfigFault> {
    value
        .trim()
        .is_empty()
        .then(|| ConfigFault::new(option, "is blank; expected what the federated credential takes"))
}

/// A member of a JSON object. Nothing else of the response is shown.
fn member(response: &str, name: &str, from: impl fmt::Display) -> Result<Secret, Error> {
    let value = json::parsed(json::without_marks(response)).ok();
    let value = value.as_ref().and_then(|value| value.get(name)?.as_str()).filter(|token| !token.is_empty());
    value.map(Secret::new).ok_or_else(|| {
        let problem = format!("the response of {from} has no `{name}`; check that nothing is in front of it");
        Error::new(ErrorKind::InvalidResponse, problem)
    })
}
