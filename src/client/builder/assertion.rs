//! The methods that sign what they send.

use crate::authn::{AssertionKey, Pca, SigningAlgorithm};
use crate::client::builder::IdaasBuilder;
use crate::config::AuthnMethod;
use crate::secret::SecretSource;

impl IdaasBuilder {
    /// Authenticates with CLIENT_SECRET_JWT: an assertion under an HMAC (HS256) of the client secret, so that
    /// the secret itself stays here.
    pub fn client_secret_jwt(mut self, secret: SecretSource) -> Self {
        self.given.authn_in_code = Some(AuthnMethod::ClientSecretJwt { secret });
        self
    }

    /// Authenticates with PRIVATE_KEY_JWT: an assertion signed with a private key, from a [`SecretSource`]
    /// that leads to its PEM text, or by an [`AssertionSigner`](crate::authn::AssertionSigner) of your own.
    ///
    /// Each attempt at a token makes a new assertion, good for five minutes, for the token endpoint as its
    /// audience.
    pub fn private_key_jwt(mut self, key: impl Into<AssertionKey>) -> Self {
        self.given.authn_in_code = Some(AuthnMethod::PrivateKeyJwt { key: key.into() });
        self
    }

    /// Authenticates with PCA: an assertion signed with the key of an X.509 certificate, sent with the
    /// certificate and its chain.
    ///
    /// `credential_name` is the name of the application's federated credential. `certificates` leads to
    /// certificates in PEM form, the client's own first and the intermediate ones behind it, as in a
    /// `fullchain.pem`; like the key they are read at each attempt. Renew both together: while they do not
    /// match, no token is asked for.
    pub fn pca(
        mut self,
        credential_name: impl Into<String>,
        certificates: SecretSource,
        key: impl Into<AssertionKey>,
    ) -> Self {
        self.given.authn_in_code = Some(AuthnMethod::Pca(Pca {
            credential_name: credential_name.into(),
            certificates: certificates.into(),
            key: key.into(),
        }));
        self
    }

    /// Signs assertions with this algorithm instead of the one that follows from the private key, see
    /// [`SigningAlgorithm`]: for RSA keys, which can do several. Holds for the file's methods too, and not for
    /// signers of your own.
    pub fn signing_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.given.signing_algorithm = Some(algorithm);
        self
    }
}
