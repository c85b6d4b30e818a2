//! Finds the private key in a text: every format of keys, and the texts that only resemble one.

use zeroize::Zeroizing;

use crate::authn::der::{self, Reader, tag};
use crate::authn::encrypted_key;
use crate::secret::{Secret, pem};

/// A private key in DER, of a type that can sign.
pub(super) struct PrivateKey {
    pub(super) kind: Kind,
    pub(super) form: Form,
    pub(super) der: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Rsa { bits: usize },
    P256,
    P384,
    P521,
}

/// The structure of an EC key; an RSA key is always unpacked to PKCS#1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Pkcs1,
    Pkcs8,
    Sec1,
}

/// The input that messages name as expected.
const EXPECTED: &str = "expected the text of a private key in PEM form (`-----BEGIN PRIVATE KEY-----`)";

const ENCRYPTED: &str = "an encrypted private key";

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];

impl PrivateKey {
    /// The one private key in the text. The error is the rest of a sentence that begins with the text's place, and
    /// shows nothing of the text.
    pub(super) fn find(text: &str, passphrase: Option<&Secret>) -> Result<Self, String> {
        let normalized = pem::normalized(text);
        let blocks = pem::blocks(&normalized)?;
        let mut keys = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY"));
        let key = match (keys.next(), keys.next()) {
            (Some(key), None) => key,
            (Some(_), Some(_)) => return Err("holds more than one private key; keep one".into()),
            (None, _) if blocks.is_empty() => return bare(text, passphrase),
            (None, _) => {
                let labels: Vec<&str> = blocks.iter().map(|block| block.label).collect();
                return Err(no_key(&labels));
            }
        };
        if key.is_encrypted() {
            return Err(format!(
                "holds {ENCRYPTED} in the form of RFC 1421; convert it with `openssl pkcs8 -topk8`"
            ));
        }
        if key.label == "OPENSSH PRIVATE KEY" {
            return Err("holds a key in the form of OpenSSH; convert it with `ssh-keygen -p -m PKCS8`".into());
        }
        Self::from_der(key.decode()?, passphrase)
    }

    /// Looks at the structure and not at the label, which is often wrong.
    fn from_der(der: Zeroizing<Vec<u8>>, passphrase: Option<&Secret>) -> Result<Self, String> {
        if is_encrypted(&der) {
            let passphrase = passphrase.ok_or_else(|| {
                format!(
                    "holds {ENCRYPTED}; give its passphrase (`privateKeyPassphraseEnvVarName`, or \
                     `AssertionKey::passphrase`), or decrypt it with `openssl pkey`"
                )
            })?;
            return Self::from_der(encrypted_key::decrypt(&der, passphrase)?, None);
        }
        let (kind, form, inner) = structure(&der)?;
        let der = match inner {
            Some(inner) => Zeroizing::new(inner.to_vec()),
            None => der,
        };
        Ok(Self { kind, form, der })
    }
}

/// Type and form, and for RSA in PKCS#8 the PKCS#1 inside it.
fn structure(der: &[u8]) -> Result<(Kind, Form, Option<&[u8]>), String> {
    if der::is_cut_short(der) {
        return Err("is cut short: the private key ends too early".into());
    }
    let damaged = || format!("is not a private key, or a damaged one; {EXPECTED}");
    let mut outer = Reader::new(der);
    let mut inside = outer.sequence().filter(|_| outer.is_empty()).ok_or_else(damaged)?;
    if inside.sequence().is_some() {
        // Anything that begins with a sequence is no plain private key.
        return Err(match (inside.next(), inside.next()) {
            (Some((tag::BIT_STRING, _)), None) => no_key(&["PUBLIC KEY"]),
            (Some((tag::OCTET_STRING, _)), None) => format!("holds {ENCRYPTED} within another"),
            (Some((tag::SEQUENCE, _)), Some((tag::BIT_STRING, _))) => no_key(&["CERTIFICATE"]),
            _ => damaged(),
        });
    }
    inside.expect(tag::INTEGER).ok_or_else(damaged)?;
    if let Some(mut algorithm) = inside.sequence() {
        let name = algorithm.expect(tag::OBJECT_IDENTIFIER).ok_or_else(damaged)?;
        let key = inside.expect(tag::OCTET_STRING).ok_or_else(damaged)?;
        return match name {
            RSA => Ok((rsa(key).ok_or_else(damaged)?, Form::Pkcs1, Some(key))),
            EC => Ok((curve(algorithm)?, Form::Pkcs8, None)),
            ED25519 => Err(unsupported("an Ed25519 key")),
            ED448 => Err(unsupported("an Ed448 key")),
            RSA_PSS => Err(unsupported("an RSA key for PSS signatures only")),
            DSA => Err(unsupported("a DSA key")),
            _ => Err(unsupported("a key of another type")),
        };
    }
    if inside.expect(tag::OCTET_STRING).is_some() {
        let parameters = inside.expect(tag::CONTEXT_0).ok_or_else(|| {
            "is an EC key that does not name its curve; convert it with `openssl pkey` on the machine it is from"
                .to_owned()
        })?;
        return Ok((curve(Reader::new(parameters))?, Form::Sec1, None));
    }
    match rsa(der) {
        Some(kind) => Ok((kind, Form::Pkcs1, None)),
        None if inside.expect(tag::INTEGER).is_some() && inside.is_empty() => Err(no_key(&["PUBLIC KEY"])),
        None => Err(damaged()),
    }
}

