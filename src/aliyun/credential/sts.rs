//! STS, which issues credentials of RAM roles.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use zeroize::Zeroizing;

use crate::aliyun::credential::lookup::{FetchContext, NoCredential, Role, Temporary, is_true};
use crate::aliyun::credential::temporary::{self, Clocks};
use crate::aliyun::credential::{Credential, file};
use crate::aliyun::profile::{OpenApi, blames_clock, is_transient};
use crate::aliyun::signed_call::SignedCall;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind};
use crate::host::has_usable_port;
use crate::secret::Secret;
use crate::wire::call::{ApiCall, ApiResponse};
use crate::wire::profile::{ApiProfile, Refusal};
use crate::wire::time::rfc3339_text;

const VERSION: &str = "2015-04-01";

/// The default life of a role's credential.
pub(super) const DURATION: Duration = Duration::from_secs(3600);

/// The host of STS: from the environment; or else of this region, of the environment's region, or without a region.
/// With a region, it is the VPC's host if `within_vpc` or the environment says so.
pub(super) fn host(
    environment: &Environment,
    region: Option<String>,
    within_vpc: bool,
) -> Result<String, NoCredential> {
    const ENDPOINT: &str = "ALIBABA_CLOUD_STS_ENDPOINT";
    if let Some(endpoint) = file::variable(ENDPOINT, environment)? {
        let host = endpoint.strip_prefix("https://").unwrap_or(&endpoint).trim_end_matches('/');
        return match host.parse::<http::uri::Authority>() {
            Ok(authority) if !host.contains('@') && has_usable_port(&authority) => {
                Ok(authority.as_str().to_owned())
            }
            _ => Err(NoCredential::failed(format!(
                "{ENDPOINT} is not a host; expected one like `sts.cn-hangzhou.aliyuncs.com`"
            ))),
        };
    }
    let region = match region {
        Some(region) => Some(region),
        None => file::variable("ALIBABA_CLOUD_STS_REGION", environment)?,
    };
    let Some(region) = region else { return Ok("sts.aliyuncs.com".into()) };
    // The region becomes part of the host that receives the token.
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(NoCredential::failed("the STS region is malformed; expected one like `cn-hangzhou`"));
    }
    let prefix = match within_vpc || is_true(environment, "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED") {
        true => "sts-vpc",
        false => "sts",
    };
    Ok(format!("{prefix}.{region}.aliyuncs.com"))
}

/// Assumes the role with this token. The call has no signature. As in the vendor's client for Go, its common parameters
/// are in the query; the others, the token among them, are in the body, which proxies do not log.
pub(super) async fn assume_role_with_oidc(
    role: &Role,
    oidc_provider: &str,
    token: &Secret,
    provider: &'static str,
    context: &FetchContext,
) -> Result<Temporary, Error> {
    let endpoint = format!("{} (AssumeRoleWithOIDC)", origin(role, context)?);
    let signature = token.expose_secret().rsplit('.').next().unwrap_or_default();
    let channel = &context.channel;
    let call = ApiCall::new(&Sts, &endpoint, "", &channel.clock, [token.expose_secret(), signature])
        .with_public([role.arn.as_str(), oidc_provider]);
    let blames_clock = |error: &Error| error.code().is_some_and(blames_clock);
    let attempt = async |now: SystemTime| {
        let mut request = Request::new(Full::new(form(role, oidc_provider, token, context)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = unsigned("AssumeRoleWithOIDC", now, role, context)?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        let response = call.send(request, |request| channel.transport.send(request, &endpoint)).await?;
        temporary::read(&response, response.member("Credentials")?, provider, Clocks::Server)
    };
    let now = || channel.clock.now().system_time();
    channel.skew.corrected(blames_clock, |correction| attempt(correction.apply(now()))).await
}

/// The body, which is wiped from memory when its last owner drops it.
fn form(role: &Role, oidc_provider: &str, token: &Secret, context: &FetchContext) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("OIDCProviderArn", oidc_provider).extend_pairs(parameters(role, context));
    let mut form = form.finish();
    // The token comes last, and its space is reserved: reallocation would leave a copy in memory.
    form.reserve("&OIDCToken=".len() + 3 * token.expose_secret().len());
    let mut form = form_urlencoded::Serializer::for_suffix(form, 0);
    form.append_pair("OIDCToken", token.expose_secret());
    Bytes::from_owner(Zeroizing::new(form.finish()))
}

/// The address of an unsigned call.
fn unsigned(action: &str, now: SystemTime, role: &Role, context: &FetchContext) -> Result<Uri, Error> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("Action", action);
    query.append_pair("Version", VERSION);
    query.append_pair("Format", "JSON");
    query.append_pair("Timestamp", &rfc3339_text(now));
    address(&format!("/?{}", query.finish()), role, context)
}

