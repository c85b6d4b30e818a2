//! The keys that tokens are sealed under.

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::secret::SecretSource;

const LENGTH: usize = 32;

/// Trying a key costs a decryption; nobody rotates through more.
const MOST: usize = 8;

const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDED_OR_NOT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT);

/// One to seal with, and all to open with.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) first: RandomizedNonceKey,
    pub(super) others: Vec<RandomizedNonceKey>,
}

impl Keys {
    /// # Errors
    ///
    /// When the secret cannot be read, or holds anything but keys. The keys are not shown.
    pub(super) fn read(source: &SecretSource, environment: &Environment) -> Result<Self, Error> {
        let text = source.read(environment)?;
        let mut keys = Vec::new();
        let items = text.expose_secret().split(|c: char| c == ',' || c.is_whitespace());
        for (index, item) in items.filter(|item| !item.is_empty()).enumerate() {
            let key = decode(item).and_then(|key| RandomizedNonceKey::new(&AES_256_GCM, &key[..]).ok());
            keys.push(key.ok_or_else(|| {
                let number = index + 1;
                unusable(source, &format!("holds no key of 32 bytes at place {number}"))
            })?);
        }
        if keys.len() > MOST {
            return Err(unusable(source, &format!("holds more than {MOST} keys")));
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(|| unusable(source, "holds no key"))?;
        Ok(Self { first, others: keys.collect() })
    }
}

fn unusable(source: &SecretSource, problem: &str) -> Error {
    let name = source.name();
    let message = format!(
        "{name} {problem}; expected keys for the token store: 64 hexadecimal digits or Base64 of 32 bytes each, \
         such as `openssl rand -base64 32` makes, separated by commas"
    );
    Error::new(ErrorKind::Credential, message)
}

fn decode(item: &str) -> Option<Zeroizing<[u8; LENGTH]>> {
    let mut key = Zeroizing::new([0; LENGTH]);
    if item.len() == 2 * LENGTH {
        for (byte, digits) in key.iter_mut().zip(item.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            // A sign would pass for a digit.
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        return Some(key);
    }
    let bytes = STANDARD.decode(item).or_else(|_| URL_SAFE.decode(item)).ok().map(Zeroizing::new)?;
    if bytes.len() != LENGTH {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn read(text: &str) -> Result<Keys, String> {
        let environment = Environment::Manual(ManualEnvironment::from_iter([("KEYS", text)]));
        Keys::read(&SecretSource::variable("KEYS"), &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_read_as_hexadecimal_digits_and_as_base64_of_either_alphabet() {
        let bytes: Vec<u8> = (0..32).collect();
        for text in [HEX, BASE64, BASE64.trim_end_matches('=')] {
            assert_eq!(decode(text).unwrap()[..], bytes, "{text}");
        }
        let high = [0xff_u8; 32];
        assert_eq!(decode(&STANDARD.encode(high)).unwrap()[..], high);
        assert_eq!(decode(&URL_SAFE.encode(high)).unwrap()[..], high);
    }

    #[test]
    fn the_first_key_seals_and_the_others_only_open() {
        assert_eq!(read(HEX).unwrap().others.len(), 0);
        assert_eq!(read(&format!("{HEX},{BASE64}")).unwrap().others.len(), 1);
        assert_eq!(read(&format!(" {HEX}\n{BASE64} ,{HEX}\n")).unwrap().others.len(), 2);
        assert!(read(&[HEX; 9].join(",")).unwrap_err().contains("more than 8 keys"));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let short = &HEX[2..];
        let signed = HEX.replace("00", "+1");
        for bad in ["marker", short, &signed, &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33])] {
            let told = read(&format!("{HEX},{bad}")).unwrap_err();
            assert!(
                told.starts_with("environment variable KEYS holds no key of 32 bytes at place 2;"),
                "{told}"
            );
            assert!(!told.contains(HEX) && !told.contains(bad), "{told}");
        }
        assert!(read(",").unwrap_err().starts_with("environment variable KEYS holds no key;"));
    }
}
