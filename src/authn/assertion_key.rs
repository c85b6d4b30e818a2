//! The signer of a client assertion: a private key in PEM form, or a signer of the user's own.

use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;

use crate::authn::check::unusable;
use crate::authn::parsed_source::ParsedSource;
use crate::authn::signing_key::SigningKey;
use crate::authn::{CheckContext, SigningAlgorithm, TokenRequest, option};
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};
use crate::secret::{Content, Expected, SecretSource};

/// A signer of your own for client assertions: an HSM, a key management service, an agent.
///
/// Give one to [`PrivateKeyJwt::new`](crate::authn::PrivateKeyJwt::new) or [`Pca::new`](crate::authn::Pca::new) in
/// place of a private key. It is called once per attempt at a token, and never for a request that is served from the
/// cache. [`assertion_signer_fn`] makes one from a function.
///
/// It must not block the thread: a worker of the runtime waits meanwhile. A synchronous client belongs in
/// `tokio::task::spawn_blocking`.
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
///             let failed = |error| Error::new(ErrorKind::Connect, "the KMS does not respond").with_source(error);
///             self.call(message).await.map_err(failed)
///         })
///     }
/// }
/// ```
pub trait AssertionSigner: Debug + Send + Sync + 'static {
    /// The algorithm of [`sign`](Self::sign), which is named in the assertion's header.
    fn algorithm(&self) -> SigningAlgorithm;

    /// Signs the message itself, not a digest of it.
    ///
    /// An ECDSA signature is the two numbers `r` and `s` one after the other, each as long as the curve's order (RFC
    /// 7518 section 3.4): 64, 96 or 132 bytes. Many services return it in DER, which must be converted.
    ///
    /// # Errors
    ///
    /// When the signer cannot sign. The error's kind says whether another attempt can help.
    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>>;

    /// The key's id, `kid` in the assertion's header. None by default.
    fn key_id(&self) -> Option<&str> {
        None
    }
}

macro_rules! delegate_signer {
    ($($pointer:ident),*) => {$(
        impl<S: AssertionSigner + ?Sized> AssertionSigner for $pointer<S> {
            fn algorithm(&self) -> SigningAlgorithm {
                (**self).algorithm()
            }

            fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
                (**self).sign(message)
            }

            fn key_id(&self) -> Option<&str> {
                (**self).key_id()
            }
        }
    )*};
}

delegate_signer!(Arc, Box);

/// An [`AssertionSigner`] from a function that takes the message and returns its signature; see
/// [`AssertionSigner::sign`].
///
/// ```
/// use tower_idaas::authn::{PrivateKeyJwt, SigningAlgorithm, assertion_signer_fn};
///
/// # async fn ask_the_kms(_: &[u8]) -> Vec<u8> { vec![0; 256] }
/// let signer = assertion_signer_fn(SigningAlgorithm::Rs256, |message| async move {
///     Ok(ask_the_kms(&message).await)
/// });
/// let method = PrivateKeyJwt::new(signer);
/// # drop(method);
/// ```
pub fn assertion_signer_fn<F, Fut>(algorithm: SigningAlgorithm, function: F) -> AssertionSignerFn<F>
where
    F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, Error>> + Send + 'static,
{
    AssertionSignerFn { algorithm, function }
}

/// The signer that [`assertion_signer_fn`] returns.
#[derive(Clone, Copy)]
pub struct AssertionSignerFn<F> {
    algorithm: SigningAlgorithm,
    function: F,
}

impl<F, Fut> AssertionSigner for AssertionSignerFn<F>
where
    F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<u8>, Error>> + Send + 'static,
{
    fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        Box::pin((self.function)(message.to_vec()))
    }
}

impl<F> fmt::Debug for AssertionSignerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionSignerFn").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The signer of a client assertion: a [`SecretSource`] with a private key in PEM form, or an [`AssertionSigner`].
///
/// A private key may be RSA of 2048 to 8192 bits, or EC on P-256, P-384 or P-521; as PKCS#8, PKCS#1 or SEC1; plain, or
/// encrypted with a [`passphrase`](Self::passphrase); in PEM or as bare base64, and PEM encoded in base64 once more. It
/// is read at every attempt, so that a new key needs no restart, and parsed when it changes. Line breaks may be
/// escaped, lost or turned into blanks, as happens in environment variables; text around the key, certificates
/// included, is skipped.
#[derive(Clone, Debug)]
pub struct AssertionKey {
    place: Place,
    algorithm: Option<SigningAlgorithm>,
    key_id: Option<String>,
    passphrase: Option<SecretSource>,
}

#[derive(Clone, Debug)]
enum Place {
    Text(ParsedSource<SigningKey>),
    Signer(Arc<dyn AssertionSigner>),
}

impl From<SecretSource> for AssertionKey {
    fn from(source: SecretSource) -> Self {
        Self::at(Place::Text(ParsedSource::new(source, Content::PrivateKey)))
    }
}

impl<S: AssertionSigner> From<S> for AssertionKey {
    fn from(signer: S) -> Self {
        Self::at(Place::Signer(Arc::new(signer)))
    }
}

impl AssertionKey {
    fn at(place: Place) -> Self {
        Self { place, algorithm: None, key_id: None, passphrase: None }
    }

    pub(super) fn with_algorithm(self, algorithm: SigningAlgorithm) -> Self {
        Self { algorithm: Some(algorithm), ..self }
    }

