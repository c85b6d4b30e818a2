//! Reads the DeveloperAPI's answer: STS credentials, or one readable error. No I/O; nothing here panics,
//! whatever the answer is.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use crate::aliyun::cloud_role::credentials::{CloudCredentials, CloudStsToken, Issued, StsToken};
use crate::aliyun::cloud_role::roles::{RENEWAL, RoleKey};
use crate::cache::window::{DEFAULT_LIFE, LONGEST_LIFE, State, Window};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::wire::redact::{kept, shown};
use crate::wire::response::{self as answer, Answer, Peer, issuer_now, text};

/// What reading an answer takes to know of the request.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Everything before the query.
    pub(super) address: &'a str,
    pub(super) key: &'a RoleKey,
    /// The token's text, which must not be shown when the answer echoes it.
    pub(super) token: &'a str,
    pub(super) sent: Timestamp,
}

/// Credentials that live, and how long, counted from when they were asked for.
#[derive(Debug)]
pub(super) struct Obtained {
    pub(super) credentials: CloudCredentials,
    pub(super) sent: Timestamp,
    pub(super) life: Duration,
    pub(super) request_id: Option<String>,
}

/// The credentials in an answer that came at `now`.
///
/// # Errors
///
/// Everything that is not usable credentials, classified as at the token endpoint.
pub(super) fn read(response: &Response<Bytes>, asked: &Asked<'_>, now: Timestamp) -> Result<Obtained, Error> {
    let peer = Respondent { status: response.status(), arn: &asked.key.arn };
    let common = answer::Asked {
        peer: &peer,
        endpoint: asked.address,
        scope: asked.key.scope.as_str(),
        secrets: vec![asked.token],
        now: asked.sent.system_time(),
    };
    let answer = answer::object(response.status(), response.headers(), response.body(), &common);
    let answer = answer.map_err(|error| refused_without_reason(error, &peer, asked))?;
    obtained(&answer, asked, now).map_err(|problem| answer.unusable(&problem))
}

/// How errors speak of the DeveloperAPI.
#[derive(Debug)]
struct Respondent<'a> {
    status: StatusCode,
    arn: &'a str,
}

impl Peer for Respondent<'_> {
    fn name(&self) -> &'static str {
        "the DeveloperAPI"
    }

    fn holds(&self) -> [&'static str; 2] {
        ["credentials", "an error of the DeveloperAPI"]
    }

    fn may_pass(&self, code: &str) -> bool {
        matches!(code, "temporarily_unavailable" | "server_error" | "slow_down" | "ServiceUnavailable")
            || code.starts_with("InternalError")
    }

    fn advice(&self, _code: &str, scope: &str) -> String {
        let arn = self.arn;
        match self.status {
            StatusCode::UNAUTHORIZED => format!("check that the application is granted `{scope}`"),
            StatusCode::FORBIDDEN => {
                format!("check that the application is granted role {arn}, and scope `{scope}`")
            }
            StatusCode::NOT_FOUND => {
                format!("check that IDaaS knows role {arn}, and check `idaasInstanceId`")
            }
            _ => format!("check role {arn} and the session duration"),
        }
    }
}

/// A 401, 403 or 404 is definitive even if whoever says so does not say why.
fn refused_without_reason(error: Error, peer: &Respondent<'_>, asked: &Asked<'_>) -> Error {
    let definitive = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
    if error.code().is_some() || !definitive.contains(&peer.status) {
        return error;
    }
    let message = format!(
        "{} refused with {} and no reason that can be read; {}",
        asked.address,
        peer.status,
        peer.advice("", asked.key.scope.as_str())
    );
    let refused = Error::new(ErrorKind::Refused, message).with_status(peer.status);
    match error.request_id() {
        Some(id) => refused.with_request_id(id),
        None => refused,
    }
}

/// A cloud's member of the answer: its name, what it makes, and the names of access key id, access key secret
/// and security token in it.
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

/// The credentials, or what is wrong with the answer.
fn obtained(answer: &Answer<'_>, asked: &Asked<'_>, now: Timestamp) -> Result<Obtained, String> {
    let top = &answer.object;
    let Some(Value::Object(credential)) = top.get("cloudAccountRoleAccessCredential") else {
        return Err("carries no `cloudAccountRoleAccessCredential`".into());
    };
    let found = CLOUDS.iter().find_map(|cloud| Some((cloud, credential.get(cloud.0)?.as_object()?)));
    let Some(((member, cloud, names), sts)) = found else {
        let vendor = text(top, &["cloudAccountVendorType"]).unwrap_or("nothing");
        let vendor = shown(vendor, [asked.token]);
        return Err(format!("carries no STS token of a cloud that is known here (its type is `{vendor}`)"));
    };
    let [access_key_id, access_key_secret, security_token] = names.map(|name| {
        let text = text(sts, &[name]).filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| format!("its `{member}` carries no `{name}`"))
    });
    let life = life(answer, credential, sts, asked.sent);
    if Window::new(asked.sent, life, RENEWAL, 0.0).state(now) == State::Dead {
        return Err("the credentials in it have ended already (check this machine's clock)".into());
    }
    let expires_at = asked.sent.after(life).system_time();
    let secrets = [&access_key_secret, &security_token].map(|text| text.as_deref().unwrap_or_default());
    let request_id = answer.request_id().map(|id| shown(&id, secrets));
    let token = cloud(StsToken {
        access_key_id: kept(access_key_id?, [asked.token]).ok_or("the access key's id in it is too long")?,
        access_key_secret: Secret::new(access_key_secret?),
        security_token: Secret::new(security_token?),
        expires_at,
    });
    // `Debug` shows these, and the access key's id has an accessor that is no `expose`.
    let named = |name| text(top, &[name]).and_then(|text| kept(text, [asked.token]));
    let credentials = CloudCredentials::new(Issued {
        token,
        expires_at,
        account_id: named("cloudAccountId"),
        vendor_type: named("cloudAccountVendorType"),
        role_id: named("cloudAccountRoleId"),
        role_name: named("cloudAccountRoleName"),
        role_external_id: named("cloudAccountRoleExternalId"),
    });
    Ok(Obtained { credentials, sent: asked.sent, life, request_id })
}

/// How long the credentials live, from when they were asked for: until the earlier end, by the server's clock
/// and by ours. A minute when the answer tells no end, or one so far away that it is a mistake.
fn life(
    answer: &Answer<'_>,
    credential: &Map<String, Value>,
    sts: &Map<String, Value>,
    sent: Timestamp,
) -> Duration {
    let ends = [sts.get("expiration"), credential.get("accessCredentialExpiresAt")];
    let Some(end) = ends.into_iter().flatten().filter_map(point_in_time).min() else {
        return DEFAULT_LIFE;
    };
    let left = |now: SystemTime| end.duration_since(now).unwrap_or_default();
    let sent = sent.system_time();
    let life = left(issuer_now(answer.headers, sent)).min(left(sent));
    if life > LONGEST_LIFE { DEFAULT_LIFE } else { life }
}

/// RFC 3339 in UTC, or Unix seconds.
fn point_in_time(value: &Value) -> Option<SystemTime> {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            if let Some(time) = crate::aliyun::answer::point_in_time(text) {
                return Some(time);
            }
            text.trim().parse().ok()
        }
        _ => None,
    };
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds?).ok()?)
}
