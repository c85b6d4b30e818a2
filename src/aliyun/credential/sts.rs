//! STS, which hands out credentials of RAM roles.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use zeroize::Zeroizing;

use crate::aliyun::credential::lookup::{Miss, is_true};
use crate::aliyun::credential::order::{Means, Role, Temporary};
use crate::aliyun::credential::{Credential, temporary};
use crate::aliyun::{Call, member};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::secret::token_file;
use crate::wire::echo::without_echo;
use crate::wire::response::{self as answer, Asked, Peer};

const VERSION: &str = "2015-04-01";

/// What a role's credential lives if nothing else is asked for.
pub(super) const DURATION: Duration = Duration::from_secs(3600);

/// The host of STS in this region, or in the one that the environment tells, or in none; of a region also within
/// the VPC, if that is wanted here or by the environment.
pub(super) fn host(
    environment: &Environment,
    region: Option<String>,
    within_vpc: bool,
) -> Result<String, Miss> {
    let Some(region) = region.or_else(|| environment.text("ALIBABA_CLOUD_STS_REGION")) else {
        return Ok("sts.aliyuncs.com".into());
    };
    // It becomes a part of the host that is told who we are.
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Miss::fault("the STS region is none; expected one like `cn-hangzhou`"));
    }
    let prefix = match within_vpc || is_true(environment, "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED") {
        true => "sts-vpc",
        false => "sts",
    };
    Ok(format!("{prefix}.{region}.aliyuncs.com"))
}

/// Shows STS the token in the file. The call has no signature. As the vendor's client for Go has it, its common
/// parameters are in the query; the others, the token among them, are in the body, which no proxy logs.
pub(super) async fn assume_role_with_oidc(
    role: &Role,
    oidc_provider: &str,
    token_file: &Path,
    provider: &'static str,
    means: &Means,
) -> Result<Temporary, Error> {
    let token = token_file::read(&means.environment.expand(token_file))?;
    let shown = format!("{} (AssumeRoleWithOIDC)", origin(role, means)?);
    let mut request = Request::new(Full::new(form(role, oidc_provider, &token, means)));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = unsigned("AssumeRoleWithOIDC", role, means)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = means.transport.send(request, &shown).await;
    let response = response.map_err(|error| without_echo(error, [token.expose_secret()]))?;
    let signature = token.expose_secret().rsplit('.').next().unwrap_or_default();
    let asked = Asked {
        peer: &Sts,
        endpoint: &shown,
        scope: "",
        secrets: vec![token.expose_secret(), signature],
        now: means.clock.now().system_time(),
    };
    let answer = answer::object(response.status(), response.headers(), response.body(), &asked)?;
    temporary::read(&answer, member(&answer, "Credentials")?, provider, None)
}

/// The body, which is wiped from memory when the last of its holders lets go of it.
fn form(role: &Role, oidc_provider: &str, token: &Secret, means: &Means) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("OIDCProviderArn", oidc_provider).extend_pairs(parameters(role, means));
    let mut form = form.finish();
    // The token comes last, and there is room for it: growing would leave a copy behind.
    form.reserve("&OIDCToken=".len() + 3 * token.expose_secret().len());
    let mut form = form_urlencoded::Serializer::for_suffix(form, 0);
    form.append_pair("OIDCToken", token.expose_secret());
    Bytes::from_owner(Zeroizing::new(form.finish()))
}

/// The address of a call that has no signature.
fn unsigned(action: &str, role: &Role, means: &Means) -> Result<Uri, Error> {
    let now = means.clock.now().system_time();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("Action", action);
    query.append_pair("Version", VERSION);
    query.append_pair("Format", "JSON");
    query.append_pair("Timestamp", &humantime::format_rfc3339_seconds(now).to_string());
    address(&format!("/?{}", query.finish()), role, means)
}

