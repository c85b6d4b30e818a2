//! Platforms of which only the identities are there: Kubernetes with its service accounts, and others with one each.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::jwt::Rs256;
use tower_idaas::clock::Clock;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:default:test";

/// The audience that IDaaS accepts from platforms other than Kubernetes, as the vendor's own client asks for it.
const PLATFORM_AUDIENCE: &str = "alibaba-cloud-idaas-v2";

/// A platform other than Kubernetes that vouches for what runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    GoogleCloud,
    Azure,
    GithubActions,
}

impl Platform {
    const ALL: [Self; 3] = [Self::GoogleCloud, Self::Azure, Self::GithubActions];

    /// The issuer of its tokens, and the subject that is registered.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::GoogleCloud => ("https://accounts.google.com", "107000000000000000001"),
            Self::Azure => {
                ("https://sts.windows.net/00000000-0000-4000-8000-000000000001/", "managed-identity-0001")
            }
            Self::GithubActions => {
                ("https://token.actions.githubusercontent.com", "repo:octo/orders:ref:refs/heads/main")
            }
        }
    }
}

/// What projected tokens live by default.
const LIFE: Duration = Duration::from_secs(3600);

/// Issues tokens of service accounts and verifies them.
pub(crate) struct ServiceAccounts {
    key: Rs256,
    /// The audience that IDaaS accepts.
    audience: String,
    clock: Clock,
}

impl ServiceAccounts {
    pub(crate) fn generate(audience: String, clock: Clock) -> io::Result<Self> {
        Ok(Self { key: Rs256::shared()?, audience, clock })
    }

    /// Why the token does not prove who asks, if so.
    pub(crate) fn verify(&self, token: &str) -> Result<(), &'static str> {
        let issuer = self.key.verify(token).and_then(|claims| Some(claims.get("iss")?.as_str()?.to_owned()));
        let platform =
            Platform::ALL.into_iter().find(|platform| Some(platform.names().0) == issuer.as_deref());
        match platform {
            Some(platform) => self.verify_of(token, platform.names(), PLATFORM_AUDIENCE),
            None => self.verify_for(token, &self.audience),
        }
    }

    /// A token of the platform for what runs on it.
    pub(crate) fn platform_token(&self, platform: Platform, audience: &str) -> io::Result<String> {
        let (issuer, subject) = platform.names();
        let now = self.clock.now().unix_seconds();
        let end = now + LIFE.as_secs();
        let claims = json!({ "iss": issuer, "sub": subject, "aud": audience, "iat": now, "exp": end });
        self.key.sign(&claims)
    }

    /// The same for one that is for another party.
    pub(crate) fn verify_for(&self, token: &str, audience: &str) -> Result<(), &'static str> {
        self.verify_of(token, (ISSUER, SUBJECT), audience)
    }

    fn verify_of(
        &self,
        token: &str,
        (issuer, subject): (&str, &str),
        audience: &str,
    ) -> Result<(), &'static str> {
        let claims = self.key.verify(token).ok_or("the token is not signed by the cluster")?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let seconds = |name: &str| claims.get(name).and_then(Value::as_u64);
        let is_for_us = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
            Some(Value::String(one)) => one == audience,
            _ => false,
        };
        let now = self.clock.now().unix_seconds();
        if text("iss") != Some(issuer) {
            return Err("the token is of another issuer");
        }
        if text("sub") != Some(subject) {
            return Err("the token is of another service account");
        }
        if !is_for_us {
            return Err("the token is for another audience");
        }
        if seconds("exp").is_none_or(|expiry| expiry <= now) {
            return Err("the token has expired");
        }
        Ok(())
    }

    pub(crate) fn token(&self) -> ServiceAccountToken<'_> {
        ServiceAccountToken {
            accounts: self,
            audience: self.audience.clone(),
            subject: SUBJECT.to_owned(),
            life: LIFE,
            age: Duration::ZERO,
        }
    }
}

impl fmt::Debug for ServiceAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccounts").field("audience", &self.audience).finish_non_exhaustive()
    }
}

/// A token of a Kubernetes service account, to be issued; made by
/// [`TestIdaas::service_account_token`](crate::TestIdaas::service_account_token).
///
/// Without other choices it is one that the token endpoint accepts for an hour.
#[derive(Clone, Debug)]
#[must_use = "a token is made by `issue` or `write_to`"]
pub struct ServiceAccountToken<'a> {
    accounts: &'a ServiceAccounts,
    audience: String,
    subject: String,
    life: Duration,
    age: Duration,
}

impl ServiceAccountToken<'_> {
    /// The token's audience. Default: the one that the token endpoint accepts.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// The service account that the token is of. Default: the one that is registered, `system:serviceaccount:default:test`.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// How long the token lives from its issue. An hour by default.
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// How long ago the token was issued: one that is older than its life has expired.
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// The token: a JWT signed with RS256.
    ///
    /// # Errors
    ///
    /// If it cannot be signed.
    pub fn issue(&self) -> io::Result<String> {
        let issued = self.accounts.clock.now().unix_seconds().saturating_sub(self.age.as_secs());
        self.accounts.key.sign(&json!({
            "iss": ISSUER,
            "sub": self.subject,
            "aud": [self.audience],
            "iat": issued,
            "nbf": issued,
            "exp": issued + self.life.as_secs(),
            "jti": format!("{:032x}", fastrand::u128(..)),
        }))
    }

    /// Writes a token to this path, in place of what is there, at one stroke: by renaming, as the kubelet
    /// does.
    ///
    /// # Errors
    ///
    /// If the token cannot be signed or written.
    pub fn write_to(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let beside = path.with_extension("new");
        std::fs::write(&beside, self.issue()?)?;
        std::fs::rename(beside, path)
    }
}
