//! A private key that signs: parses PEM, selects the algorithm, signs.
//!
//! Signatures are made with aws-lc directly: `jsonwebtoken` has two mutually exclusive backends for the whole process,
//! and the choice is left to the program.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RsaKeyPair,
};
use jsonwebtoken::Header;
use jsonwebtoken::signature::{self, Signer};
use serde_json::Value;

use crate::authn::SigningAlgorithm;
use crate::authn::private_key::{Form, Kind, PrivateKey};
use crate::secret::Secret;

/// A parsed private key.
pub(crate) struct SigningKey {
    pair: Pair,
    kind: Kind,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    /// The private key in the text, which may be encrypted under the passphrase. The error is the rest of a sentence
    /// that begins with the text's place, and shows nothing of the text.
    pub(super) fn from_text(text: &str, passphrase: Option<&Secret>) -> Result<Self, String> {
        let PrivateKey { kind, form, der } = PrivateKey::find(text, passphrase)?;
        let pair = match kind {
            Kind::Rsa { bits } => Pair::Rsa(RsaKeyPair::from_der(&der).map_err(|_| rejected_rsa(bits))?),
            Kind::P256 => Pair::Ec(ec(&ECDSA_P256_SHA256_FIXED_SIGNING, form, &der)?),
            Kind::P384 => Pair::Ec(ec(&ECDSA_P384_SHA384_FIXED_SIGNING, form, &der)?),
            Kind::P521 => Pair::Ec(ec(&ECDSA_P521_SHA512_FIXED_SIGNING, form, &der)?),
        };
        Ok(Self { pair, kind })
    }

    /// The public key, as a certificate's bit string holds it.
    pub(super) fn public_key(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ec(pair) => pair.public_key().as_ref(),
        }
    }

    /// The wanted algorithm if the key supports it, or else the default of the vendor's clients.
    pub(super) fn algorithm(&self, wanted: Option<SigningAlgorithm>) -> Result<SigningAlgorithm, String> {
        let (own, what) = match self.kind {
            Kind::Rsa { bits } => (SigningAlgorithm::for_rsa(bits), "an RSA key"),
            Kind::P256 => (SigningAlgorithm::Es256, "an EC key on P-256"),
            Kind::P384 => (SigningAlgorithm::Es384, "an EC key on P-384"),
            Kind::P521 => (SigningAlgorithm::Es512, "an EC key on P-521"),
        };
        let wanted = wanted.unwrap_or(own);
        if wanted == own || wanted.is_rsa() && own.is_rsa() {
            return Ok(wanted);
        }
        let fits = if own.is_rsa() { "RS256, RS384 or RS512" } else { own.as_str() };
        Err(format!("holds {what}, which cannot sign with {wanted}; expected {fits} as the algorithm"))
    }

    /// The signature, for ECDSA as two numbers of fixed length. `None` if the key does not support the algorithm.
    pub(super) fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        KeySigner { key: self, algorithm }.try_sign(message).ok()
    }
}

/// A key and its algorithm.
struct KeySigner<'a> {
    key: &'a SigningKey,
    algorithm: SigningAlgorithm,
}

impl Signer<Vec<u8>> for KeySigner<'_> {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let random = SystemRandom::new();
        match (&self.key.pair, self.algorithm) {
            (Pair::Rsa(pair), SigningAlgorithm::Rs256) => rsa(pair, &RSA_PKCS1_SHA256, message),
            (Pair::Rsa(pair), SigningAlgorithm::Rs384) => rsa(pair, &RSA_PKCS1_SHA384, message),
            (Pair::Rsa(pair), SigningAlgorithm::Rs512) => rsa(pair, &RSA_PKCS1_SHA512, message),
            // The key itself determines the digest.
            (Pair::Ec(pair), algorithm) if self.key.algorithm(Some(algorithm)).is_ok() => {
                let signature = pair.sign(&random, message).map_err(signature::Error::from_source)?;
                Ok(signature.as_ref().to_vec())
            }
            _ => Err(signature::Error::new()),
        }
    }
}

fn rsa(
    pair: &RsaKeyPair,
    encoding: &'static dyn aws_lc_rs::signature::RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, signature::Error> {
    let mut signature = vec![0; pair.public_modulus_len()];
    let signed = pair.sign(encoding, &SystemRandom::new(), message, &mut signature);
    signed.map_err(signature::Error::from_source)?;
    Ok(signature)
}

/// HS256 under a shared secret.
pub(super) struct SecretSigner(hmac::Key);

impl SecretSigner {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, secret))
    }
}

impl Signer<Vec<u8>> for SecretSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

/// The header of a JWT (RFC 7515 section 4). The algorithm is text, because `jsonwebtoken` has no ES512.
pub(super) fn header(algorithm: &str, key_id: Option<&str>) -> Value {
    let header = Header { kid: key_id.map(str::to_owned), ..Header::default() };
    let mut header = serde_json::to_value(header).unwrap_or_default();
    if let Some(members) = header.as_object_mut() {
        members.insert("alg".to_owned(), algorithm.into());
    }
    header
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, form: Form, der: &[u8]) -> Result<EcdsaKeyPair, String> {
    let pair = match form {
        Form::Sec1 => EcdsaKeyPair::from_private_key_der(algorithm, der),
        Form::Pkcs1 | Form::Pkcs8 => EcdsaKeyPair::from_pkcs8(algorithm, der),
    };
    pair.map_err(|_| rejected())
}

fn rejected_rsa(bits: usize) -> String {
    const SIZES: std::ops::RangeInclusive<usize> = 2048..=8192;
    if SIZES.contains(&bits) {
        return rejected();
    }
    format!("holds an RSA key of {bits} bits, which is not supported; expected 2048 to 8192 bits")
}

fn rejected() -> String {
    "holds a damaged private key: its numbers do not fit together; make a new copy of it".to_owned()
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}
