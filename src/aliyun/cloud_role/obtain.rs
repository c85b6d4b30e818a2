//! The operation that obtains a role's credentials: its request, and how its response is read.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::aliyun::cloud_role::credentials::{CloudCredentials, CloudStsToken, CredentialParts, StsToken};
use crate::aliyun::developer_api::Operation;
use crate::aliyun::life::{Life, life_until};
use crate::cache::window::{DEFAULT_LIFE, LONGEST_LIFE, RefreshAhead};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::token::ExchangeKey;
use crate::wire::call::{ApiResponse, text};
use crate::wire::profile::Refusal;
use crate::wire::redact::Redactor;

/// As early as the vendor's clients refresh STS credentials.
pub(super) const REFRESH_AHEAD: RefreshAhead = RefreshAhead::Before(Duration::from_secs(15 * 60));

/// The cache key of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoleKey {
    pub(super) arn: Arc<str>,
    pub(super) scope: Scope,
    pub(super) session_seconds: Option<u64>,
    /// The exchange whose token is sent in place of the client's own.
    pub(super) exchange: Option<ExchangeKey>,
}

/// Live credentials, and their life, counted from when the request was sent.
#[derive(Debug)]
pub(super) struct RoleCredentials {
    pub(super) credentials: CloudCredentials,
    pub(super) sent: Timestamp,
    pub(super) life: Duration,
    pub(super) request_id: Option<String>,
}

pub(super) fn operation(key: &RoleKey) -> Operation<'static> {
    let mut query = vec![("cloudAccountRoleExternalId", key.arn.to_string())];
    if let Some(seconds) = key.session_seconds {
        query.push(("durationSeconds", seconds.to_string()));
    }
    Operation {
        method: Method::GET,
        path: "/cloudAccountRoles/_/actions/obtainAccessCredential",
        query,
        body: None,
        secrets: Vec::new(),
        subject: format!("role {}", key.arn),
        hint: &|refusal: &Refusal<'_>| {
            (refusal.status == StatusCode::BAD_REQUEST)
                .then(|| "check the role's ARN and the session duration".into())
        },
    }
}

/// The credentials in a response.
pub(super) fn read(response: &ApiResponse<'_>) -> Result<RoleCredentials, Error> {
    role_credentials(response).map_err(|problem| response.unusable(&problem))
}

/// One cloud's member of the response: its name, its constructor, and the names of access key id, access key secret and
/// security token in it.
type Cloud = (&'static str, fn(StsToken) -> CloudStsToken, [&'static str; 3]);

const CLOUDS: [Cloud; 3] = [
    (
        "alibabaCloudStsToken",
        CloudStsToken::AlibabaCloud,
        ["accessKeyId", "accessKeySecret", "securityToken"],
    ),
    ("awsStsToken", CloudStsToken::Aws, ["accessKeyId", "secretAccessKey", "sessionToken"]),
    ("tencentCloudStsToken", CloudStsToken::TencentCloud, ["tmpSecretId", "tmpSecretKey", "token"]),
];

/// The credentials, or what is wrong with the response.
fn role_credentials(response: &ApiResponse<'_>) -> Result<RoleCredentials, String> {
    let (top, sent, redactor) = (&response.object, response.sent(), response.redactor());
    let Some(Value::Object(credential)) = top.get("cloudAccountRoleAccessCredential") else {
        return Err("carries no `cloudAccountRoleAccessCredential`".into());
    };
    let found = CLOUDS.iter().find_map(|cloud| Some((cloud, credential.get(cloud.0)?.as_object()?)));
    let Some(((member, cloud, names), sts)) = found else {
        let vendor = redactor.text(text(top, &["cloudAccountVendorType"]).unwrap_or("nothing"));
        return Err(format!("carries no STS token of a cloud that is known here (its type is `{vendor}`)"));
    };
    let [access_key_id, access_key_secret, security_token] = names.map(|name| {
        let text = text(sts, &[name]).filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| format!("its `{member}` carries no `{name}`"))
    });
    let ends = [sts.get("expiration"), credential.get("accessCredentialExpiresAt")];
    let life = match life_until(response, ends, REFRESH_AHEAD) {
        Life::Ended => return Err("the credentials in it have ended already".into()),
        // No cloud issues credentials for longer, so it is a mistake.
        Life::Stated(life) if life <= LONGEST_LIFE => life,
        Life::Stated(_) | Life::Unknown => DEFAULT_LIFE,
    };
    let expires_at = sent.after(life).system_time();
    let issued =
        Redactor::new([&access_key_secret, &security_token].map(|text| text.as_deref().unwrap_or_default()));
    let request_id = response.request_id().map(|id| issued.id(id));
    let token = cloud(StsToken {
        access_key_id: redactor.value(access_key_id?).ok_or("the access key's id in it is too long")?,
        access_key_secret: Secret::new(access_key_secret?),
        security_token: Secret::new(security_token?),
        expires_at,
    });
    // These names are redacted because `Debug` shows them; the access key's id because its accessor is not spelled
    // `expose`.
    let named = |name| text(top, &[name]).and_then(|text| redactor.value(text));
    let credentials = CloudCredentials::new(CredentialParts {
        token,
        expires_at,
        account_id: named("cloudAccountId"),
        vendor_type: named("cloudAccountVendorType"),
        role_id: named("cloudAccountRoleId"),
        role_name: named("cloudAccountRoleName"),
        role_external_id: named("cloudAccountRoleExternalId"),
    });
    Ok(RoleCredentials { credentials, sent, life, request_id })
}
