//! STS credentials as the cache returns them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::cache::recheck::Recheck;
use crate::secret::Secret;

/// Live STS credentials of a cloud role, as the cache returns them. Cheap to clone; `Debug` shows no secret.
#[derive(Clone)]
pub struct CloudCredentials {
    parts: Arc<CredentialParts>,
    recheck: Arc<Recheck>,
}

pub(super) struct CredentialParts {
    pub(super) token: CloudStsToken,
    pub(super) expires_at: SystemTime,
    pub(super) account_id: Option<String>,
    pub(super) vendor_type: Option<String>,
    pub(super) role_id: Option<String>,
    pub(super) role_name: Option<String>,
    pub(super) role_external_id: Option<String>,
}

/// An STS token of one of the supported clouds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CloudStsToken {
    /// Alibaba Cloud, for a RAM role: `alibabaCloudStsToken`.
    AlibabaCloud(StsToken),
    /// AWS, for an IAM role: `awsStsToken`. Its secret access key is the access key's secret, its session
    /// token the security token.
    Aws(StsToken),
    /// Tencent Cloud, for a CAM role: `tencentCloudStsToken`. Its `tmpSecretId` is the access key's id, its
    /// `tmpSecretKey` the access key's secret, its `token` the security token.
    TencentCloud(StsToken),
}

/// A temporary access key, and the security token that every request signed with it must carry.
#[derive(Clone)]
pub struct StsToken {
    pub(super) access_key_id: String,
    pub(super) access_key_secret: Secret,
    pub(super) security_token: Secret,
    pub(super) expires_at: SystemTime,
}

impl CloudCredentials {
    pub(super) fn new(parts: CredentialParts) -> Self {
        Self { parts: Arc::new(parts), recheck: Arc::new(Recheck::new()) }
    }

    pub(super) fn recheck(&self) -> &Arc<Recheck> {
        &self.recheck
    }

    /// The STS token, by the cloud that it is for.
    pub fn sts_token(&self) -> &CloudStsToken {
        &self.parts.token
    }

    /// The STS token, if it is one of Alibaba Cloud.
    pub fn alibaba_cloud(&self) -> Option<&StsToken> {
        match self.sts_token() {
            CloudStsToken::AlibabaCloud(token) => Some(token),
            _ => None,
        }
    }

    /// When the credentials expire by this machine's wall clock. Where that differs from the server's, the earlier end
    /// counts, unless they would have expired on arrival by that clock: then it is wrong, and the other one counts. One
    /// minute after the request when the response has no end that can be read, or one more than 24 hours away.
    pub fn expires_at(&self) -> SystemTime {
        self.parts.expires_at
    }

    /// IDaaS's id of the cloud account: `cloudAccountId`.
    pub fn account_id(&self) -> Option<&str> {
        self.parts.account_id.as_deref()
    }

    /// What IDaaS calls the cloud, such as `alibaba_cloud`: `cloudAccountVendorType`.
    pub fn vendor_type(&self) -> Option<&str> {
        self.parts.vendor_type.as_deref()
    }

    /// IDaaS's id of the role: `cloudAccountRoleId`.
    pub fn role_id(&self) -> Option<&str> {
        self.parts.role_id.as_deref()
    }

    /// The role's name: `cloudAccountRoleName`.
    pub fn role_name(&self) -> Option<&str> {
        self.parts.role_name.as_deref()
    }

    /// The role's ARN: `cloudAccountRoleExternalId`.
    pub fn role_arn(&self) -> Option<&str> {
        self.parts.role_external_id.as_deref()
    }
}

impl StsToken {
    /// The access key's id, which is no secret.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The access key's secret, which signs requests.
    pub fn access_key_secret(&self) -> &Secret {
        &self.access_key_secret
    }

    /// The security token, which every signed request carries.
    pub fn security_token(&self) -> &Secret {
        &self.security_token
    }

    /// When it expires: see [`CloudCredentials::expires_at`].
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

impl fmt::Debug for CloudCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CredentialParts {
            token,
            expires_at,
            account_id,
            vendor_type,
            role_id,
            role_name,
            role_external_id,
        } = &*self.parts;
        f.debug_struct("CloudCredentials")
            .field("sts_token", token)
            .field("expires_at", expires_at)
            .field("account_id", account_id)
            .field("vendor_type", vendor_type)
            .field("role_id", role_id)
            .field("role_name", role_name)
            .field("role_arn", role_external_id)
            .finish()
    }
}

impl fmt::Debug for StsToken {
    /// The access key's id is left out too, because it identifies the owner of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
