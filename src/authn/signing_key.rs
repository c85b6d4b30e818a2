//! A private key that signs: PEM in, algorithm chosen, signature out.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair,
};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};

use crate::authn::SigningAlgorithm;
use crate::authn::private_key::{Form, Kind, PrivateKey};

/// A parsed private key.
pub(crate) struct SigningKey {
    key: Key,
    kind: Kind,
    public_key: Vec<u8>,
}

enum Key {
    /// What `jsonwebtoken` signs with.
    Encoding(EncodingKey),
    /// ES512, which it lacks.
    P521(EcdsaKeyPair),
}

impl SigningKey {
    /// The private key in the text. An error goes after the name of the text's place, and shows nothing of
    /// the text.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let PrivateKey { kind, form, der } = PrivateKey::find(text)?;
        let (key, public_key) = match kind {
            Kind::Rsa { bits } => {
                let pair = RsaKeyPair::from_der(&der).map_err(|_| rejected_rsa(bits))?;
                (Key::Encoding(EncodingKey::from_rsa_der(&der)), pair.public_key().as_ref().to_vec())
            }
            Kind::P256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, form, &der)?,
            Kind::P384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, form, &der)?,
            Kind::P521 => {
                let pair = ec_pair(&ECDSA_P521_SHA512_FIXED_SIGNING, form, &der)?;
                let public_key = pair.public_key().as_ref().to_vec();
                (Key::P521(pair), public_key)
            }
        };
        Ok(Self { key, kind, public_key })
    }

    /// The public half, as the bit string of a certificate has it.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The wanted algorithm if the key can do it, else the one that the vendor's clients use.
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

    /// The signature, for ECDSA as two numbers of fixed length. `None` if the key cannot sign this way.
    pub(super) fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        match &self.key {
            Key::Encoding(key) => {
                let algorithm = match algorithm {
                    SigningAlgorithm::Rs256 => Algorithm::RS256,
                    SigningAlgorithm::Rs384 => Algorithm::RS384,
                    SigningAlgorithm::Rs512 => Algorithm::RS512,
                    SigningAlgorithm::Es256 => Algorithm::ES256,
                    SigningAlgorithm::Es384 => Algorithm::ES384,
                    SigningAlgorithm::Es512 => return None,
                };
                sign(algorithm, key, message)
            }
            Key::P521(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).ok()?;
                Some(signature.as_ref().to_vec())
            }
        }
    }
}

/// The provider is named: the process-wide default panics when another crate compiles a second one in.
pub(super) fn sign(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Option<Vec<u8>> {
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key).ok()?;
    signer.try_sign(message).ok()
}

/// `jsonwebtoken` takes EC keys in PKCS#8 only, so SEC1 is converted.
fn ec(algorithm: &'static EcdsaSigningAlgorithm, form: Form, der: &[u8]) -> Result<(Key, Vec<u8>), String> {
    let pair = ec_pair(algorithm, form, der)?;
    let key = match form {
        Form::Sec1 => EncodingKey::from_ec_der(pair.to_pkcs8v1().map_err(|_| rejected())?.as_ref()),
        Form::Pkcs1 | Form::Pkcs8 => EncodingKey::from_ec_der(der),
    };
    Ok((Key::Encoding(key), pair.public_key().as_ref().to_vec()))
}

fn ec_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    form: Form,
    der: &[u8],
) -> Result<EcdsaKeyPair, String> {
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
