//! A temporary credential to be fetched: from whom, and for which role.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::aliyun::credential::{Credential, instance_role, sts, uri};
use crate::cache::entry::Recheck;
use crate::cache::loader::{Loaded, Loader};
use crate::cache::window::Renewal;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::Error;
use crate::secret::text_file;
use crate::transport::Transport;
use crate::transport::metadata::MetadataService;

/// As the vendor's SDKs do.
const RENEWAL: Renewal = Renewal::Before(Duration::from_secs(15 * 60));

/// What is to be fetched. Two that are equal may share what was fetched: a changed variable or file makes
/// another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) from: Issuer,
    /// As the vendor calls the source.
    pub(super) provider: &'static str,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Issuer {
    /// STS, for whoever holds the token in the file.
    TokenFile { role: Role, oidc_provider: String, token_file: PathBuf },
    /// STS, for the owner of an access key.
    AccessKey { role: Role, key: Credential },
    /// The metadata service; it tells the role itself when that is not known.
    Instance { role_name: Option<String> },
    /// Whoever is there.
    Uri(Uri),
}

/// A role of RAM to be assumed at STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    /// One that says who we are, if none is given.
    pub(super) session_name: Option<String>,
    pub(super) duration: Duration,
    /// Narrows what the credential may do.
    pub(super) policy: Option<String>,
    pub(super) external_id: Option<String>,
    /// The host of STS.
    pub(super) sts: String,
}

/// What it takes to fetch.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) environment: Environment,
    pub(super) clock: Clock,
    pub(super) transport: Transport,
    /// For a credentials URI with plain HTTP.
    pub(super) direct: Transport,
    pub(super) metadata: MetadataService,
    /// In place of every order's own.
    pub(super) sts_endpoint: Option<String>,
}

/// A credential as it came, and how long it lives.
pub(super) type Temporary = (Credential, Duration);

/// Fetches what was ordered, each time it is due.
#[derive(Debug)]
pub(super) struct FetchOrdered {
    pub(super) order: Order,
    pub(super) means: Arc<Means>,
}

impl FetchOrdered {
    async fn temporary(&self) -> Result<Temporary, Error> {
        let Self { order: Order { from, provider }, means } = self;
        match from {
            Issuer::TokenFile { role, oidc_provider, token_file } => {
                sts::assume_role_with_oidc(role, oidc_provider, token_file, provider, means).await
            }
            Issuer::AccessKey { role, key } => sts::assume_role(role, key, provider, means).await,
            Issuer::Instance { role_name } => {
                instance_role::fetch(role_name.as_deref(), provider, means).await
            }
            Issuer::Uri(uri) => uri::fetch(uri, provider, means).await,
        }
    }
}

impl Loader<Arc<Credential>> for FetchOrdered {
    fn load(&self) -> BoxFuture<'_, Result<Loaded<Arc<Credential>>, Error>> {
        Box::pin(async move {
            let sent = self.means.clock.now();
            let (credential, life) = self.temporary().await?;
            let recheck = Arc::new(Recheck::new());
            Ok(Loaded {
                value: Arc::new(credential),
                recheck,
                sent,
                life,
                renewal: RENEWAL,
                from_issuer: true,
                request_id: None,
            })
        })
    }

    fn label(&self) -> &str {
        self.order.provider
    }

    fn what(&self) -> &'static str {
        "credential"
    }
}

impl fmt::Debug for Issuer {
    /// A URI may have a secret in its path or query.
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
            Self::Instance { role_name } => f.debug_struct("Instance").field("role_name", role_name).finish(),
            Self::Uri(uri) => f.debug_tuple("Uri").field(&uri::shown(uri)).finish(),
        }
    }
}
