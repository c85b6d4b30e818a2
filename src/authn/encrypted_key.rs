//! Private keys under a passphrase: encrypted PKCS#8 (RFC 5958 section 3) by PBES2 (RFC 8018 section 6.2), which
//! `openssl genpkey` and `openssl pkcs8 -topk8` write.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, AES_CBC_IV_LEN, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use crate::authn::der::{Reader, tag};
use crate::secret::Secret;

const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
const HMAC_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const HMAC_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a];
const HMAC_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b];
const AES_128_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02];
const AES_192_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
const DES_EDE3_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];

/// More rounds would take longer than a request can wait.
const MOST_ROUNDS: u32 = 5_000_000;

const REMEDY: &str = "encrypt it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc`";

/// The decrypted key. The error is the rest of a sentence that begins with the key's place, and shows neither key nor
/// passphrase.
pub(super) fn decrypt(der: &[u8], passphrase: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
    let damaged = || "holds a damaged encrypted private key; make a new copy of it".to_owned();
    let mut outer = Reader::new(der).sequence().ok_or_else(damaged)?;
    let (scheme, mut parameters) = algorithm(&mut outer).ok_or_else(damaged)?;
    let mut data = Zeroizing::new(outer.expect(tag::OCTET_STRING).ok_or_else(damaged)?.to_vec());
    if scheme != PBES2 {
        return Err(unsupported("a scheme other than PBES2"));
    }
    let mut parameters = parameters.sequence().ok_or_else(damaged)?;
    let (derivation, mut derivation_parameters) = algorithm(&mut parameters).ok_or_else(damaged)?;
    let (cipher, mut cipher_parameters) = algorithm(&mut parameters).ok_or_else(damaged)?;
    match derivation {
        PBKDF2 => {}
        SCRYPT => return Err(unsupported("scrypt")),
        _ => return Err(unsupported("a key derivation other than PBKDF2")),
    }
    let (cipher, length) = match cipher {
        AES_128_CBC => (&AES_128, 16),
        AES_192_CBC => (&AES_192, 24),
        AES_256_CBC => (&AES_256, 32),
        DES_EDE3_CBC => return Err(unsupported("triple DES")),
        _ => return Err(unsupported("a cipher other than AES in CBC mode")),
    };
    let mut inside = derivation_parameters.sequence().ok_or_else(damaged)?;
    let salt = inside.expect(tag::OCTET_STRING).ok_or_else(damaged)?;
    let rounds = rounds(inside.expect(tag::INTEGER).ok_or_else(damaged)?)?;
    let _key_length = inside.expect(tag::INTEGER);
    let digest = match inside.is_empty() {
        true => HMAC_SHA1,
        false => algorithm(&mut inside).ok_or_else(damaged)?.0,
    };
    let digest = match digest {
        HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
        HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
        HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
        HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(unsupported("another digest than SHA-1, SHA-256, SHA-384 or SHA-512")),
    };
    let iv = cipher_parameters.expect(tag::OCTET_STRING).ok_or_else(damaged)?;
    let iv: &[u8; AES_CBC_IV_LEN] = iv.try_into().map_err(|_| damaged())?;

    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(digest, rounds, salt, passphrase.expose_secret().as_bytes(), &mut key);
    let wrong = |_| "cannot be decrypted: the passphrase is wrong, or the key is damaged".to_owned();
    let key = UnboundCipherKey::new(cipher, &key).map_err(wrong)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(wrong)?;
    let plain = key.decrypt(&mut data, DecryptionContext::Iv128(FixedLength::from(iv))).map_err(wrong)?;
    // A wrong passphrase can produce a valid padding by chance, but hardly a sequence of the right length.
    let plain = Zeroizing::new(plain.to_vec());
    let mut whole = Reader::new(&plain);
    match whole.sequence().is_some() && whole.is_empty() {
        true => Ok(plain),
        false => Err(wrong(aws_lc_rs::error::Unspecified)),
    }
}

/// The identifier of an algorithm, and its parameters.
fn algorithm<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], Reader<'a>)> {
    let mut inside = reader.sequence()?;
    let name = inside.expect(tag::OBJECT_IDENTIFIER)?;
    Some((name, inside))
}

fn rounds(integer: &[u8]) -> Result<NonZeroU32, String> {
    let mut value = 0_u64;
    for byte in integer.iter().take(8) {
        value = value << 8 | u64::from(*byte);
    }
    let rounds = u32::try_from(value).ok().filter(|rounds| *rounds <= MOST_ROUNDS && integer.len() <= 8);
    let too_many = || unsupported(&format!("more than {MOST_ROUNDS} rounds"));
    rounds.and_then(NonZeroU32::new).ok_or_else(too_many)
}

fn unsupported(what: &str) -> String {
    format!("holds a private key encrypted with {what}, which is not supported; {REMEDY}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::pem;

    fn der(text: &str) -> Zeroizing<Vec<u8>> {
        pem::blocks(text).unwrap()[0].decode().unwrap()
    }

    proptest! {
        #[test]
        fn no_change_to_an_encrypted_key_makes_it_panic(at in 0..250_usize, byte in any::<u8>()) {
            let mut der = der(include_str!("../../tests/odd_keys/ec_p256.pkcs8.encrypted.pem"));
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            let _ = decrypt(&der, &Secret::from("a"));
            der.truncate(at);
            let _ = decrypt(&der, &Secret::from("a"));
        }
    }

    #[test]
    fn rounds_are_bounded() {
        assert_eq!(rounds(&[8, 0]).unwrap().get(), 2048);
        for integer in [&[][..], &[0], &[0x7f, 0xff, 0xff, 0xff], &[1; 9]] {
            rounds(integer).unwrap_err();
        }
    }
}
