//! The handle of one role.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::aliyun::bearer::default_scope;
use crate::aliyun::cloud_role::credentials::CloudCredentials;
use crate::aliyun::cloud_role::obtain::RoleKey;
use crate::aliyun::cloud_role::roles::CloudRoles;
use crate::aliyun::developer_api::DeveloperApi;
use crate::error::{ConfigError, ConfigFault, Error};
use crate::scope::Scope;
use crate::token::SubjectToken;

/// What the DeveloperAPI takes, in seconds: from 15 minutes to 12 hours.
const SESSION_SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;

/// A role of a cloud account, whose STS credentials IDaaS hands out; made by
/// [`Idaas::cloud_role`](crate::Idaas::cloud_role).
///
/// Clone it freely. Credentials are cached by role, scope and session duration, in the
/// [`Idaas`](crate::Idaas) that made the handle: handles for the same share them, and so do the clones of the
/// `Idaas`. The 1,000 last used are kept.
///
/// ```no_run
/// # async fn example() -> Result<(), tower_idaas::BoxError> {
/// use tower_idaas::{Idaas, aliyun::CloudStsToken};
///
/// let idaas = Idaas::from_env()?;
/// let reader = idaas.cloud_role("acs:ram::1234567890123456:role/reader")?;
/// let credentials = reader.credentials().await?;
/// if let CloudStsToken::AlibabaCloud(token) = credentials.sts_token() {
///     println!("{} until {:?}", token.access_key_id(), token.expires_at());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CloudRole {
    roles: Arc<CloudRoles>,
    api: Arc<DeveloperApi>,
    key: RoleKey,
    subject: Option<SubjectToken>,
}

impl CloudRole {
    pub(crate) fn new(roles: &Arc<CloudRoles>, arn: &str) -> Result<Self, ConfigError> {
        let api = Arc::clone(roles.api().map_err(ConfigError::one)?);
        let roles = Arc::clone(roles);
        let arn = arn.trim();
        let fault = |problem| Err(ConfigError::one(ConfigFault::new("roleArn", problem)));
        if arn.is_empty() {
            return fault(
                "is blank; expected the role's ARN, such as `acs:ram::1234567890123456:role/reader`",
            );
        }
        if arn.contains(char::is_control) {
            return fault("has a control character; expected the role's ARN");
        }
        let scope = default_scope(roles.configured_scope())?;
        let key = RoleKey { arn: arn.into(), scope, session_seconds: None, exchange: None };
        Ok(Self { roles, api, key, subject: None })
    }

    /// Asks with a token for this scope, such as
    /// `urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential`. Default: the configuration's own scope if its
    /// audience is `urn:cloud:idaas:pam`, or else `urn:cloud:idaas:pam|.all`, all that the client is granted there.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.key.scope = scope;
        self
    }

    /// Asks on behalf of a user: with the token that this one is exchanged for, in the role's scope (RFC 8693).
    /// Credentials are cached by subject token as well, so that no user gets those of another.
    #[must_use]
    pub fn with_subject(mut self, subject: SubjectToken) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Asks for credentials that live this long, in whole seconds from 15 minutes to 12 hours; the role itself
    /// may allow less. Default: what the server chooses.
    ///
    /// # Errors
    ///
    /// When the duration is another.
    pub fn with_session_duration(mut self, duration: Duration) -> Result<Self, ConfigError> {
        if duration.subsec_nanos() != 0 || !SESSION_SECONDS.contains(&duration.as_secs()) {
            let (least, most) = (SESSION_SECONDS.start(), SESSION_SECONDS.end());
            let problem = format!("is {duration:?}; expected whole seconds from {least} to {most}");
            return Err(ConfigError::one(ConfigFault::new("durationSeconds", problem)));
        }
        self.key.session_seconds = Some(duration.as_secs());
        Ok(self)
    }

    /// The role's ARN.
    pub fn arn(&self) -> &str {
        &self.key.arn
    }

    /// Live credentials, from the cache where possible.
    ///
    /// They are renewed 15 minutes before they end, by chance up to 3 minutes earlier, or like tokens at two thirds
    /// of a life under half an hour, and while they live a failed renewal changes nothing: all that
    /// [tokens](crate::docs::failures#when-a-token-is-fetched) have, they have too. A caller waits for
    /// [`wait_timeout`](crate::IdaasBuilder::wait_timeout) at most; if none is set, for twice what a token may
    /// take, because there may be a token to fetch before.
    ///
    /// # Errors
    ///
    /// When there are no live ones and none can be fetched: for want of a token, or because the DeveloperAPI
    /// refuses, fails, or gives credentials that have ended. Concurrent callers share one fetch and one error.
    pub async fn credentials(&self) -> Result<CloudCredentials, Error> {
        let exchange = self.subject.as_ref().map(|subject| subject.query(&self.key.scope).to_key());
        let key = RoleKey { exchange, ..self.key.clone() };
        Ok(self.roles.slot(&self.api, &key, self.subject.as_ref()).acquire().await?.value.clone())
    }

    /// Invalidates credentials that a cloud has rejected.
    ///
    /// By identity: if the cache holds newer ones already, those stay. A fetch that is in flight is void, and the
    /// next caller starts another, once a second at most.
    pub fn invalidate(&self, credentials: &CloudCredentials) {
        credentials.recheck().invalidate();
    }
}

impl fmt::Debug for CloudRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RoleKey { arn, scope, session_seconds, exchange: _ } = &self.key;
        f.debug_struct("CloudRole")
            .field("arn", arn)
            .field("scope", scope)
            .field("session_seconds", session_seconds)
            .finish_non_exhaustive()
    }
}
