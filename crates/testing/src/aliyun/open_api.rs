//! The EIAM OpenAPI, as far as it hands out tokens.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde_json::json;

use crate::aliyun::access_key::{AccessKey, AccessKeys};
use crate::aliyun::generate_oauth_token::GenerateOauthToken;
use crate::aliyun::open_api_refusal::OpenApiRefusal;
use crate::idaas::TestIdaas;
use crate::server::behaviour::ResponseChange;
use crate::server::controls::Controls;
use crate::server::endpoint::{Call, Endpoint};
use crate::server::response::{self, Refused};

/// The EIAM OpenAPI beside the IDaaS, which hands out tokens of a [`TestIdaas`] for signatures with an
/// Alibaba Cloud access key; started by [`TestIdaas::start_open_api`].
///
/// It speaks HTTPS, verifies each signature anew from what it received, and refuses used nonces and dates
/// that are more than 15 minutes off. It has [`Controls`], and stops when it is dropped.
pub struct OpenApiService {
    controls: Controls,
    endpoint: Arc<OpenApiEndpoint>,
    address: String,
    config: String,
    access_key: AccessKey,
}

struct OpenApiEndpoint {
    api: GenerateOauthToken,
    keys: Arc<AccessKeys>,
}

impl TestIdaas {
    /// Starts the OpenAPI of this IDaaS, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port is free, or no certificate can be made.
    pub async fn start_open_api(&self) -> io::Result<OpenApiService> {
        self.start_open_api_on(0).await
    }

    /// The same on this port, for clients in other processes; 0 is a free one. It listens where the IDaaS does.
    ///
    /// # Errors
    ///
    /// If the port is taken, or no certificate can be made.
    pub async fn start_open_api_on(&self, port: u16) -> io::Result<OpenApiService> {
        let keys = Arc::new(AccessKeys::default());
        let access_key = AccessKey::new("LTAI_test", "not-a-real-access-key-secret");
        keys.add(access_key.clone());
        let api = GenerateOauthToken::new(Arc::clone(&self.service), Arc::clone(&keys));
        let endpoint = Arc::new(OpenApiEndpoint { api, keys });
        let clock = self.service.endpoint.clock.clone();
        let place = &self.service.place;
        let controls =
            Controls::start(place.reserve(port)?, Arc::clone(&endpoint), clock, Some(self.tls()?))?;
        let address = place.authority(controls.port());
        let config = json!({
            "idaasInstanceId": Self::INSTANCE_ID,
            "clientId": self.client_id(),
            "issuer": self.issuer(),
            "tokenEndpoint": self.token_endpoint(),
            "openApiEndpoint": address,
            "scope": self.scope().as_str(),
            "authnConfiguration": {
                "identityType": "CLIENT",
                "authnMethod": "PLUGIN",
                "pluginName": "alibabacloudPluginCredentialProvider",
            },
        });
        Ok(OpenApiService { controls, endpoint, address, config: format!("{config:#}"), access_key })
    }
}

/// What clients are configured with.
impl OpenApiService {
    /// Where it is, without a scheme, as in key `openApiEndpoint`.
    pub fn endpoint(&self) -> String {
        self.address.clone()
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
        self.endpoint.keys.add(key);
    }

    /// The access keys, for servers that hand out more of them.
    pub(crate) fn keys(&self) -> Arc<AccessKeys> {
        Arc::clone(&self.endpoint.keys)
    }

    /// Signatures with the access key of this id are refused from now on.
    pub fn remove_access_key(&self, id: &str) {
        self.endpoint.keys.remove(id);
    }

    /// How many tokens were issued here.
    pub fn tokens_issued(&self) -> usize {
        self.controls.granted()
    }
}

impl fmt::Debug for OpenApiService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApiService").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Deref for OpenApiService {
    type Target = Controls;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl Endpoint for OpenApiEndpoint {
    fn respond(&self, call: &Call, change: Option<&ResponseChange>) -> Result<Response<Bytes>, Refused> {
        Ok(response::success(self.api.respond(&call.head, &call.body)?, change))
    }

    fn echo(&self, call: &Call) -> Response<Bytes> {
        OpenApiRefusal::echo(&call.head).into_response()
    }
}
