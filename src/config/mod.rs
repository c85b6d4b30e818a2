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
mod model;
mod names;
mod plugin;
mod section;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(crate) use self::keys::ClientConfig;
pub(crate) use self::model::{Config, Method, Plugin};
use crate::authn::CheckContext;
use crate::error::{ConfigError, ConfigFault};
use crate::secret::Secret;

/// Which file a configuration is loaded from.
#[derive(Clone, Debug)]
pub(crate) enum ConfigFile {
    /// The one that `CLOUD_IDAAS_CONFIG_PATH` names, else the vendor's default.
    Search,
    At(PathBuf),
    /// No file but its text, kept as a secret because it may contain one.
    Text(Secret),
    /// No file: all keys are set in code.
    Absent,
}

impl Config {
    /// The server that tokens are requested from. Two issuers may share an endpoint's host, and one issuer may have two
    /// endpoints.
    pub(crate) fn server(&self) -> String {
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
            let problem =
                "is set beside a configuration file, which says where tokens come from; set one of the two";
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
