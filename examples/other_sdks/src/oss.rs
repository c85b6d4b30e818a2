//! The credentials of a RAM role, for OSS by reqsign's signer.

use std::time::UNIX_EPOCH;

use reqsign_aliyun_oss::Credential;
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, Error, ErrorKind, ProvideCredential, Result};
use tower_idaas::aliyun::CloudRole;

/// A role of Alibaba Cloud as a credential provider of reqsign.
///
/// The signer keeps a credential until two minutes before its end, so one that OSS rejects earlier has to be taken from
/// both caches: [`CloudRole::invalidate`], and a new signer.
#[derive(Clone, Debug)]
pub struct OssCredentials(CloudRole);

impl From<CloudRole> for OssCredentials {
    fn from(role: CloudRole) -> Self {
        Self(role)
    }
}

impl ProvideCredential for OssCredentials {
    type Credential = Credential;

    async fn provide_credential(&self, _context: &Context) -> Result<Option<Credential>> {
        let credentials = self.0.credentials().await.map_err(unavailable)?;
        let token = credentials
            .alibaba_cloud()
            .ok_or_else(|| Error::config_invalid(format!("{} is no role of Alibaba Cloud", self.0.arn())))?;
        let end = token.expires_at().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Some(Credential {
            access_key_id: token.access_key_id().to_owned(),
            access_key_secret: token.access_key_secret().expose_secret().to_owned(),
            security_token: Some(token.security_token().expose_secret().to_owned()),
            expires_in: Some(Timestamp::from_second(end.as_secs().try_into().unwrap_or(i64::MAX))?),
        }))
    }
}

/// The message tells what to do next, and shows no secret.
fn unavailable(error: tower_idaas::Error) -> Error {
    let kind = match error.kind() {
        tower_idaas::ErrorKind::Refused => ErrorKind::PermissionDenied,
        tower_idaas::ErrorKind::Unavailable if error.status().is_some_and(|status| status == 429) => {
            ErrorKind::RateLimited
        }
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, error.to_string()).set_retryable(error.is_transient()).with_source(error)
}
