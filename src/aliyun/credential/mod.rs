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
use crate::secret::{Secret, character_beyond_visible_ascii};

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

impl Credential {
    /// The problem with a part, as it follows the name of its place: an invisible character that comes from copying, and
    /// would only make the signature wrong. It shows that character alone.
    fn problem(&self) -> Option<String> {
        let parts = [
            ("id", Some(self.access_key_id.as_str())),
            ("secret", Some(self.access_key_secret.expose_secret())),
            ("security token", self.security_token.as_ref().map(Secret::expose_secret)),
        ];
        parts.into_iter().find_map(|(part, text)| {
            let odd = character_beyond_visible_ascii(text?)?;
            Some(format!("has an access key whose {part} has {odd}, which no access key has"))
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_set_all_the_same_and_no_other_identity_takes_its_place() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        use crate::aliyun::credential::lookup::{Lookup, NoCredential};
        use crate::environment::{Environment, ManualEnvironment};

        type Find = fn(&Environment) -> Result<Lookup, NoCredential>;
        let providers: [(Find, &[&str]); 7] = [
            (
                environment::lookup,
                &[
                    "ALIBABA_CLOUD_ACCESS_KEY_ID",
                    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                    "ALIBABA_CLOUD_SECURITY_TOKEN",
                ],
            ),
            (
                oidc_role::lookup,
                &[
                    "ALIBABA_CLOUD_ROLE_ARN",
                    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
                    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
                    "ALIBABA_CLOUD_ROLE_SESSION_NAME",
                    "ALIBABA_CLOUD_STS_ENDPOINT",
                    "ALIBABA_CLOUD_STS_REGION",
                ],
            ),
            (cli_profile::lookup, &["ALIBABA_CLOUD_CONFIG_FILE"]),
            (profile_file::lookup, &["ALIBABA_CLOUD_CREDENTIALS_FILE"]),
            (profile_file::lookup, &["ALIBABA_CLOUD_PROFILE"]),
            (instance_role::lookup, &["ALIBABA_CLOUD_ECS_METADATA"]),
            (uri::lookup, &["ALIBABA_CLOUD_CREDENTIALS_URI"]),
        ];
        for (lookup, names) in providers {
            for broken in names {
                let environment = ManualEnvironment::from_iter([("HOME", "/nowhere")]);
                for name in names.iter().filter(|name| !name.contains("_STS_")) {
                    environment.set(*name, "x");
                }
                environment.set(*broken, OsStr::from_bytes(b"hunter2\xff"));
                let failure = lookup(&Environment::Manual(environment)).unwrap_err();
                let NoCredential::Failed(error) = failure else { panic!("{broken}: {failure:?}") };
                assert!(error.is_transient() && error.to_string().contains(broken), "{error}");
                assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            }
        }
    }

    #[test]
    fn a_character_that_no_access_key_has_is_named_by_its_part_and_position_alone() {
        let good = Credential {
            access_key_id: "LTAI5t.id".into(),
            access_key_secret: Secret::new("s3cret"),
            security_token: Some(Secret::new("CAIS+/==")),
            provider: "p",
        };
        assert_eq!(good.problem(), None);
        for odd in ["hun\u{200b}ter2", "hun\u{a0}ter2", "hun ter2", "hun\tter2", "hun\u{e9}ter2"] {
            let id = Credential { access_key_id: odd.into(), ..good.clone() };
            let secret = Credential { access_key_secret: Secret::new(odd), ..good.clone() };
            let token = Credential { security_token: Some(Secret::new(odd)), ..good.clone() };
            for (credential, part) in [(id, "id"), (secret, "secret"), (token, "security token")] {
                let problem = credential.problem().unwrap();
                assert!(problem.contains(&format!("whose {part} has the character U+")), "{problem}");
                assert!(problem.contains("at position 4") && !problem.contains("ter2"), "{problem}");
            }
        }
    }
}
