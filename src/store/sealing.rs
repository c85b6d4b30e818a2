//! Sealed values: AES-256-GCM under a random nonce, bound to the name they are stored under.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::store::keys::Keys;

/// The first byte; it is authenticated with the rest.
const VERSION: u8 = 1;

impl Keys {
    /// `None` only if the cipher fails, which it does not.
    pub(super) fn seal(&self, name: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.first.seal_in_place_append_tag(bound_to(name), &mut sealed).ok()?;
        Some([&[VERSION], &nonce.as_ref()[..], &sealed].concat())
    }

    /// What was sealed for this name under one of the keys.
    pub(super) fn open(&self, name: &str, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&VERSION, value) = value.split_first()? else { return None };
        let (nonce, sealed) = value.split_at_checked(NONCE_LEN)?;
        std::iter::once(&self.first).chain(&self.others).find_map(|key| open(key, name, nonce, sealed))
    }
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
    use crate::environment::Environment;
    use crate::secret::SecretSource;

    fn keys(of: &[u8]) -> Keys {
        let text: Vec<String> = of.iter().map(|byte| format!("{byte:02x}").repeat(32)).collect();
        Keys::read(&SecretSource::value(text.join(",")), &Environment::default()).unwrap()
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
