//! JWTs signed with ES256, by a key made for the purpose.

use std::io;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, Header};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData};
use serde_json::{Value, json};

/// Signs and verifies.
pub(super) struct Es256 {
    pub(super) key_id: String,
    pair: EcdsaKeyPair,
    /// An uncompressed point: one byte that says so, then both coordinates.
    point: Vec<u8>,
}

impl Es256 {
    pub(super) fn generate() -> io::Result<Self> {
        let key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der());
        Ok(Self {
            key_id: format!("key_{:016x}", fastrand::u64(..)),
            pair: pair.map_err(io::Error::other)?,
            point: key.der_bytes().to_vec(),
        })
    }

    /// The public key as a JSON Web Key (RFC 7517).
    pub(super) fn public_jwk(&self) -> io::Result<Value> {
        let Some((x, y)) = self.point.get(1..).and_then(|both| both.split_at_checked(32)) else {
            return Err(io::Error::other("the public key is not a P-256 point"));
        };
        Ok(json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id,
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }))
    }

    pub(super) fn sign(&self, claims: &Value) -> io::Result<String> {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::ES256) };
        let header = serde_json::to_vec(&header)?;
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).map_err(io::Error::other)?;
        Ok(format!("{message}.{}", BASE64.encode(signature)))
    }

    /// The claims of a token that this key signed; whether they suffice is for the caller to judge.
    pub(super) fn verify(&self, token: &str) -> Option<Value> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        if decode(header)?.get("alg")?.as_str()? != "ES256" {
            return None;
        }
        let signature = BASE64.decode(signature).ok()?;
        let public_key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point);
        public_key.verify(message.as_bytes(), &signature).ok()?;
        decode(payload)
    }
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}
