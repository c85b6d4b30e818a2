//! How a client proves who it is at the token endpoint: one file per method.

mod assertion;
mod federation;
mod oidc;
mod pca;
mod pkcs7;
mod private_key_jwt;
mod secret_basic;
mod secret_jwt;
mod secret_post;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use subtle::ConstantTimeEq;

pub(super) use self::federation::Federation;
use super::TestIdaas;
use super::client_keys::ClientKeys;
use super::form::Form;
use super::refusal::Refusal;
use tower_idaas::Secret;
use tower_idaas::clock::Timestamp;

/// A way for a client to prove who it is; the vendor's name for it is [`as_str`](Self::as_str).
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
    /// [`TestIdaas::service_account_token`](super::TestIdaas::service_account_token).
    Oidc,
    /// `PKCS7`: a document of the metadata service,
    /// [`TestIdaas::start_metadata_service`](super::TestIdaas::start_metadata_service).
    Pkcs7,
}

impl ClientAuthentication {
    pub(super) const ALL: &[Self] = &[
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
    pub(super) fn configuration(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::SecretBasic | Self::SecretPost | Self::SecretJwt => {
                &[("clientSecretEnvVarName", TestIdaas::SECRET_VARIABLE)]
            }
            Self::PrivateKeyJwt => &[("privateKeyEnvVarName", TestIdaas::PRIVATE_KEY_VARIABLE)],
            Self::Pca => &[
                ("applicationFederatedCredentialName", TestIdaas::FEDERATED_CREDENTIAL),
                ("privateKeyEnvVarName", TestIdaas::PRIVATE_KEY_VARIABLE),
            ],
            Self::Oidc => oidc::CONFIGURATION,
            Self::Pkcs7 => pkcs7::CONFIGURATION,
        }
    }

    /// The form fields that the method reads.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::SecretBasic => &[],
            Self::SecretPost => secret_post::FIELDS,
            Self::SecretJwt | Self::PrivateKeyJwt => assertion::FIELDS,
            Self::Pca => pca::FIELDS,
            Self::Oidc => oidc::FIELDS,
            Self::Pkcs7 => pkcs7::FIELDS,
        }
    }

    fn is_presented(self, credentials: &Credentials<'_>) -> bool {
        match self {
            Self::SecretBasic => secret_basic::is_presented(credentials),
            Self::SecretPost => secret_post::is_presented(credentials),
            Self::SecretJwt => secret_jwt::is_presented(credentials),
            Self::PrivateKeyJwt => private_key_jwt::is_presented(credentials),
            Self::Pca => pca::is_presented(credentials),
            Self::Oidc => oidc::is_presented(credentials),
            Self::Pkcs7 => pkcs7::is_presented(credentials),
        }
    }

    /// The one method that the request uses; `None` if it uses none, or several.
    pub(super) fn presented(credentials: &Credentials<'_>) -> Option<Self> {
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
pub(super) struct Credentials<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) form: &'a Form,
}

/// When and where a client authenticates.
pub(super) struct Occasion<'a> {
    /// The token endpoint's URL, as assertions name it.
    pub(super) audience: &'a str,
    pub(super) now: Timestamp,
}

/// The client that the token endpoint knows.
pub(super) struct RegisteredClient {
    id: String,
    secret: Mutex<Secret>,
    allowed: Vec<ClientAuthentication>,
    keys: ClientKeys,
    federation: Federation,
}

impl RegisteredClient {
    pub(super) fn new(
        id: String,
        secret: Secret,
        allowed: Vec<ClientAuthentication>,
        keys: ClientKeys,
        federation: Federation,
    ) -> Self {
        Self { id, secret: Mutex::new(secret), allowed, keys, federation }
    }

    pub(super) fn keys(&self) -> &ClientKeys {
        &self.keys
    }

    pub(super) fn federation(&self) -> &Federation {
        &self.federation
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> Secret {
        self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_secret(&self, secret: Secret) {
        *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    /// Refuses every request that does not prove, in exactly one allowed way, to come from the client.
    pub(super) fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        occasion: &Occasion<'_>,
    ) -> Result<(), Refusal> {
        if credentials.form.required("client_id")? != self.id {
            return Err(Refusal::invalid_client("no such client"));
        }
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
            ClientAuthentication::SecretBasic => secret_basic::verify(credentials, self),
            ClientAuthentication::SecretPost => secret_post::verify(credentials, self),
            ClientAuthentication::SecretJwt => secret_jwt::verify(credentials, self, occasion),
            ClientAuthentication::PrivateKeyJwt => private_key_jwt::verify(credentials, self, occasion),
            ClientAuthentication::Pca => pca::verify(credentials, self, occasion),
            ClientAuthentication::Oidc => oidc::verify(credentials, &self.federation),
            ClientAuthentication::Pkcs7 => pkcs7::verify(credentials, &self.federation),
        }
    }

    /// In constant time, so that nobody learns to write a real server from this one's bad example.
    fn has_secret(&self, secret: &[u8]) -> bool {
        self.secret().expose_secret().as_bytes().ct_eq(secret).into()
    }
}
