//! `--method`: how the client of the configuration authenticates.

use clap::ValueEnum;
use tower_idaas_testing::ClientAuthentication;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
    ClientSecretJwt,
    PrivateKeyJwt,
    Pca,
    Oidc,
    Pkcs7,
    Plugin,
}

impl Method {
    /// `None` for the one that does not authenticate at the token endpoint.
    pub(super) fn at_token_endpoint(self) -> Option<ClientAuthentication> {
        Some(match self {
            Self::ClientSecretBasic => ClientAuthentication::SecretBasic,
            Self::ClientSecretPost => ClientAuthentication::SecretPost,
            Self::ClientSecretJwt => ClientAuthentication::SecretJwt,
            Self::PrivateKeyJwt => ClientAuthentication::PrivateKeyJwt,
            Self::Pca => ClientAuthentication::Pca,
            Self::Oidc => ClientAuthentication::Oidc,
            Self::Pkcs7 => ClientAuthentication::Pkcs7,
            Self::Plugin => return None,
        })
    }
}
