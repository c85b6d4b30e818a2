//! Something on the same machine that hands out credentials without a proof.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;

use crate::aliyun::open_api::OpenApiService;
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::aliyun::temporary_keys::TemporaryKeys;
use crate::idaas::TestIdaas;
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::listener::reserve;
use crate::server::response::{self, Refused};
use tower_idaas::environment::ManualEnvironment;

const PATH: &str = "/credentials";
const LIFE: Duration = Duration::from_secs(3600);

/// What `ALIBABA_CLOUD_CREDENTIALS_URI` points to, on the loopback interface; started by
/// [`TestIdaas::start_credentials_uri`].
///
/// It speaks plain HTTP, and hands a credential that lives for an hour to each client that knows its address,
/// which is secret for that reason. It has [`Controls`], and stops when it is dropped.
pub struct CredentialsUriService {
    controls: Controls,
    endpoint: Arc<CredentialsEndpoint>,
}

struct CredentialsEndpoint {
    issuer: TemporaryKeys,
    /// What the query has to be.
    query: String,
}

impl TestIdaas {
    /// Starts a server whose credentials this OpenAPI accepts, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub async fn start_credentials_uri(
        &self,
        open_api: &OpenApiService,
    ) -> io::Result<CredentialsUriService> {
        let clock = self.service.endpoint.clock.clone();
        let endpoint = Arc::new(CredentialsEndpoint {
            issuer: TemporaryKeys::new(open_api.keys(), clock.clone()),
            query: format!("key={:032x}", fastrand::u128(..)),
        });
        let controls = Controls::start(reserve(0)?, Arc::clone(&endpoint), clock, None)?;
        Ok(CredentialsUriService { controls, endpoint })
    }
}

impl CredentialsUriService {
    /// Where it is.
    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}?{}", self.controls.port(), self.endpoint.query)
    }

    /// New environment variables that tell clients where it is and that there is no metadata service, and nothing
    /// else.
    pub fn environment(&self) -> ManualEnvironment {
        ManualEnvironment::from_iter([
            ("ALIBABA_CLOUD_CREDENTIALS_URI", self.uri().as_str()),
            ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"),
        ])
    }
}

impl Deref for CredentialsUriService {
    type Target = Controls;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl fmt::Debug for CredentialsUriService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsUriService").field("port", &self.controls.port()).finish_non_exhaustive()
    }
}

impl Endpoint for CredentialsEndpoint {
    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        let uri = &call.head.uri;
        let is_good =
            call.head.method == Method::GET && uri.path() == PATH && uri.query() == Some(self.query.as_str());
        if !is_good {
            return Err(OpenApiRefusal::new(StatusCode::NOT_FOUND, "Failed", "there is nothing here").into());
        }
        let mut object = self.issuer.issue(LIFE);
        object.insert("Code".into(), json!("Success"));
        Ok(response::success(object, change))
    }

    fn echo(&self, call: &Call) -> Response<Bytes> {
        OpenApiRefusal::echo(&call.head).into_response()
    }
}
