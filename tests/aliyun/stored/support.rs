//! What the tests share: an IDaaS with its DeveloperAPI, a handle for both, a clock to turn, and APIs of others.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response, StatusCode};
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt, service_fn};
use tower_idaas::clock::ManualClock;
use tower_idaas::service::SecretLayer;
use tower_idaas::{BoxError, Idaas};
use tower_idaas_testing::{DeveloperApi, TestIdaas};

use crate::cloud_role::support::client_of;

pub(crate) type Outcome = Result<(), BoxError>;

pub(crate) const KEY: &str = "sk-KEYmarker-0001";
pub(crate) const NEXT_KEY: &str = "sk-KEYmarker-0002";

/// The two servers and a client, on one clock.
pub(crate) struct World {
    pub(crate) issuer: TestIdaas,
    pub(crate) api: DeveloperApi,
    pub(crate) idaas: Idaas,
    pub(crate) clock: ManualClock,
}

impl World {
    /// With the API key `model`.
    pub(crate) async fn new() -> Result<Self, BoxError> {
        let clock = ManualClock::new();
        let issuer = TestIdaas::builder().clock(clock.clone()).start().await?;
        let api = issuer.start_developer_api().await?;
        api.store_api_key("model", KEY);
        let idaas = client_of(&issuer).developer_api_endpoint(api.endpoint()).clock(clock.clone()).build()?;
        Ok(Self { issuer, api, idaas, clock })
    }

    pub(crate) fn calls(&self) -> usize {
        self.api.requests().len()
    }
}

/// An API of another party's: it takes one value of one header, and notes what came.
#[derive(Clone)]
pub(crate) struct OtherApi {
    header: &'static str,
    accepted: Arc<Mutex<String>>,
    pub(crate) received: Arc<Mutex<Vec<HeaderMap>>>,
}

pub(crate) type Client = BoxCloneService<Request<String>, Response<String>, BoxError>;

impl OtherApi {
    pub(crate) fn new(header: &'static str, accepted: impl Into<String>) -> Self {
        Self { header, accepted: Arc::new(Mutex::new(accepted.into())), received: Arc::default() }
    }

    pub(crate) fn accept(&self, value: impl Into<String>) {
        *self.accepted.lock().unwrap() = value.into();
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// The value of the header in the request that came last.
    pub(crate) fn last(&self) -> Option<http::HeaderValue> {
        self.received.lock().unwrap().last()?.get(self.header).cloned()
    }

    pub(crate) fn behind(&self, layer: &SecretLayer) -> Client {
        let api = self.clone();
        let service = service_fn(move |request: Request<String>| {
            let api = api.clone();
            async move {
                let value = request.headers().get(api.header).cloned();
                api.received.lock().unwrap().push(request.headers().clone());
                let is_right = value.is_some_and(|value| value == *api.accepted.lock().unwrap().as_str());
                let status = if is_right { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                Ok::<_, BoxError>(Response::builder().status(status).body(String::new())?)
            }
        });
        BoxCloneService::new(layer.layer(service))
    }
}

pub(crate) fn request(uri: &str) -> Request<String> {
    Request::get(uri).body(String::new()).unwrap()
}

pub(crate) async fn status(client: &Client, uri: &str) -> Result<StatusCode, BoxError> {
    Ok(client.clone().oneshot(request(uri)).await?.status())
}

pub(crate) use crate::cloud_role::support::until;
