//! An Alibaba Cloud identity that requests are signed with.

mod chain;
mod cli_profile;
mod environment;
mod file;
mod instance_role;
mod lookup;
mod oidc_role;
mod order;
mod profile;
mod profile_file;
mod stand;
mod sts;
mod temporary;
mod tried;
mod uri;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::chain::{DefaultChain, Injected};
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
    /// Which member of the chain gave it, as the vendor calls it: `env`, `oidc_role_arn`, ….
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

/// Where an identity comes from. It caches what may be cached: it is asked for each signature.
pub(crate) trait CredentialSource: fmt::Debug + Send + Sync + 'static {
    /// An identity that is good now.
    ///
    /// # Errors
    ///
    /// When there is none; the error lists what was tried. It is transient when an identity that is set up may be
    /// had soon: no other one is given in its place.
    fn credential(&self) -> BoxFuture<'_, Result<Arc<Credential>, Error>>;

    /// This identity was refused: it is to be read or fetched afresh, if it is kept.
    fn forget(&self, _refused: &Credential) {}

    /// The identity given last may not do what it was used for: if another one has become available, it may be
    /// the one that is meant.
    fn reconsider(&self) {}
}
