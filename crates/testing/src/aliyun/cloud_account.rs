//! The roles that a DeveloperAPI knows, and the credentials it makes up for them.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

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
pub(crate) struct CloudAccount(HashMap<String, CloudVendor>);

impl CloudAccount {
    pub(crate) fn add(&mut self, arn: String, vendor: CloudVendor) {
        self.0.insert(arn, vendor);
    }

    /// The response with new credentials of this role, if there is one.
    pub(crate) fn assume(&self, arn: &str, now: Timestamp, life: Duration) -> Option<Map<String, Value>> {
        let vendor = *self.0.get(arn)?;
        let name = arn.rsplit('/').next().unwrap_or_default();
        let end = now.after(life);
        let credential = Map::from_iter([
            ("accessCredentialExpiresAt".to_owned(), json!(end.unix_seconds())),
            (vendor.member().to_owned(), vendor.sts_token(end)),
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

    /// A token that no other is like.
    fn sts_token(self, end: Timestamp) -> Value {
        let random = || format!("{:032x}", fastrand::u128(..));
        let (id, secret, token) = (random(), random(), random());
        let end = humantime::format_rfc3339_seconds(end.system_time()).to_string();
        match self {
            Self::AlibabaCloud | Self::Unknown => json!({
                "accessKeyId": format!("STS.{id}"),
                "accessKeySecret": secret,
                "securityToken": token,
                "expiration": end,
            }),
            Self::Aws => json!({
                "accessKeyId": format!("ASIA{id}"),
                "secretAccessKey": secret,
                "sessionToken": token,
                "expiration": end,
            }),
            Self::TencentCloud => json!({
                "tmpSecretId": format!("AKID{id}"),
                "tmpSecretKey": secret,
                "token": token,
                "expiration": end,
            }),
        }
    }
}
