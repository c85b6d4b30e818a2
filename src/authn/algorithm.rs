//! The signature algorithms of assertions.

use std::fmt;

/// A signature algorithm of JWTs for private keys (RFC 7518 section 3.1).
///
/// The default follows from the key, as in the vendor's own clients: RSA up to 2048 bits signs with RS256, up to 3072
/// bits with RS384, longer with RS512; EC on P-256 with ES256, on P-384 with ES384, on P-521 with ES512.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
}

impl SigningAlgorithm {
    /// The name in a JWT's header, such as `RS256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    /// The algorithm of the vendor's clients for an RSA key of this size.
    pub(super) fn for_rsa(bits: usize) -> Self {
        match bits {
            ..=2048 => Self::Rs256,
            2049..=3072 => Self::Rs384,
            _ => Self::Rs512,
        }
    }

    pub(super) fn is_rsa(self) -> bool {
        matches!(self, Self::Rs256 | Self::Rs384 | Self::Rs512)
    }

    /// The length of a signature, where the algorithm alone determines it: for ECDSA two numbers, each as long as the
    /// curve's order (RFC 7518 section 3.4).
    pub(super) fn signature_length(self) -> Option<usize> {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 => None,
            Self::Es256 => Some(64),
            Self::Es384 => Some(96),
            Self::Es512 => Some(132),
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
