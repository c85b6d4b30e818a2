//! The roles that a DeveloperAPI knows, and the credentials it makes up for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::aliyun::access_key::{AccessKey, AccessKeys};
use tower_idaas::clock::Timestamp;

/// A cloud whose roles a [`DeveloperApi`](crate::DeveloperApi) hands out credentials for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudVendor {
    /// Alibaba Cloud: `alibabaCloudStsToken`.
    AlibabaCloud,
    /// AWS: `awsStsToken`.
    Aws,
    /// Tencent Cloud: `tencentCloudStsToken`.
    TencentCloud,
    /// One that no client knows yet.
    Unknown,
}

/// Roles by ARN.
#[derive(Debug, Default)]
pub(crate) struct CloudAccount {
    roles: HashMap<String, CloudVendor>,
    /// The access keys of the credentials so far, for servers that verify signatures.
    keys: Arc<AccessKeys>,
}

impl CloudAccount {
    pub(crate) fn add(&mut self, arn: String, vendor: CloudVendor) {
        self.roles.insert(arn, vendor);
    }

    pub(crate) fn keys(&self) -> &Arc<AccessKeys> {
        &self.keys
    }

    /// The response with new credentials of this role, if there is one.
    pub(crate) fn assume(&self, arn: &str, now: Timestamp, life: Duration) -> Option<Map<String, Value>> {
        let vendor = *self.roles.get(arn)?;
        let name = arn.rsplit('/').next().unwrap_or_default();
        let end = now.after(life);
        let key = vendor.access_key(end);
        self.keys.add(key.clone());
        let credential = Map::from_iter([
            ("accessCredentialExpiresAt".to_owned(), json!(end.unix_seconds())),
            (vendor.member().to_owned(), vendor.sts_token(&key, end)),
        ]);
        Some(Map::from_iter([
            ("cloudAccountId".to_owned(), json!("ca_test")),
            ("cloudAccountVendorType".to_owned(), json!(vendor.as_str())),
            ("cloudAccountRoleId".to_owned(), json!(format!("carole_{name}"))),
            ("cloudAccountRoleName".to_owned(), json!(name)),
            ("cloudAccountRoleExternalId".to_owned(), json!(arn)),
            ("cloudAccountRoleAccessCredential".to_owned(), Value::Object(credential)),
        ]))
    }
}

impl CloudVendor {
    fn as_str(self) -> &'static str {
        match self {
            Self::AlibabaCloud => "alibaba_cloud",
            Self::Aws => "aws",
            Self::TencentCloud => "tencent_cloud",
            Self::Unknown => "cloud_of_tomorrow",
        }
    }

    fn member(self) -> &'static str {
        match self {
            Self::AlibabaCloud => "alibabaCloudStsToken",
            Self::Aws => "awsStsToken",
            Self::TencentCloud => "tencentCloudStsToken",
            Self::Unknown => "cloudOfTomorrowStsToken",
        }
    }

    /// An access key that no other is like.
    fn access_key(self, end: Timestamp) -> AccessKey {
        let random = || format!("{:032x}", fastrand::u128(..));
        let prefix = match self {
            Self::AlibabaCloud | Self::Unknown => "STS.",
            Self::Aws => "ASIA",
            Self::TencentCloud => "AKID",
        };
        AccessKey::new(format!("{prefix}{}", random()), random())
            .with_security_token(random())
            .with_expiry(end.system_time())
    }

    /// The access key in the form of this cloud.
    fn sts_token(self, key: &AccessKey, end: Timestamp) -> Value {
        let end = humantime::format_rfc3339_seconds(end.system_time()).to_string();
        let (id, secret) = (&key.id, key.secret.expose_secret());
        let token = key.security_token.as_ref().map(|token| token.expose_secret());
        match self {
            Self::AlibabaCloud | Self::Unknown => json!({
                "accessKeyId": id,
                "accessKeySecret": secret,
                "securityToken": token,
                "expiration": end,
            }),
            Self::Aws => json!({
                "accessKeyId": id,
                "secretAccessKey": secret,
                "sessionToken": token,
                "expiration": end,
            }),
            Self::TencentCloud => json!({
                "tmpSecretId": id,
                "tmpSecretKey": secret,
                "token": token,
                "expiration": end,
            }),
        }
    }
}
