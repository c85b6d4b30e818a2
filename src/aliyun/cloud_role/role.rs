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

/// The session durations that the DeveloperAPI accepts, in seconds: from 15 minutes to 12 hours.
const SESSION_SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;

/// As long as an ARN may be, and no longer: it is in the URL of each request, and in errors.
const LONGEST_ARN: usize = 2048;

/// A role of a cloud account whose STS credentials IDaaS issues; made by
/// [`Idaas::cloud_role`](crate::Idaas::cloud_role).
///
/// Clone it freely. Credentials are cached by role, scope and session duration in the [`Idaas`](crate::Idaas) that made
/// the handle, and shared by all its clones and handles. The last used 1,000 are kept, and as many for users.
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
        let api = Arc::clone(roles.api()?);
        let roles = Arc::clone(roles);
        let arn = arn.trim();
        let problem = match arn {
            "" => Some("is blank; expected the role's ARN, such as `acs:ram::1234567890123456:role/reader`"),
            _ if arn.len() > LONGEST_ARN => Some("is longer than 2048 bytes; expected the role's ARN"),
            _ if arn.contains(char::is_control) => Some("has a control character; expected the role's ARN"),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(ConfigError::one(ConfigFault::new("roleArn", problem)));
        }
        let scope = default_scope(roles.configured_scope())?;
        let key = RoleKey { arn: arn.into(), scope, session_seconds: None, exchange: None };
        Ok(Self { roles, api, key, subject: None })
    }

    /// Calls the DeveloperAPI with a token for this scope, such as
    /// `urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential`. Default: the configured scope if its audience
    /// is `urn:cloud:idaas:pam`, or else `urn:cloud:idaas:pam|.all`, everything that the client is granted there.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.key.scope = scope;
        self
    }

    /// Calls on behalf of a user: this subject token is exchanged for a token in the role's scope (RFC 8693).
    /// Credentials are cached by subject token as well, so that no user gets those of another.
    #[must_use]
    pub fn with_subject(mut self, subject: SubjectToken) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Requests credentials that live this long, in whole seconds from 15 minutes to 12 hours; the role itself may
    /// allow less. Default: the server's choice.
    ///
    /// # Errors
    ///
    /// When the duration is out of range or not in whole seconds.
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
    /// They are refreshed 15 minutes before they expire, with jitter up to 3 minutes earlier; if they live less than
    /// half an hour, at two thirds of their life. While they live, a failed refresh changes nothing; all that holds for
    /// [tokens](crate::docs::failures#when-a-token-is-fetched) holds for them. A caller waits for
    /// [`wait_timeout`](crate::IdaasBuilder::wait_timeout) at most; if none is set, for twice as long as for a token,
    /// because a token may have to be fetched first.
    ///
    /// # Errors
    ///
    /// When there are no live ones and the fetch fails: no token is available, or the DeveloperAPI refuses, fails, or
    /// returns expired credentials. Concurrent callers share one refresh and one error.
    pub async fn credentials(&self) -> Result<CloudCredentials, Error> {
        let subject = self.subject.as_ref();
        subject.map_or(Ok(()), SubjectToken::check)?;
        let exchange = subject.map(|subject| subject.query(&self.key.scope).to_key());
        let key = RoleKey { exchange, ..self.key.clone() };
        let found = self.roles.slot(&self.api, &key, subject);
        let _guard = found.retain(subject);
        Ok(found.slot.acquire().await?.value.clone())
    }

    /// Invalidates credentials that their cloud has rejected.
    ///
    /// By identity: newer ones in the cache stay. A refresh in flight is discarded, and the next caller starts another,
    /// once a second at most.
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
