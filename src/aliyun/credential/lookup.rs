//! What looking at one provider of the chain comes to: a credential, where to fetch one, or why there is none.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;

use crate::aliyun::Credential;
use crate::aliyun::credential::external_process::Process;
use crate::aliyun::signed_call::Channel;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::secret::text_file;
use crate::transport::Transport;
use crate::transport::metadata::MetadataService;

/// What a provider has.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    /// An access key as it stands there.
    Key(Credential),
    /// Where a temporary one is to be fetched.
    Temporary(TemporarySource),
    /// The same where nothing is configured: it is asked in case it is there.
    IfPresent(TemporarySource),
}

/// Why a provider has nothing.
#[derive(Debug)]
pub(super) enum NoCredential {
    /// It is not configured, or switched off.
    NotConfigured(String),
    /// Its file is not there. It counts as not configured, unless the file was there a moment ago.
    Missing(String),
    /// It is not configured, and asking it in case it is there failed.
    NotFound(Error),
    /// It is configured, and failed; if the error is transient, it may work soon.
    Failed(Error),
}

impl NoCredential {
    pub(super) fn not_configured(reason: impl Into<String>) -> Self {
        Self::NotConfigured(reason.into())
    }

    /// A failure that lasts until the configuration is mended.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Error::new(ErrorKind::Credential, message))
    }
}

/// Where a temporary credential is to be fetched. Two that are equal may share what was fetched: a changed variable or
/// file makes another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemporarySource {
    pub(super) from: Issuer,
    /// What the vendor calls the provider.
    pub(super) provider: &'static str,
}

impl TemporarySource {
    /// The file of the token that it all begins with, if there is one.
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
    /// STS, for the bearer of the token in the file.
    TokenFile { role: Role, oidc_provider: String, token_file: PathBuf },
    /// STS, for the owner of an access key.
    AccessKey { role: Role, key: Credential },
    /// STS, for the bearer of another temporary credential.
    Chained { role: Role, source: Box<TemporarySource> },
    /// A program that prints it.
    Process(Process),
    /// The metadata service; it names the role itself when that is not known.
    Instance { role_name: Option<String> },
    /// The server at a URI that the environment names.
    Uri(Uri),
}

/// A role of RAM to be assumed at STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    /// Without one, a session name of our own.
    pub(super) session_name: Option<String>,
    pub(super) duration: Duration,
    /// Narrows what the credential may do.
    pub(super) policy: Option<String>,
    pub(super) external_id: Option<String>,
    /// The host of STS.
    pub(super) sts: String,
}

/// What fetching takes.
#[derive(Debug)]
pub(super) struct FetchContext {
    pub(super) environment: Environment,
    /// For STS, and for a credentials URI with https.
    pub(super) channel: Channel,
    /// For a credentials URI with plain HTTP.
    pub(super) direct: Transport,
    pub(super) metadata: MetadataService,
    /// In place of the host that a source names.
    pub(super) sts_endpoint: Option<String>,
}

/// A credential as it came, and how long it lives.
pub(super) type Temporary = (Credential, Duration);

/// Whether the variable says `true`, in capitals or not.
pub(super) fn is_true(environment: &Environment, name: &str) -> bool {
    environment.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A credentials URI without path and query: there may be a secret in them.
pub(super) fn shown_uri(uri: &Uri) -> String {
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
                .field("token_file", &text_file::shown(token_file))
                .finish(),
            Self::AccessKey { role, key } => {
                f.debug_struct("AccessKey").field("role", role).field("key", key).finish()
            }
            Self::Chained { role, source } => {
                f.debug_struct("Chained").field("role", role).field("source", source).finish()
            }
            Self::Process(process) => process.fmt(f),
            Self::Instance { role_name } => f.debug_struct("Instance").field("role_name", role_name).finish(),
            Self::Uri(uri) => f.debug_tuple("Uri").field(&shown_uri(uri)).finish(),
        }
    }
}