    /// The passphrase of an encrypted private key: PKCS#8 with AES in CBC mode under PBKDF2, as `openssl pkcs8 -topk8`
    /// writes it. It is read together with the key.
    ///
    /// ```
    /// use tower_idaas::SecretSource;
    /// use tower_idaas::authn::{AssertionKey, PrivateKeyJwt};
    ///
    /// let key = AssertionKey::from(SecretSource::file("/etc/orders/private-key.pem"))
    ///     .passphrase(SecretSource::variable("ORDERS_KEY_PASSPHRASE"));
    /// let method = PrivateKeyJwt::new(key);
    /// # drop(method);
    /// ```
    #[must_use]
    pub fn passphrase(self, passphrase: SecretSource) -> Self {
        Self { passphrase: Some(passphrase), ..self }
    }

    pub(super) fn with_key_id(self, id: impl Into<String>) -> Self {
        Self { key_id: Some(id.into()), ..self }
    }

    /// The place of the private key, for messages.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::Text(source) => source.name(),
            Place::Signer(_) => "the signer set in code".to_owned(),
        }
    }

    /// Reads and checks the key, without signing anything. `None` if only a function can return the key.
    pub(super) fn check(&self, context: &CheckContext<'_>) -> Result<Option<Signing>, Vec<ConfigFault>> {
        let signing = self.read_at_load(context);
        let problem = "is blank; expected the id under which IDaaS knows the public key";
        let blank = self.key_id.as_ref().filter(|id| id.trim().is_empty());
        match (signing, blank.map(|_| ConfigFault::new(option::KEY_ID, problem))) {
            (Ok(signing), None) => Ok(signing),
            (signing, blank) => {
                let unusable = signing.err().map(|error| unusable(option::PRIVATE_KEY, error));
                Err(unusable.into_iter().chain(blank).collect())
            }
        }
    }

    fn read_at_load(&self, context: &CheckContext<'_>) -> Result<Option<Signing>, Error> {
        match &self.place {
            Place::Text(source) => {
                let read = |source: &SecretSource| context.read_expected(source, Expected::passphrase());
                let passphrase = self.passphrase.as_ref().map(read).transpose()?;
                if let Some(None) = passphrase {
                    return Ok(None);
                }
                let passphrase = passphrase.flatten();
                let parse = |text: &str| SigningKey::from_text(text, passphrase.as_ref());
                let key = source.read_blocking(context, passphrase.as_ref(), parse)?;
                key.map(|key| self.with_key(source, key)).transpose()
            }
            Place::Signer(signer) => self.with_signer(signer).map(Some),
        }
    }

    /// The signer for this request.
    pub(super) async fn read(&self, request: &mut TokenRequest) -> Result<Signing, Error> {
        match &self.place {
            Place::Text(source) => {
                let passphrase = match &self.passphrase {
                    Some(source) => Some(request.read_expected(source, Expected::passphrase()).await?),
                    None => None,
                };
                let parse = |text: &str| SigningKey::from_text(text, passphrase.as_ref());
                let key = source.read(request, passphrase.as_ref(), parse).await?;
                self.with_key(source, key)
            }
            Place::Signer(signer) => self.with_signer(signer),
        }
    }

    fn with_key(&self, source: &ParsedSource<SigningKey>, key: Arc<SigningKey>) -> Result<Signing, Error> {
        let unusable = |problem| Error::new(ErrorKind::Credential, format!("{} {problem}", source.name()));
        let algorithm = key.algorithm(self.algorithm).map_err(unusable)?;
        Ok(Signing { signer: Signer::Key(key), algorithm, key_id: self.key_id.clone() })
    }

    fn with_signer(&self, signer: &Arc<dyn AssertionSigner>) -> Result<Signing, Error> {
        let algorithm = signer.algorithm();
        if self.passphrase.is_some() {
            let problem = "a passphrase is set beside a signer, which needs none; remove it";
            return Err(Error::new(ErrorKind::Credential, problem));
        }
        if let Some(other) = self.algorithm.filter(|other| *other != algorithm) {
            let problem = format!("the signer set in code signs with {algorithm}, not with {other}");
            let remedy = "leave the algorithm to the signer";
            return Err(Error::new(ErrorKind::Credential, format!("{problem}; {remedy}")));
        }
        let key_id = self.key_id.as_deref().or(signer.key_id()).map(str::to_owned);
        Ok(Signing { signer: Signer::Own(Arc::clone(signer)), algorithm, key_id })
    }
}

/// The signer of one assertion.
#[derive(Debug)]
pub(super) struct Signing {
    signer: Signer,
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
}

#[derive(Debug)]
enum Signer {
    Key(Arc<SigningKey>),
    Own(Arc<dyn AssertionSigner>),
}

impl Signing {
    pub(super) fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The public key, if it is known.
    pub(super) fn public_key(&self) -> Option<&[u8]> {
        match &self.signer {
            Signer::Key(key) => Some(key.public_key()),
            Signer::Own(_) => None,
        }
    }

    pub(super) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let algorithm = self.algorithm;
        match &self.signer {
            Signer::Key(key) => key.sign(algorithm, message).ok_or_else(|| {
                let problem = format!("the private key does not sign with {algorithm}; make a new one");
                Error::new(ErrorKind::Credential, problem)
            }),
            Signer::Own(signer) => {
                let signature = signer.sign(message).await?;
                let (found, expected) = (signature.len(), algorithm.signature_length());
                match expected.filter(|expected| *expected != found) {
                    None => Ok(signature),
                    Some(expected) => Err(Error::new(
                        ErrorKind::Credential,
                        format!(
                            "the signer set in code made an {algorithm} signature of {found} bytes; expected \
                             r and s in {expected} bytes (RFC 7518 section 3.4), not DER"
                        ),
                    )),
                }
            }
        }
    }
}
