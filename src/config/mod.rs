//! The vendor's `client-config.json`: found, read leniently, checked completely.

mod check;
mod checker;
mod deployment;
mod document;
mod endpoint;
mod explanation;
mod keys;
mod load;
mod method;
mod names;
mod plugin;
mod section;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

pub(crate) use self::keys::ClientConfig;
use crate::authn::{Authenticator, CheckContext, vendor_name};
use crate::error::{ConfigError, ConfigFault};
use crate::scope::Scope;
use crate::secret::Secret;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Empty when it was not given, which only a source of tokens allows; so it is with the client id.
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    /// Without one, tokens come from elsewhere than the token endpoint; so it is with that.
    pub(crate) issuer: Option<Uri>,
    pub(crate) token_endpoint: Option<Uri>,
    pub(crate) scope: Scope,
    /// Checked whatever the method; the plugin that asks it has its own copy.
    #[cfg_attr(not(test), allow(dead_code, reason = "read in tests of what a file means"))]
    pub(crate) open_api_endpoint: Option<Uri>,
    pub(crate) developer_api_endpoint: Option<Uri>,
    /// For people, not for machines: checked, and not used.
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
    /// A source given in code.
    Source,
}

impl Method {
    /// The vendor's name of it, or that it is the user's own.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Endpoint { authenticator, .. } => vendor_name(&**authenticator).unwrap_or("authenticator"),
            Self::Plugin(_) => "PLUGIN",
            Self::Source => "token source",
        }
    }

    /// With the name of the plugin, if it is one of the user's own.
    pub(crate) fn full_name(&self) -> String {
        match self {
            Self::Plugin(Plugin::Registered { name }) => format!("{} {name}", self.name()),
            _ => self.name().to_owned(),
        }
    }

    /// Whether it is not built in: then it alone knows whose tokens it gets.
    pub(crate) fn is_own(&self) -> bool {
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
    /// One registered in code; as long as nothing is checked, any of this name.
    Registered { name: String },
}

/// Which file a configuration is loaded from.
#[derive(Clone, Debug)]
pub(crate) enum ConfigFile {
    /// The one that `CLOUD_IDAAS_CONFIG_PATH` names, else the vendor's default.
    Search,
    At(PathBuf),
    /// None, but its text. Kept as a secret is: people put those into it.
    Text(Secret),
    /// None: code gives everything.
    Absent,
}

impl Config {
    /// Which server tokens are asked of. Two issuers may share an endpoint's host, and one issuer have two.
    pub(crate) fn asked(&self) -> String {
        #[cfg(feature = "aliyun")]
        if let Method::Plugin(Plugin::OpenApi { endpoint }) = &self.method {
            return endpoint.to_string();
        }
        let uris = [&self.issuer, &self.token_endpoint].into_iter().flatten();
        uris.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Fills the keys that code has not set from the file, and checks them all. Each warning becomes one event.
    pub(crate) fn load(
        file: &ConfigFile,
        mut keys: ClientConfig,
        context: &CheckContext<'_>,
    ) -> Result<Self, ConfigError> {
        if keys.has_source && !matches!(file, ConfigFile::Absent) {
            let problem = "is given beside a configuration file, which says where tokens come from; give one of the two";
            return Err(ConfigError::one(ConfigFault::new("token_source", problem)));
        }
        let path = match file {
            ConfigFile::Search => Some(load::locate(None, context.environment())?),
            ConfigFile::At(path) => Some(load::locate(Some(path), context.environment())?),
            ConfigFile::Text(_) | ConfigFile::Absent => None,
        };
        let origin = path.as_deref().map(load::origin);
        let origin = origin.as_deref();
        let text = match (file, &path) {
            (ConfigFile::Text(text), _) => {
                let text = load::decode(text.expose_secret().as_bytes());
                Some(text.map_err(|fault| ConfigError::all(None, vec![fault]))?)
            }
            (_, Some(path)) => Some(load::read(path, context.environment())?),
            (_, None) => None,
        };
        if let Some(text) = text {
            keys.fill(&text).map_err(|fault| ConfigError::all(origin, vec![fault]))?;
        }
        let (config, warnings) = check::check(&keys, origin, context)?;
        for warning in warnings {
            match origin {
                Some(origin) => tracing::warn!("configuration {origin}: {warning}"),
                None => tracing::warn!("configuration: {warning}"),
            }
        }
        Ok(config)
    }
}
