//! JWTs signed with RS256, as the real service signs them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

/// The key pair that everything in this process signs with at first: making one takes a good part of a tenth of a second,
/// which each test would pay for.
static SHARED: Mutex<Option<Arc<RsaKeyPair>>> = Mutex::new(None);

/// A key pair and its id.
pub(crate) struct Rs256 {
    pub(crate) key_id: String,
    pair: Arc<RsaKeyPair>,
}

impl Rs256 {
    /// A key id of its own, and the key pair that all others of this process have.
    pub(crate) fn shared() -> io::Result<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = match &*shared {
            Some(pair) => Arc::clone(pair),
            None => Arc::clone(shared.insert(Arc::new(generate()?))),
        };
        Ok(Self { key_id: key_id(), pair })
    }

    /// A key pair that no other has.
    pub(crate) fn generate() -> io::Result<Self> {
        Ok(Self { key_id: key_id(), pair: Arc::new(generate()?) })
    }

    /// The public key as a JSON Web Key (RFC 7517).
    pub(crate) fn public_jwk(&self) -> Value {
        let key = self.pair.public_key();
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id,
            "n": BASE64.encode(key.modulus().big_endian_without_leading_zero()),
            "e": BASE64.encode(key.exponent().big_endian_without_leading_zero()),
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> io::Result<String> {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        let header = serde_json::to_vec(&header)?;
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(io::Error::other)?;
        Ok(format!("{message}.{}", BASE64.encode(signature)))
    }

    /// The claims of a token that this key signed; whether they suffice is for the caller to judge.
    ///
    /// The key id counts: other issuers of this process may have the same key pair.
    pub(crate) fn verify(&self, token: &str) -> Option<Value> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header = decode(header)?;
        if header.get("alg")?.as_str()? != "RS256" || header.get("kid")?.as_str()? != self.key_id {
            return None;
        }
        let signature = BASE64.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref());
        key.verify(message.as_bytes(), &signature).ok()?;
        decode(payload)
    }
}

fn generate() -> io::Result<RsaKeyPair> {
    RsaKeyPair::generate(KeySize::Rsa2048).map_err(io::Error::other)
}

fn key_id() -> String {
    format!("key_{:016x}", fastrand::u64(..))
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_key_or_key_id_is_not_verified() {
        let (one, other, own) =
            (Rs256::shared().unwrap(), Rs256::shared().unwrap(), Rs256::generate().unwrap());
        let token = one.sign(&json!({ "a": 1 })).unwrap();
        assert_eq!(one.verify(&token), Some(json!({ "a": 1 })));
        assert_eq!(one.public_jwk()["n"], other.public_jwk()["n"], "the key is made once");
        assert_ne!(one.public_jwk()["n"], own.public_jwk()["n"]);
        assert!(other.verify(&token).is_none() && own.verify(&token).is_none());
    }
}
