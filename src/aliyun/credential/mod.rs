//! The Alibaba Cloud identity that signs requests.

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

/// An access key: a RAM user's, or a temporary one from STS.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: Secret,
    /// Set for access keys from STS only.
    pub(crate) security_token: Option<Secret>,
    /// The vendor's name of the provider: `env`, `oidc_role_arn`, ….
    pub(crate) provider: &'static str,
}

impl Credential {
    /// Whether both produce the same signatures.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.access_key_id == other.access_key_id
            && self.access_key_secret.expose_secret() == other.access_key_secret.expose_secret()
            && self.security_token.as_ref().map(Secret::expose_secret)
                == other.security_token.as_ref().map(Secret::expose_secret)
    }
}

/// Lets types that hold a credential derive equality.
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

/// A source of credentials. It is called for each signature, so it caches what it fetches.
pub(crate) trait CredentialProvider: fmt::Debug + Send + Sync + 'static {
    /// A credential that is valid now.
    ///
    /// # Errors
    ///
    /// When there is none; the error lists the providers and why each has none. It is transient when a provider that is
    /// configured may work soon: no other identity is used in its place.
    fn credential(&self) -> BoxFuture<'_, Result<Arc<Credential>, Error>>;

    /// The API refused this credential: a cached one is invalidated.
    fn forget(&self, _refused: &Credential) {}

    /// The last credential lacked a permission: the next lookup starts at the first provider, which may have the
    /// intended credential by now.
    fn reconsider(&self) {}
}
