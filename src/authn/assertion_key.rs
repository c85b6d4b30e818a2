//! What signs a client assertion: a private key in PEM form, or a signer of the user's own.

use std::fmt::Debug;
use std::sync::Arc;

use crate::authn::kept::Kept;
use crate::authn::signing_key::SigningKey;
use crate::authn::{SigningAlgorithm, TokenRequest};
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::secret::{Secret, SecretSource};

/// A signer of your own for client assertions: an HSM, a key management service, an agent.
///
/// Give one to [`IdaasBuilder::private_key_jwt`](crate::IdaasBuilder::private_key_jwt) or
/// [`IdaasBuilder::pca`](crate::IdaasBuilder::pca) in place of a private key. It is called once per attempt
/// at a token, never on the way of a request that finds a token in the cache.
///
/// ```
/// use tower_idaas::authn::{AssertionSigner, SigningAlgorithm};
/// use tower_idaas::{BoxFuture, Error, ErrorKind};
///
/// #[derive(Debug)]
/// struct Kms { key_id: String }
/// # impl Kms { async fn call(&self, _: &[u8]) -> Result<Vec<u8>, std::io::Error> { Ok(vec![0; 256]) } }
///
/// impl AssertionSigner for Kms {
///     fn algorithm(&self) -> SigningAlgorithm {
///         SigningAlgorithm::Rs256
///     }
///
///     fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
///         Box::pin(async move {
///             let failed = |error| Error::new(ErrorKind::Connect, "the KMS does not answer").with_source(error);
///             self.call(message).await.map_err(failed)
///         })
///     }
/// }
/// ```
pub trait AssertionSigner: Debug + Send + Sync + 'static {
    /// What [`sign`](Self::sign) signs with; it goes into the assertion's header.
    fn algorithm(&self) -> SigningAlgorithm;

    /// Signs the message itself, not a digest of it.
    ///
    /// An ECDSA signature is the two numbers `r` and `s` one after the other, each as long as the curve's
    /// order (RFC 7518 section 3.4): 64, 96 or 132 bytes. Many services give it in DER, which has to be
    /// converted.
    ///
    /// # Errors
    ///
    /// Whatever keeps the signer from signing. Its kind tells whether another attempt can help.
    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>>;
}

/// What signs a client assertion. Made from a [`SecretSource`], which leads to a private key in PEM form, or
/// from an [`AssertionSigner`].
///
/// A private key may be RSA of 2048 to 8192 bits, or EC on P-256, P-384 or P-521; as PKCS#8, PKCS#1 or SEC1;
/// unencrypted. It is read at every attempt, so that a new key needs no restart, and parsed when it changes.
/// Line breaks may be escaped, lost or turned into blanks, as happens in environment variables; what stands
/// around the key, certificates included, is skipped.
#[derive(Clone, Debug)]
pub struct AssertionKey {
    place: Place,
    algorithm: Option<SigningAlgorithm>,
}

#[derive(Clone, Debug)]
enum Place {
    Text { source: SecretSource, parsed: Arc<Kept<SigningKey>> },
    Signer(Arc<dyn AssertionSigner>),
}

impl From<SecretSource> for AssertionKey {
    fn from(source: SecretSource) -> Self {
        Self { place: Place::Text { source, parsed: Arc::new(Kept::new()) }, algorithm: None }
    }
}

impl<S: AssertionSigner> From<S> for AssertionKey {
    fn from(signer: S) -> Self {
        Self { place: Place::Signer(Arc::new(signer)), algorithm: None }
    }
}

impl AssertionKey {
    /// With this algorithm in place of the one that follows from the private key. A signer has its own.
    pub(crate) fn with_algorithm(mut self, algorithm: Option<SigningAlgorithm>) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Where the private key is, for messages.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::Text { source, .. } => source.name(),
            Place::Signer(_) => "the signer given in code".to_owned(),
        }
    }

    /// Reads the key and finds its faults, without signing anything.
    pub(crate) fn check(&self, environment: &Environment) -> Result<Signing, Error> {
        self.resolve(|source| source.read(environment))
    }

    /// What signs now.
    pub(super) fn read(&self, request: &mut TokenRequest) -> Result<Signing, Error> {
        self.resolve(|source| request.read_secret(source))
    }

    fn resolve(&self, read: impl FnOnce(&SecretSource) -> Result<Secret, Error>) -> Result<Signing, Error> {
        match &self.place {
            Place::Text { source, parsed } => {
                let text = read(source)?;
                let text = text.expose_secret();
                let unusable =
                    |problem| Error::new(ErrorKind::Credential, format!("{} {problem}", source.name()));
                let key = parsed.get(&[text], || SigningKey::from_text(text)).map_err(unusable)?;
                let algorithm = key.algorithm(self.algorithm).map_err(unusable)?;
                Ok(Signing::Key(key, algorithm))
            }
            Place::Signer(signer) => Ok(Signing::Signer(Arc::clone(signer))),
        }
    }
}

/// What signs one assertion.
#[derive(Debug)]
pub(crate) enum Signing {
    Key(Arc<SigningKey>, SigningAlgorithm),
    Signer(Arc<dyn AssertionSigner>),
}

impl Signing {
    pub(super) fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::Key(_, algorithm) => *algorithm,
            Self::Signer(signer) => signer.algorithm(),
        }
    }

    /// The public half, where it is known.
    pub(super) fn public_key(&self) -> Option<&[u8]> {
        match self {
            Self::Key(key, _) => Some(key.public_key()),
            Self::Signer(_) => None,
        }
    }

    pub(super) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let algorithm = self.algorithm();
        match self {
            Self::Key(key, _) => key.sign(algorithm, message).ok_or_else(|| {
                let problem = format!("the private key does not sign with {algorithm}; make a new one");
                Error::new(ErrorKind::Credential, problem)
            }),
            Self::Signer(signer) => {
                let signature = signer.sign(message).await?;
                let (found, expected) = (signature.len(), algorithm.signature_length());
                match expected.filter(|expected| *expected != found) {
                    None => Ok(signature),
                    Some(expected) => Err(Error::new(
                        ErrorKind::Credential,
                        format!(
                            "the signer given in code made an {algorithm} signature of {found} bytes; expected \
                             r and s in {expected} bytes (RFC 7518 section 3.4), not DER"
                        ),
                    )),
                }
            }
        }
    }
}
