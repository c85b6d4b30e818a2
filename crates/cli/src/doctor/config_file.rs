//! The configuration as the crate understands it, for looking at. Whether it is right is for the crate to say.

use http::Uri;
use tower_idaas::explanation::{Explanation, Probe, Route};

#[derive(Debug)]
pub(crate) struct ConfigFile(pub(crate) Explanation);

impl ConfigFile {
    /// The value without surrounding white space, unless it is blank.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.value(key)
    }

    pub(crate) fn method(&self) -> &str {
        self.get("authnMethod").unwrap_or_default()
    }

    /// Whether OIDC gets its token from the metadata service of Google Cloud.
    pub(crate) fn is_on_google_cloud(&self) -> bool {
        self.method() == "OIDC" && self.get("clientDeployEnvironment") == Some("GOOGLE_VM")
    }

    /// Where tokens are requested.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let (key, uri) = self.0.endpoint()?;
        Endpoint::new(key, uri)
    }

    /// Where credentials of cloud roles and stored secrets are requested.
    pub(crate) fn developer_api(&self) -> Option<Endpoint> {
        Endpoint::new("developerApiEndpoint", self.0.developer_api()?)
    }

    /// How a connection of the crate's to it goes.
    pub(crate) async fn probe(&self, endpoint: &Endpoint) -> Probe {
        self.0.probe(&endpoint.uri).await
    }

    /// How the crate reaches it.
    pub(crate) fn route(&self, endpoint: &Endpoint) -> Route {
        self.0.route(&endpoint.uri)
    }
}

impl Endpoint {
    fn new(key: &'static str, uri: Uri) -> Option<Self> {
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let is_tls = uri.scheme_str() != Some("http");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Some(Self { key, uri, host, port, is_tls })
    }
}

/// A host to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The key that names it.
    pub(crate) key: &'static str,
    pub(crate) uri: Uri,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}
