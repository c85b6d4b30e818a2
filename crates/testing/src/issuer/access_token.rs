//! Access tokens: JWTs signed with RS256, with a key id that one test IDaaS alone has.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::issuer::grants::Granted;
use crate::jwt::Rs256;
use tower_idaas::clock::Timestamp;

const NANOS: u64 = 1_000_000_000;

/// Signs access tokens and verifies them.
pub(crate) struct Issuer {
    url: String,
    /// All are published and verified with; the last one signs.
    keys: Mutex<Vec<Arc<Rs256>>>,
    issued: AtomicU64,
}

/// A token as it leaves, with what the response says about it.
pub(crate) struct IssuedToken {
    pub(crate) token: String,
    pub(crate) expires_in: u64,
    pub(crate) expires_at: u64,
}

/// Whom a token speaks of.
pub(crate) struct Holder<'a> {
    pub(crate) subject: &'a str,
    /// Named as acting on the subject's behalf (RFC 8693 section 4.1).
    pub(crate) actor: Option<&'a str>,
}

/// What a token says whose signature is ours.
#[derive(Clone)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) actor: Option<String>,
    pub(crate) audience: String,
    pub(crate) scope: String,
    /// Unix seconds; the token is dead from here on.
    pub(crate) expires: u64,
    pub(crate) id: String,
    /// The place in the order of issue, from 1.
    pub(crate) serial: u64,
}

impl Issuer {
    pub(crate) fn new(url: String) -> io::Result<Self> {
        let keys = Mutex::new(vec![Arc::new(Rs256::shared()?)]);
        Ok(Self { url, keys, issued: AtomicU64::new(0) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The key set that publishes the public keys (RFC 7517).
    pub(crate) fn key_set(&self) -> Value {
        let keys = self.keys().iter().map(|key| key.public_jwk()).collect::<Vec<_>>();
        json!({ "keys": keys })
    }

    /// Signs with a new key from now on; the old ones stay good.
    pub(crate) fn rotate_key(&self) -> io::Result<()> {
        let key = Arc::new(Rs256::generate()?);
        self.keys().push(key);
        Ok(())
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Arc<Rs256>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tokens there are.
    pub(crate) fn issued(&self) -> u64 {
        self.issued.load(Ordering::SeqCst)
    }

    /// A token that lives at least as long as its response says: the life is rounded down, the end up.
    pub(crate) fn issue(
        &self,
        holder: &Holder<'_>,
        granted: &Granted,
        now: Timestamp,
        life: Duration,
    ) -> io::Result<IssuedToken> {
        let key = self.keys().last().map(Arc::clone).ok_or_else(|| io::Error::other("there is no key"))?;
        let serial = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let end = now.after(life).wall;
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
        Ok(IssuedToken { token: key.sign(&claims)?, expires_in: life.as_secs(), expires_at: end / NANOS })
    }

    /// The claims of a token that this issuer signed; whether they suffice is for the caller to judge.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        let keys = self.keys().clone();
        let claims = keys.iter().find_map(|key| key.verify(token))?;
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

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_idaas::clock::ManualClock;

    fn granted() -> Granted {
        Granted { audience: "api://orders".into(), permissions: vec!["read".into()] }
    }

    fn issue(issuer: &Issuer, now: Timestamp, life: Duration) -> IssuedToken {
        let holder = Holder { subject: "app_test", actor: None };
        issuer.issue(&holder, &granted(), now, life).unwrap()
    }

    #[test]
    fn a_token_outlives_what_its_response_promises() {
        let issuer = Issuer::new("https://idaas.test".into()).unwrap();
        let start = ManualClock::new().now().unix_seconds() * NANOS;
        for part in [0, 1, 400_000_000, 999_999_999] {
            for life in [0.0, 0.3, 1.0, 1.5, 1199.999] {
                let now = Timestamp { monotonic: 0, wall: start + part };
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
        let issuer = Issuer::new("https://idaas.test".into()).unwrap();
        let token = issue(&issuer, ManualClock::new().now(), Duration::from_secs(60)).token;
        assert!(issuer.verify(&token).is_some());
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert!(issuer.verify(&String::from_utf8(changed).unwrap()).is_none(), "at {place}");
        }
        assert!(Issuer::new("https://idaas.test".into()).unwrap().verify(&token).is_none());
    }
}
