//! The credentials of an IAM role, for the AWS SDK.

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use tower_idaas::aliyun::{CloudRole, CloudStsToken};

/// A role of AWS as a credential provider of its SDK, and in the place of the SDK's own cache:
///
/// ```text
/// aws_config::defaults(BehaviorVersion::latest())
///     .credentials_provider(AwsCredentials::from(role))
///     .identity_cache(aws_config::identity::IdentityCache::no_cache())
/// ```
///
/// The SDK's cache would ask for the next credentials ten seconds before the end of the last ones at the earliest, and
/// with a request that waits for them, five seconds at most. [`CloudRole`] has renewed them behind a request long before,
/// and is asked for each one without that cache, which costs a look into its own.
///
/// Credentials that AWS rejects before their end (`ExpiredToken`, `InvalidClientTokenId`) are reported with
/// [`CloudRole::invalidate`]; the next request has others.
#[derive(Clone, Debug)]
pub struct AwsCredentials(CloudRole);

impl From<CloudRole> for AwsCredentials {
    fn from(role: CloudRole) -> Self {
        Self(role)
    }
}

impl AwsCredentials {
    async fn credentials(&self) -> Result {
        let credentials = self.0.credentials().await.map_err(CredentialsError::provider_error)?;
        let CloudStsToken::Aws(token) = credentials.sts_token() else {
            let problem = format!("{} is no role of AWS", self.0.arn());
            return Err(CredentialsError::invalid_configuration(problem));
        };
        Ok(Credentials::builder()
            .access_key_id(token.access_key_id())
            .secret_access_key(token.access_key_secret().expose_secret())
            .session_token(token.security_token().expose_secret())
            .expiry(token.expires_at())
            .provider_name("tower-idaas")
            .build())
    }
}

impl ProvideCredentials for AwsCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
