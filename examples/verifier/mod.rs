//! What an API does with a bearer token: verifies signature, issuer, audience and life, by the issuer's
//! keys. IDaaS signs with RS256, and names the key.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::signature;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use serde_json::Value;
use tower_idaas::BoxError;

/// What `jsonwebtoken` verifies with in this program. Yours has it shorter: one of the features `aws_lc_rs` and
/// `rust_crypto` of that crate. These examples share their build with a library that leaves the choice to you, so
/// they turn on neither.
static BACKEND: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(jsonwebtoken::errors::ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |_, key| Ok(Box::new(Rs256(key.clone()))),
    key_utils: KeyUtils::new_unimplemented(),
};

struct Rs256(DecodingKey);

impl signature::Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = self.0.kind() else {
            return Err(signature::Error::from_source(
                "expected the key of RS256 as the issuer publishes it",
            ));
        };
        let key = RsaPublicKeyComponents { n, e };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// Verifies the tokens of one issuer for one audience.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    keys: JwkSet,
    validation: Validation,
}

impl Verifier {
    /// `key_set` is what the issuer publishes (RFC 7517).
    pub(crate) fn new(key_set: &str, issuer: &str, audience: &str) -> Result<Self, BoxError> {
        // Another verifier may have installed it already.
        let _ = BACKEND.install_default();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        Ok(Self { keys: serde_json::from_str(key_set)?, validation })
    }

    /// The claims of the token in an `Authorization` header, if it is good.
    pub(crate) fn verify(&self, authorization: &str) -> Result<Value, BoxError> {
        let token = authorization.strip_prefix("Bearer ").ok_or("no bearer token")?;
        let id = decode_header(token)?.kid.ok_or("a token without a key id")?;
        let key = DecodingKey::from_jwk(self.keys.find(&id).ok_or("a token signed with an unknown key")?)?;
        Ok(decode(token, &key, &self.validation)?.claims)
    }
}
