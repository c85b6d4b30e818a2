//! JWTs signed with ES256, by a key made for the purpose.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use serde_json::{Value, json};

/// Signs and verifies.
pub(super) struct Es256 {
    pub(super) key_id: String,
    private_key: EncodingKey,
    public_key: DecodingKey,
    /// An uncompressed point: one byte that says so, then both coordinates.
    point: Vec<u8>,
}

impl Es256 {
    pub(super) fn generate() -> io::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        Ok(Self {
            key_id: format!("key_{:016x}", fastrand::u64(..)),
            private_key: EncodingKey::from_ec_der(key.serialized_der()),
            public_key: DecodingKey::from_ec_der(key.der_bytes()),
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
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.key_id });
        let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        // The provider is named: the process-wide default panics when a second one is compiled in.
        let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::ES256, &self.private_key)
            .map_err(io::Error::other)?;
        let signature = signer.try_sign(message.as_bytes()).map_err(io::Error::other)?;
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
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&Algorithm::ES256, &self.public_key).ok()?;
        verifier.verify(message.as_bytes(), &signature).ok()?;
        decode(payload)
    }
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}