/// Whether the bytes are an algorithm and an octet string: an encrypted key (RFC 5958 section 3).
fn is_encrypted(der: &[u8]) -> bool {
    let mut outer = Reader::new(der);
    let Some(mut inside) = outer.sequence().filter(|_| outer.is_empty()) else { return false };
    inside.sequence().is_some() && inside.expect(tag::OCTET_STRING).is_some() && inside.is_empty()
}

/// The size of a key in PKCS#1.
fn rsa(der: &[u8]) -> Option<Kind> {
    let mut key = Reader::new(der).sequence()?;
    key.expect(tag::INTEGER)?; // version
    let bits = der::bits(key.expect(tag::INTEGER)?);
    key.expect(tag::INTEGER)?; // public exponent
    key.expect(tag::INTEGER).map(|_private_exponent| Kind::Rsa { bits })
}

/// The curve that an EC key names.
fn curve(mut parameters: Reader<'_>) -> Result<Kind, String> {
    match parameters.expect(tag::OBJECT_IDENTIFIER) {
        Some(P256) => Ok(Kind::P256),
        Some(P384) => Ok(Kind::P384),
        Some(P521) => Ok(Kind::P521),
        Some(SECP256K1) => Err(unsupported("an EC key on the curve secp256k1")),
        Some(_) => Err(unsupported("an EC key on another curve")),
        None => Err(unsupported("an EC key that spells its curve out instead of naming it")),
    }
}

/// A text without any `-----BEGIN`: base64 of a key, or no key at all.
fn bare(text: &str, passphrase: Option<&Secret>) -> Result<PrivateKey, String> {
    let normalized = pem::normalized(text);
    if let Some(der) = pem::decode(pem::undecorated(&normalized))
        && der.first() == Some(&tag::SEQUENCE)
    {
        return PrivateKey::from_der(der, passphrase);
    }
    if looks_like_a_path(text.trim()) {
        return Err(format!("holds what looks like the path of a file; {EXPECTED}"));
    }
    Err(format!("holds no private key; {EXPECTED}"))
}

fn looks_like_a_path(text: &str) -> bool {
    let is_rooted = ["/", "./", "../", "~", "file:", "\\\\"].iter().any(|start| text.starts_with(start));
    let has_drive = text.get(1..3).is_some_and(|drive| drive == ":\\" || drive == ":/");
    let lower = text.to_ascii_lowercase();
    let has_ending = [".pem", ".key", ".der", ".p8", ".txt"].iter().any(|ending| lower.ends_with(ending));
    text.lines().count() == 1 && text.len() <= 4096 && (is_rooted || has_drive || has_ending)
}

/// The message for blocks none of which is a private key.
fn no_key(labels: &[&str]) -> String {
    let has = |part: &str| labels.iter().any(|label| label.contains(part));
    let found = if has("PUBLIC KEY") {
        "a public key and no private one"
    } else if has("CERTIFICATE REQUEST") {
        "a certificate request and no private key"
    } else if has("CERTIFICATE") {
        "a certificate and no private key"
    } else if has("EC PARAMETERS") {
        "the parameters of an EC key without the key"
    } else {
        "no private key"
    };
    format!("holds {found}; {EXPECTED}")
}

fn unsupported(what: &str) -> String {
    format!("holds {what}, which is not supported; expected RSA, or EC on P-256, P-384 or P-521")
}
