//! How a client authenticates at the token endpoint.

mod assertion;
mod federated;
mod secret;
mod signed;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use subtle::ConstantTimeEq;

pub(crate) use self::federated::Federation;
use crate::issuer::client_keys::ClientKeys;
use crate::issuer::form::Form;
use crate::issuer::refusal::Refusal;
use crate::names::{FEDERATED_CREDENTIAL, PRIVATE_KEY_VARIABLE, SECRET_VARIABLE};
use tower_idaas::Secret;
use tower_idaas::clock::Timestamp;

/// A method of client authentication; the vendor's name for it is [`as_str`](Self::as_str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `CLIENT_SECRET_BASIC`: client id and secret in the `Authorization` header.
    ///
    /// The form-encoding of RFC 6749 section 2.3.1 is accepted, and so is the raw pair.
    SecretBasic,
    /// `CLIENT_SECRET_POST`: the secret in the form.
    SecretPost,
    /// `CLIENT_SECRET_JWT`: an assertion under an HMAC of the secret.
    SecretJwt,
    /// `PRIVATE_KEY_JWT`: an assertion signed with a private key.
    PrivateKeyJwt,
    /// `PCA`: an assertion signed with the key of a certificate.
    Pca,
    /// `OIDC`: a token of a Kubernetes service account, of
    /// [`TestIdaas::service_account_token`](crate::TestIdaas::service_account_token).
    Oidc,
    /// `PKCS7`: a document of the metadata service,
    /// [`TestIdaas::start_metadata_service`](crate::TestIdaas::start_metadata_service).
    Pkcs7,
}

impl ClientAuthentication {
    pub(crate) const ALL: &[Self] = &[
        Self::SecretBasic,
        Self::SecretPost,
        Self::SecretJwt,
        Self::PrivateKeyJwt,
        Self::Pca,
        Self::Oidc,
        Self::Pkcs7,
    ];

    /// The method's name in `client-config.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretBasic => "CLIENT_SECRET_BASIC",
            Self::SecretPost => "CLIENT_SECRET_POST",
            Self::SecretJwt => "CLIENT_SECRET_JWT",
            Self::PrivateKeyJwt => "PRIVATE_KEY_JWT",
            Self::Pca => "PCA",
            Self::Oidc => "OIDC",
            Self::Pkcs7 => "PKCS7",
        }
    }

    /// What `authnConfiguration` has to say beside the method's name and certificates.
    pub(crate) fn configuration(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::SecretBasic | Self::SecretPost | Self::SecretJwt => {
                &[("clientSecretEnvVarName", SECRET_VARIABLE)]
            }
            Self::PrivateKeyJwt => &[("privateKeyEnvVarName", PRIVATE_KEY_VARIABLE)],
            Self::Pca => &[
                ("applicationFederatedCredentialName", FEDERATED_CREDENTIAL),
                ("privateKeyEnvVarName", PRIVATE_KEY_VARIABLE),
            ],
            Self::Oidc => federated::OIDC_CONFIGURATION,
            Self::Pkcs7 => federated::PKCS7_CONFIGURATION,
        }
    }

    /// The form fields that the method reads.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::SecretBasic => &[],
            Self::SecretPost => secret::POST_FIELDS,
            Self::SecretJwt | Self::PrivateKeyJwt => signed::FIELDS,
            Self::Pca => signed::PCA_FIELDS,
            Self::Oidc | Self::Pkcs7 => federated::FIELDS,
        }
    }

    fn is_presented(self, credentials: &Credentials<'_>) -> bool {
        match self {
            Self::SecretBasic => secret::is_basic(credentials),
            Self::SecretPost => secret::is_post(credentials),
            Self::SecretJwt => signed::is_secret_jwt(credentials),
            Self::PrivateKeyJwt => signed::is_private_key_jwt(credentials),
            Self::Pca => signed::is_pca(credentials),
            Self::Oidc => federated::is_oidc(credentials),
            Self::Pkcs7 => federated::is_pkcs7(credentials),
        }
    }

    /// The one method that the request uses; `None` if it uses none, or several.
    pub(crate) fn presented(credentials: &Credentials<'_>) -> Option<Self> {
        let mut presented = Self::ALL.iter().copied().filter(|method| method.is_presented(credentials));
        presented.next().filter(|_| presented.next().is_none())
    }
}

impl fmt::Display for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The parts of a request that may hold credentials.
pub(crate) struct Credentials<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) form: &'a Form,
}

/// When and where a client authenticates.
pub(crate) struct Occasion<'a> {
    /// The token endpoint's URL, as assertions name it.
    pub(crate) audience: &'a str,
    pub(crate) now: Timestamp,
}

/// A client that the token endpoint knows.
pub(crate) struct RegisteredClient {
    id: String,
    secret: Mutex<Secret>,
    allowed: Vec<ClientAuthentication>,
    keys: Arc<ClientKeys>,
    federation: Arc<Federation>,
}

impl RegisteredClient {
    pub(crate) fn new(
        id: String,
        secret: Secret,
        allowed: Vec<ClientAuthentication>,
        keys: Arc<ClientKeys>,
        federation: Arc<Federation>,
    ) -> Self {
        Self { id, secret: Mutex::new(secret), allowed, keys, federation }
    }

    pub(crate) fn keys(&self) -> &ClientKeys {
        &self.keys
    }

    pub(crate) fn federation(&self) -> &Federation {
        &self.federation
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn secret(&self) -> Secret {
        self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_secret(&self, secret: Secret) {
        *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    /// Refuses every request that does not prove, in exactly one allowed way, to come from this client. The form names it.
    pub(crate) fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        occasion: &Occasion<'_>,
    ) -> Result<(), Refusal> {
        let Some(method) = ClientAuthentication::presented(credentials) else {
            let several = ClientAuthentication::ALL.iter().any(|method| method.is_presented(credentials));
            return Err(if several {
                Refusal::invalid_request("the client authenticates in more than one way")
            } else {
                Refusal::invalid_client("the client does not authenticate")
            });
        };
        if !self.allowed.contains(&method) {
            return Err(Refusal::invalid_client(format!("the client may not use {method}")));
        }
        match method {
            ClientAuthentication::SecretBasic => secret::verify_basic(credentials, self),
            ClientAuthentication::SecretPost => secret::verify_post(credentials, self),
            ClientAuthentication::SecretJwt => signed::verify_secret_jwt(credentials, self, occasion),
            ClientAuthentication::PrivateKeyJwt => {
                signed::verify_private_key_jwt(credentials, self, occasion)
            }
            ClientAuthentication::Pca => signed::verify_pca(credentials, self, occasion),
            ClientAuthentication::Oidc => self.federation.verify_oidc(credentials),
            ClientAuthentication::Pkcs7 => self.federation.verify_pkcs7(credentials),
        }
    }

    /// In constant time: a test server is read as an example of a real one.
    fn has_secret(&self, secret: &[u8]) -> bool {
        self.secret().expose_secret().as_bytes().ct_eq(secret).into()
    }
}
