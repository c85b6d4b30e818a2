//! The checked configuration: client, endpoints, scope, method and time-outs.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::authn::{Authenticator, vendor_name};
use crate::scope::Scope;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file, as messages name it; `None` when all keys are set in code.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code, reason = "used by the Alibaba Cloud side"))]
    pub(crate) origin: Option<String>,
    /// Empty when it was not set, which only a source of tokens allows. The same holds for the client id.
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    /// `None` only when tokens do not come from the token endpoint. The same holds for `token_endpoint`.
    pub(crate) issuer: Option<Uri>,
    pub(crate) token_endpoint: Option<Uri>,
    pub(crate) scope: Scope,
    /// Checked whatever the method; the plugin that calls it has its own copy.
    #[cfg_attr(not(test), allow(dead_code, reason = "read in tests of what a file means"))]
    pub(crate) open_api_endpoint: Option<Uri>,
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code, reason = "used by the Alibaba Cloud side"))]
    pub(crate) developer_api_endpoint: Option<Uri>,
    /// For signing users in: checked, and not used.
    #[cfg_attr(not(test), allow(dead_code, reason = "read in tests of what a file means"))]
    pub(crate) device_authorization_endpoint: Option<Uri>,
    pub(crate) method: Method,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
}

/// Where tokens come from.
#[derive(Clone, Debug)]
pub(crate) enum Method {
    /// The token endpoint, where the authenticator proves who the client is.
    Endpoint { authenticator: Arc<dyn Authenticator>, token_endpoint: Uri },
    /// A source that is chosen by its name.
    Plugin(Plugin),
    /// A source set in code.
    Source,
}

impl Method {
    /// The vendor's name of the method, or a name for one of the program's own.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Endpoint { authenticator, .. } => vendor_name(&**authenticator).unwrap_or("authenticator"),
            Self::Plugin(_) => "PLUGIN",
            Self::Source => "token source",
        }
    }

    /// The name, with that of the plugin if it is registered in code.
    pub(crate) fn full_name(&self) -> String {
        match self {
            Self::Plugin(Plugin::Registered { name }) => format!("{} {name}", self.name()),
            _ => self.name().to_owned(),
        }
    }

    /// Whether it is not built in: then the configuration does not say whose tokens it gets.
    pub(crate) fn is_custom(&self) -> bool {
        match self {
            Self::Endpoint { authenticator, .. } => vendor_name(&**authenticator).is_none(),
            Self::Plugin(Plugin::Registered { .. }) | Self::Source => true,
            #[cfg(feature = "aliyun")]
            Self::Plugin(Plugin::OpenApi { .. }) => false,
        }
    }
}

/// Where PLUGIN takes tokens from.
#[derive(Clone, Debug)]
pub(crate) enum Plugin {
    /// The built-in one: the EIAM OpenAPI.
    #[cfg(feature = "aliyun")]
    OpenApi { endpoint: Uri },
    /// One registered in code under this name.
    Registered { name: String },
}
