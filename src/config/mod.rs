//! The vendor's `client-config.json`: found, read leniently, checked completely.

mod assertion;
mod authn;
mod check;
mod document;
mod endpoint;
mod federated;
mod load;
mod model;
mod plugin;
mod section;
mod spelling;
#[cfg(test)]
mod tests;
mod unused;

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

pub(crate) use self::model::ClientConfig;
use crate::authn::{AssertionKey, Cloud, Pca};
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::scope::Scope;
use crate::secret::{Secret, SecretSource};

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
    /// For people, not for machines: checked, and asked by nobody.
    #[cfg_attr(not(test), allow(dead_code, reason = "read in tests of what a file means"))]
    pub(crate) device_authorization_endpoint: Option<Uri>,
    pub(crate) authn: AuthnMethod,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
}

/// How the client proves who it is.
#[derive(Clone, Debug)]
pub(crate) enum AuthnMethod {
    ClientSecretBasic {
        secret: SecretSource,
    },
    ClientSecretPost {
        secret: SecretSource,
    },
    ClientSecretJwt {
        secret: SecretSource,
    },
    PrivateKeyJwt {
        key: AssertionKey,
    },
    Pca(Pca),
    Oidc {
        credential_name: String,
        /// Without one, a source given in code has the token.
        token_file: Option<PathBuf>,
    },
    Pkcs7 {
        credential_name: String,
        /// Without one, a source given in code has the document.
        cloud: Option<Cloud>,
    },
    /// Not at the token endpoint at all.
    Plugin(Plugin),
    /// By an authenticator given in code.
    Custom,
}

impl AuthnMethod {
    /// As the vendor writes it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ClientSecretBasic { .. } => "CLIENT_SECRET_BASIC",
            Self::ClientSecretPost { .. } => "CLIENT_SECRET_POST",
            Self::ClientSecretJwt { .. } => "CLIENT_SECRET_JWT",
            Self::PrivateKeyJwt { .. } => "PRIVATE_KEY_JWT",
            Self::Pca(_) => "PCA",
            Self::Oidc { .. } => "OIDC",
            Self::Pkcs7 { .. } => "PKCS7",
            Self::Plugin(_) => "PLUGIN",
            Self::Custom => "authenticator",
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
    /// Fills up from the file what code has given, and checks it all. Each warning becomes one event.
    pub(crate) fn load(
        file: &ConfigFile,
        mut given: ClientConfig,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let path = match file {
            ConfigFile::Search => Some(load::locate(None, environment)?),
            ConfigFile::At(path) => Some(load::locate(Some(path), environment)?),
            ConfigFile::Text(_) | ConfigFile::Absent => None,
        };
        let origin = path.as_deref().map(load::origin);
        let origin = origin.as_deref();
        let text = match (file, &path) {
            (ConfigFile::Text(text), _) => {
                let text = load::decode(text.expose_secret().as_bytes());
                Some(text.map_err(|fault| ConfigError::all(None, vec![fault]))?)
            }
            (_, Some(path)) => Some(load::read(path, environment)?),
            (_, None) => None,
        };
        if let Some(text) = text {
            given.fill(&text).map_err(|fault| ConfigError::all(origin, vec![fault]))?;
        }
        let (config, warnings) = check::check(&given, origin, environment)?;
        for warning in warnings {
            match origin {
                Some(origin) => tracing::warn!("configuration {origin}: {warning}"),
                None => tracing::warn!("configuration: {warning}"),
            }
        }
        Ok(config)
    }
}
