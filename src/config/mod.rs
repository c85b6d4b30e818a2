//! The vendor's `client-config.json`: found, read leniently, checked completely.

mod check;
mod checker;
mod deployment;
mod document;
mod endpoint;
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
use crate::error::ConfigError;
use crate::scope::Scope;
use crate::secret::Secret;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    /// Without one, PLUGIN was chosen in code; so it is with the token endpoint.
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
    /// The token endpoint, where this proves who the client is.
    Authenticator(Arc<dyn Authenticator>),
    /// Somewhere else.
    Plugin(Plugin),
}

impl Method {
    /// The vendor's name of it, or that it is the user's own.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Authenticator(authenticator) => vendor_name(&**authenticator).unwrap_or("authenticator"),
            Self::Plugin(_) => "PLUGIN",
        }
    }

    /// Whether it is an authenticator that is not built in: then it alone knows whose tokens it gets.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Authenticator(authenticator) if vendor_name(&**authenticator).is_none())
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
    /// Fills the keys that code has not set from the file, and checks them all. Each warning becomes one event.
    pub(crate) fn load(
        file: &ConfigFile,
        mut keys: ClientConfig,
        context: &CheckContext<'_>,
    ) -> Result<Self, ConfigError> {
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
