//! CLIENT_SECRET_JWT and PRIVATE_KEY_JWT: a JWT in place of a secret (RFC 7523 section 2.2).

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::signature::Signer;
use serde_json::json;

use crate::authn::assertion_key::{AssertionKey, Signing};
use crate::authn::client_secret::secret_faults;
use crate::authn::signing_key::SecretSigner;
use crate::authn::{Authenticator, BuiltIn, CheckContext, SigningAlgorithm, TokenRequest, signing_key};
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};
use crate::secret::{Secret, SecretSource};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The life of an assertion. It is sent at once and only once; five minutes allow for clock skew, and are half of
/// IDaaS's limit.
const LIFE: Duration = Duration::from_secs(300);

/// CLIENT_SECRET_JWT: an assertion with an HMAC (HS256) under the client secret, so that the secret itself is not sent.
#[derive(Clone, Debug)]
pub struct ClientSecretJwt {
    secret: SecretSource,
}

impl ClientSecretJwt {
    /// The secret is read at each attempt.
    pub fn new(secret: SecretSource) -> Self {
        Self { secret }
    }
}

impl Authenticator for ClientSecretJwt {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let secret = request.read_client_secret(&self.secret).await?;
            let message = unsigned(request, "HS256", None)?;
            let signature = SecretSigner::new(secret.expose_secret().as_bytes()).sign(message.as_bytes());
            request.add_field("client_assertion_type", JWT_BEARER.to_owned());
            request.add_field("client_assertion", signed(message, &signature));
            Ok(())
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        secret_faults(&self.secret, context)
    }

    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        Some("CLIENT_SECRET_JWT")
    }
}

/// PRIVATE_KEY_JWT: an assertion signed with a private key (RFC 7523 section 2.2).
///
/// The key comes from a [`SecretSource`](crate::SecretSource) with its PEM text, or is an
/// [`AssertionSigner`](crate::authn::AssertionSigner) of your own. Each attempt at a token makes a new assertion, valid
/// for five minutes, with the token endpoint as its audience.
///
/// ```
/// use tower_idaas::SecretSource;
/// use tower_idaas::authn::{PrivateKeyJwt, SigningAlgorithm};
///
/// let key = SecretSource::file("/etc/orders/private-key.pem");
/// let method = PrivateKeyJwt::new(key).algorithm(SigningAlgorithm::Rs384).key_id("2026-11");
/// # drop(method);
/// ```
#[derive(Clone, Debug)]
pub struct PrivateKeyJwt {
    key: AssertionKey,
}

impl PrivateKeyJwt {
    /// Signs with this key or signer.
    pub fn new(key: impl Into<AssertionKey>) -> Self {
        Self { key: key.into() }
    }

    /// Signs with this algorithm instead of the default of the private key, see [`SigningAlgorithm`]: for RSA keys,
    /// which support several. An algorithm that the key or the signer does not support is a fault when the handle is
    /// built.
    #[must_use]
    pub fn algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.key = self.key.with_algorithm(algorithm);
        self
    }

    /// Names the key in the assertion's header, `kid` (RFC 7515 section 4.1.4): for a client with several public keys.
    /// None by default.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.key = self.key.with_key_id(id);
        self
    }
}

impl Authenticator for PrivateKeyJwt {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let signing = self.key.read(request).await?;
            let assertion = assertion(request, &signing).await?;
            request.add_field("client_assertion_type", JWT_BEARER.to_owned());
            request.add_field("client_assertion", assertion);
            Ok(())
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        self.key.check(context).err().into_iter().flatten().collect()
    }

    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        Some("PRIVATE_KEY_JWT")
    }
}

/// A new assertion for this request.
pub(super) async fn assertion(request: &mut TokenRequest, signing: &Signing) -> Result<Secret, Error> {
    let message = unsigned(request, signing.algorithm().as_str(), signing.key_id())?;
    let signature = signing.sign(message.as_bytes()).await?;
    Ok(signed(message, &signature))
}

/// Header and claims, ready to be signed (RFC 7523 section 3). The header has a `kid` if one is configured, as the
/// vendor's CLI sends it; the vendor's SDKs send none.
fn unsigned(request: &mut TokenRequest, algorithm: &str, key_id: Option<&str>) -> Result<String, Error> {
    request.depends_on_time();
    let issued = request.issued_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let header = signing_key::header(algorithm, key_id);
    let claims = json!({
        "iss": request.client_id(),
        "sub": request.client_id(),
        "aud": request.token_endpoint().to_string(),
        "jti": unique_id()?,
        "iat": issued.as_secs(),
        "exp": issued.saturating_add(LIFE).as_secs(),
    });
    Ok(format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string())))
}

fn signed(message: String, signature: &[u8]) -> Secret {
    Secret::new(format!("{message}.{}", BASE64.encode(signature)))
}

/// A random UUID (RFC 9562 section 5.4), unpredictable before it is sent.
fn unique_id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Runtime, "the system gives no random numbers; try again"))?;
    let random = u128::from_be_bytes(bytes);
    let version_4 = random & !(0xf << 76) | 0x4 << 76;
    let id = version_4 & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{id:032x}");
    let (start, rest) = hex.split_at(8);
    let (second, rest) = rest.split_at(4);
    let (third, rest) = rest.split_at(4);
    let (fourth, fifth) = rest.split_at(4);
    Ok(format!("{start}-{second}-{third}-{fourth}-{fifth}"))
}
