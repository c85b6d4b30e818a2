//! CLIENT_SECRET_JWT and PRIVATE_KEY_JWT: a JWT in place of a secret (RFC 7523 section 2.2).

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::signature::Signer;
use serde_json::json;

use crate::authn::assertion_key::{AssertionKey, Signing};
use crate::authn::signing_key::SecretSigner;
use crate::authn::{Authenticator, TokenRequest, signing_key};
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::secret::{Secret, SecretSource};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good for. It is sent at once and only once; five minutes are for clocks that
/// differ, and half of what IDaaS allows at most.
const LIFE: Duration = Duration::from_secs(300);

/// A JWT with an HMAC under the client secret.
#[derive(Debug)]
pub(crate) struct ClientSecretJwt {
    pub(crate) secret: SecretSource,
}

impl Authenticator for ClientSecretJwt {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let secret = request.read_secret(&self.secret)?;
            let message = unsigned(request, "HS256")?;
            let signature = SecretSigner::new(secret.expose_secret().as_bytes()).sign(message.as_bytes());
            request.add_field("client_assertion_type", JWT_BEARER.to_owned());
            request.add_field("client_assertion", signed(message, &signature));
            Ok(())
        })
    }
}

/// A JWT signed with a private key.
#[derive(Debug)]
pub(crate) struct PrivateKeyJwt {
    pub(crate) key: AssertionKey,
}

impl Authenticator for PrivateKeyJwt {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let signing = self.key.read(request)?;
            let assertion = assertion(request, &signing).await?;
            request.add_field("client_assertion_type", JWT_BEARER.to_owned());
            request.add_field("client_assertion", assertion);
            Ok(())
        })
    }
}

/// A new assertion for this request.
pub(super) async fn assertion(request: &TokenRequest, signing: &Signing) -> Result<Secret, Error> {
    let message = unsigned(request, signing.algorithm().as_str())?;
    let signature = signing.sign(message.as_bytes()).await?;
    Ok(signed(message, &signature))
}

/// Header and claims, ready to be signed (RFC 7523 section 3). No header but these two: the vendor's clients
/// send no key id either.
fn unsigned(request: &TokenRequest, algorithm: &str) -> Result<String, Error> {
    let issued = request.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let header = signing_key::header(algorithm, None);
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

/// A random UUID (RFC 9562 section 5.4), which nobody can guess before it is sent.
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
