//! An Alibaba Cloud identity that requests are signed with.

mod cli_profile;
mod default_chain;
mod environment;
mod external_process;
mod failed_lookups;
mod fetch;
mod file;
mod instance_role;
mod lookup;
mod oidc_role;
mod profile;
mod profile_file;
mod provider;
mod sts;
mod temporary;
mod uri;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::default_chain::{DefaultChain, Injected};
use crate::error::BoxFuture;
use crate::error::Error;
use crate::secret::Secret;

/// An access key, of a RAM user or a temporary one of STS.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: Secret,
    /// With STS's access keys only.
    pub(crate) security_token: Option<Secret>,
    /// The provider that gave it, as the vendor calls it: `env`, `oidc_role_arn`, ….
    pub(crate) provider: &'static str,
}

impl Credential {
    /// Whether both sign alike.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id
            && self.access_key_secret.expose_secret() == other.access_key_secret.expose_secret()
            && self.security_token.as_ref().map(Secret::expose_secret)
                == other.security_token.as_ref().map(Secret::expose_secret)
    }
}

/// For the equality of what holds one.
impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) && self.provider == other.provider
    }
}

impl Eq for Credential {}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_key_id: _, access_key_secret: _, security_token, provider } = self;
        f.debug_struct("Credential")
            .field("provider", provider)
            .field("temporary", &security_token.is_some())
            .finish_non_exhaustive()
    }
}

/// Where a credential comes from. It caches what may be cached: it is asked for each signature.
pub(crate) trait CredentialProvider: fmt::Debug + Send + Sync + 'static {
    /// A credential that is good now.
    ///
    /// # Errors
    ///
    /// When there is none; the error lists the providers and why each has none. It is transient when a provider that is
    /// configured may work soon: no other identity is given in its place.
    fn credential(&self) -> BoxFuture<'_, Result<Arc<Credential>, Error>>;

    /// The API refused this credential: it is read or fetched anew, if it is cached.
    fn forget(&self, _refused: &Credential) {}

    /// The credential given last may not do what it was used for: if another one has become available, it may be the one
    /// that is meant.
    fn reconsider(&self) {}
}
