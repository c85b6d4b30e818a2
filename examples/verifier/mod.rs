//! What an API does with a bearer token: verifies signature, issuer, audience and life, by the issuer's keys.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use tower_idaas::BoxError;

/// Verifies the tokens of one issuer for one audience.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    keys: JwkSet,
    validation: Validation,
}

impl Verifier {
    /// `key_set` is what the issuer publishes (RFC 7517).
    pub(crate) fn new(key_set: &str, issuer: &str, audience: &str) -> Result<Self, BoxError> {
        let mut validation = Validation::new(Algorithm::ES256);
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
