//! Access tokens: JWTs signed with a key made for one test IDaaS.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use serde_json::{Value, json};

use super::grants::Granted;
use crate::clock::Moment;

const NANOS: u64 = 1_000_000_000;

/// Signs access tokens and verifies them.
pub(super) struct Issuer {
    url: String,
    key_id: String,
    private_key: EncodingKey,
    public_key: DecodingKey,
    /// The key set that publishes the public key.
    key_set: Value,
    issued: AtomicU64,
}

/// A token as it leaves, with what the answer says about it.
pub(super) struct IssuedToken {
    pub(super) token: String,
    pub(super) expires_in: u64,
    pub(super) expires_at: u64,
}

/// Whom a token speaks of.
pub(super) struct Holder<'a> {
    pub(super) subject: &'a str,
    /// Who acts on the subject's behalf (RFC 8693 section 4.1).
    pub(super) actor: Option<&'a str>,
}

/// What a token says whose signature is ours.
#[derive(Clone)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) actor: Option<String>,
    pub(super) audience: String,
    pub(super) scope: String,
    /// Unix seconds; the token is dead from here on.
    pub(super) expires: u64,
    pub(super) id: String,
    /// The place in the order of issue, from 1.
    pub(super) serial: u64,
}

impl Issuer {
    pub(super) fn generate(url: String) -> io::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        // An uncompressed point: one byte that says so, then both coordinates.
        let point = key.der_bytes();
        let Some((x, y)) = point.get(1..).and_then(|both| both.split_at_checked(32)) else {
            return Err(io::Error::other("the public key is not a P-256 point"));
        };
        let key_id = format!("key_{:016x}", fastrand::u64(..));
        let key_set = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key_id,
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }] });
        Ok(Self {
            url,
            key_id,
            private_key: EncodingKey::from_ec_der(key.serialized_der()),
            public_key: DecodingKey::from_ec_der(point),
            key_set,
            issued: AtomicU64::new(0),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn key_set(&self) -> &Value {
        &self.key_set
    }

    /// How many tokens there are.
    pub(super) fn issued(&self) -> u64 {
        self.issued.load(Ordering::SeqCst)
    }

    /// A token that lives at least as long as its answer says: the life is rounded down, the end up.
    pub(super) fn issue(
        &self,
        holder: &Holder<'_>,
        granted: &Granted,
        now: Moment,
        life: Duration,
    ) -> io::Result<IssuedToken> {
        let serial = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let end = now.after(life).wall;
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.key_id });
        let mut claims = json!({
            "iss": self.url,
            "sub": holder.subject,
            "aud": granted.audience,
            "scope": granted.permissions.join(" "),
            "iat": now.unix_seconds(),
            "exp": end.div_ceil(NANOS),
            "jti": format!("{serial}-{:016x}", fastrand::u64(..)),
        });
        if let (Some(actor), Some(claims)) = (holder.actor, claims.as_object_mut()) {
            claims.insert("act".to_owned(), json!({ "sub": actor }));
        }
        let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        // The provider is named: the process-wide default panics when a second one is compiled in.
        let signer = (DEFAULT_PROVIDER.signer_factory)(&Algorithm::ES256, &self.private_key)
            .map_err(io::Error::other)?;
        let signature = signer.try_sign(message.as_bytes()).map_err(io::Error::other)?;
        Ok(IssuedToken {
            token: format!("{message}.{}", BASE64.encode(signature)),
            expires_in: life.as_secs(),
            expires_at: end / NANOS,
        })
    }

    /// The claims of a token that this issuer signed; whether they suffice is for the caller to judge.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        if decode(header)?.get("alg")?.as_str()? != "ES256" {
            return None;
        }
        let signature = BASE64.decode(signature).ok()?;
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&Algorithm::ES256, &self.public_key).ok()?;
        verifier.verify(message.as_bytes(), &signature).ok()?;

        let claims = decode(payload)?;
        let text = |name: &str| claims.get(name)?.as_str().map(str::to_owned);
        let id = text("jti")?;
        Some(Claims {
            issuer: text("iss")?,
            subject: text("sub")?,
            actor: claims.pointer("/act/sub").and_then(Value::as_str).map(str::to_owned),
            audience: text("aud")?,
            scope: text("scope")?,
            expires: claims.get("exp")?.as_u64()?,
            serial: id.split_once('-')?.0.parse().ok()?,
            id,
        })
    }
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("url", &self.url).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    fn granted() -> Granted {
        Granted { audience: "api://orders".into(), permissions: vec!["read".into()] }
    }

    fn issue(issuer: &Issuer, now: Moment, life: Duration) -> IssuedToken {
        let holder = Holder { subject: "app_test", actor: None };
        issuer.issue(&holder, &granted(), now, life).unwrap()
    }

    #[test]
    fn a_token_outlives_what_its_answer_promises() {
        let issuer = Issuer::generate("https://idaas.test".into()).unwrap();
        let start = ManualClock::new().now().unix_seconds() * NANOS;
        for part in [0, 1, 400_000_000, 999_999_999] {
            for life in [0.0, 0.3, 1.0, 1.5, 1199.999] {
                let now = Moment { monotonic: 0, wall: start + part };
                let life = Duration::from_secs_f64(life);
                let issued = issue(&issuer, now, life);
                let expires = issuer.verify(&issued.token).unwrap().expires;
                assert!(expires * NANOS >= now.after(life).wall);
                assert!(expires * NANOS >= now.wall + issued.expires_in * NANOS);
                assert!(expires >= issued.expires_at);
            }
        }
    }

    #[test]
    fn a_change_of_any_character_is_noticed() {
        let issuer = Issuer::generate("https://idaas.test".into()).unwrap();
        let token = issue(&issuer, ManualClock::new().now(), Duration::from_secs(60)).token;
        assert!(issuer.verify(&token).is_some());
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert!(issuer.verify(&String::from_utf8(changed).unwrap()).is_none(), "at {place}");
        }
        assert!(Issuer::generate("https://idaas.test".into()).unwrap().verify(&token).is_none());
    }
}
