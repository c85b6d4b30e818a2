//! Sealed values: AES-256-GCM under a random nonce, bound to the name they are stored under; and the keys for it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// The first byte of a sealed value; it is authenticated with the rest.
const VERSION: u8 = 1;

const KEY_LENGTH: usize = 32;

/// Trying a key costs a decryption, and a rotation needs two.
const MOST_KEYS: usize = 8;

const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDED_OR_NOT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT);

/// One key to seal with, and all of them to open with.
#[derive(Debug)]
pub(crate) struct Keys {
    first: RandomizedNonceKey,
    others: Vec<RandomizedNonceKey>,
}

impl Keys {
    /// # Errors
    ///
    /// What is wrong with the text, to go after the name of its source. The keys are not shown.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty());
        let mut keys = Vec::new();
        for (index, item) in items.enumerate() {
            let key = decode(item).and_then(|key| RandomizedNonceKey::new(&AES_256_GCM, &key[..]).ok());
            keys.push(
                key.ok_or_else(|| expected(&format!("holds no key of 32 bytes at place {}", index + 1)))?,
            );
        }
        if keys.len() > MOST_KEYS {
            return Err(expected(&format!("holds more than {MOST_KEYS} keys")));
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(|| expected("holds no key"))?;
        Ok(Self { first, others: keys.collect() })
    }

    /// `None` only if the cipher fails, which it does not.
    pub(crate) fn seal(&self, name: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.first.seal_in_place_append_tag(bound_to(name), &mut sealed).ok()?;
        Some([&[VERSION], &nonce.as_ref()[..], &sealed].concat())
    }

    /// The content of a value that was sealed for this name under one of the keys.
    pub(crate) fn open(&self, name: &str, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&VERSION, value) = value.split_first()? else { return None };
        let (nonce, sealed) = value.split_at_checked(NONCE_LEN)?;
        std::iter::once(&self.first).chain(&self.others).find_map(|key| open(key, name, nonce, sealed))
    }
}

fn expected(problem: &str) -> String {
    format!(
        "{problem}; expected keys for the token store: 64 hexadecimal digits or Base64 of 32 bytes each, such as \
         `openssl rand -base64 32` makes, separated by commas"
    )
}

fn decode(item: &str) -> Option<Zeroizing<[u8; KEY_LENGTH]>> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    if item.len() == 2 * KEY_LENGTH {
        for (byte, digits) in key.iter_mut().zip(item.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            // A sign would pass for a digit.
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        return Some(key);
    }
    let bytes = STANDARD.decode(item).or_else(|_| URL_SAFE.decode(item)).ok().map(Zeroizing::new)?;
    if bytes.len() != KEY_LENGTH {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}

fn open(key: &RandomizedNonceKey, name: &str, nonce: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = key.open_in_place(nonce, bound_to(name), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn bound_to(name: &str) -> Aad<Vec<u8>> {
    Aad::from([&[VERSION], name.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// Keys of 32 equal bytes each.
    fn keys(of: &[u8]) -> Keys {
        let text: Vec<String> = of.iter().map(|byte| format!("{byte:02x}").repeat(32)).collect();
        Keys::parse(&text.join(",")).unwrap()
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
        assert_eq!(Keys::parse(HEX).unwrap().others.len(), 0);
        assert_eq!(Keys::parse(&format!("{HEX},{BASE64}")).unwrap().others.len(), 1);
        assert_eq!(Keys::parse(&format!(" {HEX}\n{BASE64} ,{HEX}\n")).unwrap().others.len(), 2);
        assert!(Keys::parse(&[HEX; 9].join(",")).unwrap_err().starts_with("holds more than 8 keys;"));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let short = &HEX[2..];
        let signed = HEX.replace("00", "+1");
        for bad in ["marker", short, &signed, &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33])] {
            let message = Keys::parse(&format!("{HEX},{bad}")).unwrap_err();
            assert!(message.starts_with("holds no key of 32 bytes at place 2;"), "{message}");
            assert!(!message.contains(HEX) && !message.contains(bad), "{message}");
        }
        assert!(Keys::parse(",").unwrap_err().starts_with("holds no key;"));
    }

    #[test]
    fn what_was_sealed_opens_under_its_name_and_key_and_no_other() {
        let sealed = keys(&[1]).seal("name", b"the token").unwrap();
        assert_eq!(keys(&[1]).open("name", &sealed).unwrap()[..], *b"the token");
        assert!(keys(&[1]).open("other", &sealed).is_none());
        assert!(keys(&[2]).open("name", &sealed).is_none());
        assert!(!sealed.windows(9).any(|window| window == b"the token"));
    }

    #[test]
    fn rotated_keys_open_what_any_of_them_has_sealed() {
        let (before, after) = (keys(&[1, 2]), keys(&[2, 1]));
        let sealed = [&before, &after].map(|keys| keys.seal("name", b"x").unwrap());
        for value in &sealed {
            assert!(before.open("name", value).is_some() && after.open("name", value).is_some());
        }
        // The second is no longer sealed under the first key.
        assert!(keys(&[1]).open("name", &sealed[1]).is_none());
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same() {
        let keys = keys(&[1]);
        assert_ne!(keys.seal("name", b"x"), keys.seal("name", b"x"));
    }

    proptest! {
        #[test]
        fn a_changed_byte_anywhere_is_noticed(at in 0usize..1000, bit in 0u8..8) {
            let keys = keys(&[1]);
            let mut sealed = keys.seal("name", b"the token").unwrap();
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert!(keys.open("name", &sealed).is_none());
        }

        #[test]
        fn garbage_does_not_open(garbage in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(keys(&[1]).open("name", &garbage).is_none());
        }
    }
}
