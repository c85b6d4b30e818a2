//! The result of one provider's lookup: a credential, where to fetch one, or why there is none.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;

use crate::aliyun::Credential;
use crate::aliyun::credential::external_process::Process;
use crate::aliyun::signed_call::Channel;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::secret::path::redacted_path;
use crate::transport::Transport;
use crate::transport::metadata::MetadataService;

/// What a provider offers.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    /// An access key as configured.
    Key(Credential),
    /// The source of a temporary credential.
    Temporary(TemporarySource),
    /// A source that is not configured, but tried in case it is available.
    IfPresent(TemporarySource),
}

/// Why a provider has no credential.
#[derive(Debug)]
pub(super) enum NoCredential {
    /// The provider is not configured, or switched off.
    NotConfigured(String),
    /// The provider's file does not exist. It counts as not configured, unless the file existed a moment ago.
    Missing(String),
    /// The provider is not configured, and trying it anyway failed.
    NotFound(Error),
    /// The provider is configured and failed; if the error is transient, it may work soon.
    Failed(Error),
}

impl NoCredential {
    pub(super) fn not_configured(reason: impl Into<String>) -> Self {
        Self::NotConfigured(reason.into())
    }

    /// A failure that lasts until the configuration is corrected.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Error::new(ErrorKind::Credential, message))
    }

    /// A file or variable that is to say who signs and cannot be read, perhaps because it is half written. The failure
    /// is transient: no other identity takes the place of the one that is meant.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self::Failed(Error::new(ErrorKind::Credential, message).with_transient(true))
    }
}

/// The source of a temporary credential. Equal sources may share a cached credential; a changed variable or file makes
/// a different source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemporarySource {
    pub(super) from: Issuer,
    /// The vendor's name of the provider.
    pub(super) provider: &'static str,
}

impl TemporarySource {
    /// The token file that the chain of roles starts from, if there is one.
    pub(super) fn token_file(&self) -> Option<&Path> {
        match &self.from {
            Issuer::TokenFile { token_file, .. } => Some(token_file),
            Issuer::Chained { source, .. } => source.token_file(),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Issuer {
    /// STS, with the token in the file.
    TokenFile { role: Role, oidc_provider: String, token_file: PathBuf },
    /// STS, with an access key.
    AccessKey { role: Role, key: Credential },
    /// STS, with another temporary credential.
    Chained { role: Role, source: Box<TemporarySource> },
    /// A program that prints the credential.
    Process(Process),
    /// The metadata service, which also provides the role's name when none is configured.
    Instance { role_name: Option<String> },
    /// The server at a URI that the environment names.
    Uri(Uri),
}

/// A RAM role to be assumed at STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    /// Without one, a generated session name is used.
    pub(super) session_name: Option<String>,
    pub(super) duration: Duration,
    /// Further limits what the credential permits.
    pub(super) policy: Option<String>,
    pub(super) external_id: Option<String>,
    /// The host of STS.
    pub(super) sts: String,
}

/// The context of a fetch.
#[derive(Debug)]
pub(super) struct FetchContext {
    pub(super) environment: Environment,
    /// Used for STS, and for a credentials URI with https.
    pub(super) channel: Channel,
    /// Used for a credentials URI with plain HTTP.
    pub(super) direct: Transport,
    pub(super) metadata: MetadataService,
    /// Overrides the host that a source names.
    pub(super) sts_endpoint: Option<String>,
}

/// A temporary credential, and its life.
pub(super) type Temporary = (Credential, Duration);

/// Whether the variable is `true`, in any letter case.
pub(super) fn is_true(environment: &Environment, name: &str) -> bool {
    environment.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A credentials URI without path and query, which may hold a secret.
pub(super) fn redacted_uri(uri: &Uri) -> String {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    format!("{}://{authority}/… (ALIBABA_CLOUD_CREDENTIALS_URI)", uri.scheme_str().unwrap_or_default())
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenFile { role, oidc_provider, token_file } => f
                .debug_struct("TokenFile")
                .field("role", role)
                .field("oidc_provider", oidc_provider)
                .field("token_file", &redacted_path(token_file))
                .finish(),
            Self::AccessKey { role, key } => {
                f.debug_struct("AccessKey").field("role", role).field("key", key).finish()
            }
            Self::Chained { role, source } => {
                f.debug_struct("Chained").field("role", role).field("source", source).finish()
            }
            Self::Process(process) => process.fmt(f),
            Self::Instance { role_name } => f.debug_struct("Instance").field("role_name", role_name).finish(),
            Self::Uri(uri) => f.debug_tuple("Uri").field(&redacted_uri(uri)).finish(),
        }
    }
}
