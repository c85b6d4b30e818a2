//! The credentials of an IAM role, for the AWS SDK.

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use tower_idaas::aliyun::{CloudRole, CloudStsToken};

/// A role of AWS as a credential provider of its SDK: `aws_config::defaults(…).credentials_provider(…)`.
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
