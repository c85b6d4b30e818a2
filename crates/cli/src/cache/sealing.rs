//! The key of the cache, and what it seals: AES-256-GCM under a random nonce, bound to the name of the file.

use std::fmt::Write;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use tower_idaas::environment::Environment;
use tower_idaas::explanation::Explanation;
use tower_idaas::{Secret, SecretSource};
use zeroize::Zeroizing;

use super::Unusable;
use super::entry::Entry;

/// In the place of a key from the client's own secret.
const VARIABLE: &str = "IDAAS_CACHE_KEY";
/// As many characters as 192 random bits have in Base64.
const SHORTEST_KEY: usize = 32;
const KEY_LENGTH: usize = 32;

type MakeSource = fn(&str) -> SecretSource;

/// The keys that hold the place of a client's own secret.
const SECRETS: [(&str, MakeSource); 4] = [
    ("clientSecretEnvVarName", |name| SecretSource::variable(name)),
    ("clientSecretFilePath", |path| SecretSource::file(path)),
    ("privateKeyEnvVarName", |name| SecretSource::variable(name)),
    ("privateKeyFilePath", |path| SecretSource::file(path)),
];

/// How the keys begin that the method reads. A configuration may hold others, which the command does not use.
fn prefix(method: &str) -> Option<&'static str> {
    match method {
        "CLIENT_SECRET_BASIC" | "CLIENT_SECRET_POST" | "CLIENT_SECRET_JWT" => Some("clientSecret"),
        "PRIVATE_KEY_JWT" | "PCA" => Some("privateKey"),
        _ => None,
    }
}

/// The method's own secret, where the configuration names one.
fn own<'a>(method: &str, value: impl Fn(&str) -> Option<&'a str>) -> Option<SecretSource> {
    let prefix = prefix(method)?;
    let mut places = SECRETS.iter().filter(|(key, _)| key.starts_with(prefix));
    places.find_map(|(key, source)| value(key).map(source))
}

pub(super) struct Keys {
    seal: RandomizedNonceKey,
    /// So that a name tells nothing to those who have no key, although parts of it can be guessed.
    name: hmac::Key,
}

impl Keys {
    /// # Errors
    ///
    /// When there is no secret to derive them from.
    pub(super) async fn load(explanation: &Explanation) -> Result<Self, Unusable> {
        let secret = secret(explanation).await?;
        Self::derive(&secret).ok_or_else(|| Unusable("no key can be derived for it".to_owned()))
    }

    /// `None` only if the key derivation fails, which it does not.
    pub(super) fn derive(secret: &Secret) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, b"idaas cache").extract(secret.expose_secret().as_bytes());
        let expand = |purpose: &[u8]| {
            let mut key = Zeroizing::new([0; KEY_LENGTH]);
            extracted.expand(&[purpose], HKDF_SHA256).ok()?.fill(&mut key[..]).ok()?;
            Some(key)
        };
        let seal = RandomizedNonceKey::new(&AES_256_GCM, &expand(b"seal 1")?[..]).ok()?;
        Some(Self { seal, name: hmac::Key::new(hmac::HMAC_SHA256, &expand(b"name 1")?[..]) })
    }

    /// The name of the file for these parts.
    pub(super) fn name(&self, parts: &[&Entry]) -> String {
        let mut context = hmac::Context::with_key(&self.name);
        for part in parts {
            context.update(&u64::try_from(part.bytes().len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.bytes());
        }
        let mut name = String::new();
        for byte in context.sign().as_ref() {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    /// `None` only if the cipher fails, which it does not.
    pub(super) fn seal(&self, name: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        let nonce = self.seal.seal_in_place_append_tag(Aad::from(name), &mut sealed).ok()?;
        Some([&nonce.as_ref()[..], &sealed].concat())
    }

    /// What was sealed for this name under these keys.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let length = self.seal.open_in_place(nonce, Aad::from(name), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

/// The variable's value, or else the client's own secret, without which no token can be had either.
async fn secret(explanation: &Explanation) -> Result<Secret, Unusable> {
    let environment = Environment::Process;
    let is_set = environment.variable(VARIABLE).is_some_and(|value| !value.is_empty());
    let method = explanation.value("authnMethod").unwrap_or_default().to_ascii_uppercase();
    let source = match (is_set, own(&method, |key| explanation.value(key))) {
        (true, _) => SecretSource::variable(VARIABLE),
        (false, Some(own)) => own,
        (false, None) => {
            return Err(Unusable(format!(
                "method {method} has no lasting secret to derive its key from; set {VARIABLE} to the output of \
                 `openssl rand -base64 32`"
            )));
        }
    };
    let secret = source.read(&environment).await.map_err(|error| Unusable(error.to_string()))?;
    match is_set && secret.expose_secret().len() < SHORTEST_KEY {
        true => Err(Unusable(format!(
            "environment variable {VARIABLE} holds less than {SHORTEST_KEY} characters; set it to the output of \
             `openssl rand -base64 32`"
        ))),
        false => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str) -> Keys {
        Keys::derive(&Secret::new(secret)).unwrap()
    }

    #[test]
    fn the_secret_is_the_one_that_the_method_reads() {
        let both = |key: &str| match key {
            "clientSecretEnvVarName" => Some("A_SECRET"),
            "privateKeyEnvVarName" => Some("A_KEY"),
            _ => None,
        };
        for (method, variable) in
            [("CLIENT_SECRET_JWT", "A_SECRET"), ("PCA", "A_KEY"), ("PRIVATE_KEY_JWT", "A_KEY")]
        {
            assert!(format!("{:?}", own(method, both).unwrap()).contains(variable), "{method}");
        }
        assert!(own("OIDC", both).is_none());
    }

    #[test]
    fn what_was_sealed_opens_under_its_name_and_secret_and_no_other() {
        let sealed = keys("a").seal("name", b"the token").unwrap();
        assert_eq!(keys("a").open("name", &sealed).unwrap()[..], *b"the token");
        assert!(keys("a").open("other", &sealed).is_none() && keys("b").open("name", &sealed).is_none());
        assert!(!sealed.windows(9).any(|window| window == b"the token"));
        assert_ne!(keys("a").seal("name", b"the token").unwrap(), sealed);
    }

    #[test]
    fn a_changed_byte_anywhere_and_a_cut_anywhere_are_noticed() {
        let keys = keys("a");
        let sealed = keys.seal("name", b"the token").unwrap();
        for at in 0..sealed.len() {
            assert!(keys.open("name", &sealed[..at]).is_none(), "cut at {at}");
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open("name", &changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn names_differ_by_secret_and_by_parts_and_reveal_nothing() {
        let (client, token) = (Entry::new("client"), Entry::new("token"));
        let name = keys("a").name(&[&client, &token]);
        assert_eq!(name, keys("a").name(&[&client, &token]));
        assert_ne!(name, keys("b").name(&[&client, &token]));
        assert_ne!(name, keys("a").name(&[&token, &client]));
        assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