/// Assumes the role with an access key that is permitted to.
pub(super) async fn assume_role(
    role: &Role,
    key: &Credential,
    provider: &'static str,
    context: &FetchContext,
) -> Result<Temporary, Error> {
    let origin = origin(role, context)?;
    let parameters = parameters(role, context).map(|(name, value)| (name.into(), value.into())).collect();
    let call = SignedCall {
        endpoint: &origin,
        action: "AssumeRole",
        version: VERSION,
        parameters,
        secrets: Vec::new(),
        scope: "",
        profile: OpenApi { permission: Some(("sts:AssumeRole".into(), role.arn.clone())), exchange: false },
    };
    let read = |response: &ApiResponse<'_>| {
        temporary::read(response, response.member("Credentials")?, provider, Clocks::Server)
    };
    call.send(key, &context.channel, read).await
}

fn origin(role: &Role, context: &FetchContext) -> Result<Uri, Error> {
    address("/", role, context)
}

fn address(target: &str, role: &Role, context: &FetchContext) -> Result<Uri, Error> {
    let host = context.sts_endpoint.as_ref().unwrap_or(&role.sts);
    format!("https://{host}{target}").parse().map_err(|cause| {
        Error::new(ErrorKind::Credential, "the host of STS is malformed; check the STS endpoint or region")
            .with_source(http::Error::from(cause))
    })
}

fn parameters(role: &Role, context: &FetchContext) -> impl Iterator<Item = (&'static str, String)> {
    let Role { arn, session_name, duration, policy, external_id, sts: _ } = role;
    let generated = || format!("tower-idaas-{}", context.channel.clock.now().unix_seconds());
    let optional = [("Policy", policy), ("ExternalId", external_id)];
    let optional: Vec<_> =
        optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    [
        ("RoleArn", arn.clone()),
        ("RoleSessionName", session_name.clone().unwrap_or_else(generated)),
        ("DurationSeconds", duration.as_secs().to_string()),
    ]
    .into_iter()
    .chain(optional)
}

/// The API profile of unsigned STS calls.
#[derive(Debug)]
pub(super) struct Sts;

impl ApiProfile for Sts {
    fn name(&self) -> &'static str {
        "STS"
    }

    fn contents(&self) -> [&'static str; 2] {
        ["a credential", "an error of STS"]
    }

    fn is_transient(&self, code: &str) -> bool {
        is_transient(code)
    }

    fn hint_of_unusable(&self) -> &'static str {
        "check this machine's clock and the STS endpoint, or ask the support of Alibaba Cloud"
    }

    fn hint(&self, refusal: &Refusal<'_>) -> String {
        let hint = match refusal.code {
            code if code.starts_with("AuthenticationFail.OIDCToken") => {
                "check the token file, and that its token is for this OIDC provider"
            }
            code if code.contains("NoPermission") => "check the trust policy of the role",
            code if code.starts_with("EntityNotExist") => {
                "check the role's ARN and that of the OIDC provider"
            }
            code if blames_clock(code) => "check this machine's clock",
            _ => "check the role and its OIDC provider",
        };
        hint.into()
    }

    fn has_gateway(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    fn host_with<const N: usize>(
        variables: [(&str, &str); N],
        region: Option<&str>,
    ) -> Result<String, NoCredential> {
        let environment = Environment::Manual(ManualEnvironment::from_iter(variables));
        host(&environment, region.map(str::to_owned), false)
    }

    #[test]
    fn sts_is_called_in_the_region_and_within_the_vpc_if_so_configured() {
        let (region, vpc) =
            (("ALIBABA_CLOUD_STS_REGION", "cn-beijing"), "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
        assert_eq!(host_with([], None).unwrap(), "sts.aliyuncs.com");
        assert_eq!(host_with([(vpc, "true")], None).unwrap(), "sts.aliyuncs.com");
        assert_eq!(host_with([region], None).unwrap(), "sts.cn-beijing.aliyuncs.com");
        assert_eq!(host_with([region, (vpc, "True")], None).unwrap(), "sts-vpc.cn-beijing.aliyuncs.com");
        assert_eq!(host_with([region, (vpc, "1")], Some("eu-1")).unwrap(), "sts.eu-1.aliyuncs.com");
    }

    #[test]
    fn an_endpoint_that_the_environment_names_wins_and_leads_to_a_host_only() {
        let endpoint = "ALIBABA_CLOUD_STS_ENDPOINT";
        let region = ("ALIBABA_CLOUD_STS_REGION", "cn-beijing");
        for text in ["sts.example.com", "https://sts.example.com/"] {
            assert_eq!(host_with([region, (endpoint, text)], Some("eu-1")).unwrap(), "sts.example.com");
        }
        assert_eq!(host_with([(endpoint, "localhost:8443")], None).unwrap(), "localhost:8443");
        for text in ["http://sts.example.com", "a/b", "user@host", "a b", "a:99999", "a:"] {
            assert!(matches!(host_with([(endpoint, text)], None), Err(NoCredential::Failed(_))), "{text}");
        }
    }

    #[test]
    fn a_region_cannot_lead_to_another_host() {
        for region in ["evil.example/", "evil.example#", "a.b", "a@b", "a:1", "ü"] {
            assert!(matches!(host_with([], Some(region)), Err(NoCredential::Failed(_))), "{region}");
        }
    }
}