/// Signs with the key of somebody who may assume the role.
pub(super) async fn assume_role(
    role: &Role,
    key: &Credential,
    provider: &'static str,
    means: &Means,
) -> Result<Temporary, Error> {
    let origin = origin(role, means)?;
    let parameters = parameters(role, means).map(|(name, value)| (name.into(), value.into())).collect();
    let call = Call { endpoint: &origin, action: "AssumeRole", version: VERSION, parameters, scope: "" };
    let read =
        |answer: &answer::Answer<'_>| temporary::read(answer, member(answer, "Credentials")?, provider, None);
    call.send(key, &means.transport, &means.clock, read).await
}

fn origin(role: &Role, means: &Means) -> Result<Uri, Error> {
    address("/", role, means)
}

fn address(target: &str, role: &Role, means: &Means) -> Result<Uri, Error> {
    let host = means.sts_endpoint.as_ref().unwrap_or(&role.sts);
    format!("https://{host}{target}").parse().map_err(|cause| {
        Error::new(ErrorKind::Credential, "the host of STS is none; check the STS endpoint or region")
            .with_source(http::Error::from(cause))
    })
}

fn parameters(role: &Role, means: &Means) -> impl Iterator<Item = (&'static str, String)> {
    let Role { arn, session_name, duration, policy, external_id, sts: _ } = role;
    let generated = || format!("tower-idaas-{}", means.clock.now().unix_seconds());
    let given = [("Policy", policy), ("ExternalId", external_id)];
    let given: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    [
        ("RoleArn", arn.clone()),
        ("RoleSessionName", session_name.clone().unwrap_or_else(generated)),
        ("DurationSeconds", duration.as_secs().to_string()),
    ]
    .into_iter()
    .chain(given)
}

/// STS, asked without a signature.
#[derive(Debug)]
pub(super) struct Sts;

impl Peer for Sts {
    fn name(&self) -> &'static str {
        "STS"
    }

    fn holds(&self) -> [&'static str; 2] {
        ["a credential", "an error of STS"]
    }

    fn may_pass(&self, code: &str) -> bool {
        code == "SignatureNonceUsed" || code == "ServiceUnavailable" || code.starts_with("InternalError")
    }

    fn advice(&self, code: &str, _scope: &str) -> String {
        let advice = match code {
            _ if code.starts_with("AuthenticationFail.OIDCToken") => {
                "check the token file, and that its token is for this OIDC provider"
            }
            _ if code.contains("NoPermission") => "check whom the role trusts",
            _ if code.starts_with("EntityNotExist") => "check the role's ARN and that of the OIDC provider",
            _ if code.starts_with("InvalidTimeStamp") => "check this machine's clock",
            _ => "check the role and its OIDC provider",
        };
        advice.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    fn host_with<const N: usize>(variables: [(&str, &str); N], region: Option<&str>) -> Result<String, Miss> {
        let environment = Environment::Manual(ManualEnvironment::from_iter(variables));
        host(&environment, region.map(str::to_owned), false)
    }

    #[test]
    fn sts_is_asked_in_the_region_and_within_the_vpc_if_so_told() {
        let (region, vpc) =
            (("ALIBABA_CLOUD_STS_REGION", "cn-beijing"), "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
        assert_eq!(host_with([], None).unwrap(), "sts.aliyuncs.com");
        assert_eq!(host_with([(vpc, "true")], None).unwrap(), "sts.aliyuncs.com");
        assert_eq!(host_with([region], None).unwrap(), "sts.cn-beijing.aliyuncs.com");
        assert_eq!(host_with([region, (vpc, "True")], None).unwrap(), "sts-vpc.cn-beijing.aliyuncs.com");
        assert_eq!(host_with([region, (vpc, "1")], Some("eu-1")).unwrap(), "sts.eu-1.aliyuncs.com");
    }

    #[test]
    fn a_region_cannot_lead_to_another_host() {
        for region in ["evil.example/", "evil.example#", "a.b", "a@b", "a:1", "ü"] {
            assert!(matches!(host_with([], Some(region)), Err(Miss::Fault(_))), "{region}");
        }
    }
}
