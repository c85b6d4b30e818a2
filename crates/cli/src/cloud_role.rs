//! `idaas cloud-role`.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_idaas::aliyun::{CloudCredentials, CloudRole, CloudStsToken};
use tower_idaas::{BoxError, ConfigError, Idaas, Scope};

use crate::bearer::timestamp;
use crate::cache::{CacheArguments, Entry, Issued};
use crate::client::ConfigArguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::output::print;
use crate::{input, shell};

/// Prints credentials of a cloud role. What is printed on stdout is secret.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CloudRoleArguments {
    /// The ARN of the role, `acs:ram::…`, `arn:aws:iam::…` or `qcs::cam::…`
    #[arg(value_parser = input::name)]
    role: String,
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    session: SessionArguments,
    /// How the credentials are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    cache: CacheArguments,
}

/// How a role is assumed.
#[derive(Args, Debug)]
pub(crate) struct SessionArguments {
    /// The scope of the token that IDaaS is called with [default: the configured one if its audience is
    /// urn:cloud:idaas:pam, else urn:cloud:idaas:pam|.all]
    #[arg(long, value_name = "SCOPE")]
    idaas_scope: Option<Scope>,
    /// How long the credentials live, from 15m to 12h; the role may allow less [default: what IDaaS chooses]
    #[arg(long, value_name = "DURATION", value_parser = session_duration)]
    session_duration: Option<Duration>,
}

impl SessionArguments {
    /// The handle of the role.
    pub(crate) fn role(&self, idaas: &Idaas, arn: &str) -> Result<CloudRole, ConfigError> {
        let mut role = idaas.cloud_role(arn)?;
        if let Some(scope) = &self.idaas_scope {
            role = role.with_scope(scope.clone());
        }
        match self.session_duration {
            Some(duration) => role.with_session_duration(duration),
            None => Ok(role),
        }
    }
}

fn session_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match duration.subsec_nanos() == 0 && (900..=43_200).contains(&duration.as_secs()) {
        true => Ok(duration),
        false => Err("is not from 15m to 12h, in whole seconds".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// One JSON object with everything in the response
    #[default]
    Json,
    /// Shell variables, for `eval`
    Env,
    /// What mode External of the Aliyun CLI reads
    Aliyun,
    /// What `credential_process` of the AWS CLI and SDKs reads
    Aws,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Serialize)]
enum Cloud {
    #[serde(rename = "alibaba-cloud")]
    Alibaba,
    #[serde(rename = "aws")]
    Aws,
    #[serde(rename = "tencent-cloud")]
    Tencent,
}

/// What the service issued. It has no `Debug`, because two of its fields are secret.
#[derive(Deserialize, Serialize)]
struct Credentials {
    cloud: Cloud,
    access_key_id: String,
    access_key_secret: String,
    security_token: String,
    expires_at: SystemTime,
    account_id: Option<String>,
    role_id: Option<String>,
    role_name: Option<String>,
    role_arn: Option<String>,
}

pub(crate) async fn run(arguments: CloudRoleArguments) -> Result<(), Failure> {
    let CloudRoleArguments { role, config, session, format, cache } = arguments;
    let role = session.role(&config.client()?, &role)?;
    let fetch = async {
        let value = Credentials::of(&role.credentials().await?)?;
        Ok(Issued { expires_at: value.expires_at, value })
    };
    let seconds = session.session_duration.map(|duration| duration.as_secs().to_string());
    let entry = Entry::new("cloud-role")
        .with(role.arn())
        .with_optional(session.idaas_scope.as_ref().map(Scope::as_str))
        .with_optional(seconds.as_deref());
    let credentials = cache.open(&config).await.get_or_fetch(&entry, fetch).await?;
    let text = match format {
        Format::Json => pretty(&credentials.everything()),
        Format::Env => credentials.variables()?,
        Format::Aliyun => pretty(&credentials.for_aliyun()?),
        Format::Aws => pretty(&credentials.for_aws()?),
    };
    Ok(print(&text)?)
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}

impl Credentials {
    fn of(credentials: &CloudCredentials) -> Result<Self, BoxError> {
        let (cloud, token) = match credentials.sts_token() {
            CloudStsToken::AlibabaCloud(token) => (Cloud::Alibaba, token),
            CloudStsToken::Aws(token) => (Cloud::Aws, token),
            CloudStsToken::TencentCloud(token) => (Cloud::Tencent, token),
            _ => return Err("the role is one of a cloud that this version of `idaas` does not know".into()),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Self {
            cloud,
            access_key_id: token.access_key_id().to_owned(),
            access_key_secret: token.access_key_secret().expose_secret().to_owned(),
            security_token: token.security_token().expose_secret().to_owned(),
            expires_at: token.expires_at(),
            account_id: owned(credentials.account_id()),
            role_id: owned(credentials.role_id()),
            role_name: owned(credentials.role_name()),
            role_arn: owned(credentials.role_arn()),
        })
    }

    fn everything(&self) -> Value {
        json!({
            "cloud": self.cloud,
            "access_key_id": self.access_key_id,
            "access_key_secret": self.access_key_secret,
            "security_token": self.security_token,
            "expires_at": timestamp(self.expires_at),
            "account_id": self.account_id,
            "role_id": self.role_id,
            "role_name": self.role_name,
            "role_arn": self.role_arn,
        })
    }

    /// `export` lines for a POSIX shell, with the variables that the tools of the cloud read.
    fn variables(&self) -> Result<String, BoxError> {
        let names = match self.cloud {
            Cloud::Alibaba => [
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                "ALIBABA_CLOUD_SECURITY_TOKEN",
            ],
            Cloud::Aws => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
            Cloud::Tencent => {
                ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SECURITY_TOKEN"]
            }
        };
        let values = [&self.access_key_id, &self.access_key_secret, &self.security_token];
        let mut text = String::new();
        for (name, value) in names.into_iter().zip(values) {
            writeln!(text, "export {name}={}", shell::quoted(value))?;
        }
        Ok(text)
    }

    /// Mode External: <https://github.com/aliyun/aliyun-cli>.
    fn for_aliyun(&self) -> Result<Value, BoxError> {
        self.check(Cloud::Alibaba, "the role is not one of Alibaba Cloud; choose another --format")?;
        Ok(json!({
            "mode": "StsToken",
            "access_key_id": self.access_key_id,
            "access_key_secret": self.access_key_secret,
            "sts_token": self.security_token,
            "expiration": timestamp(self.expires_at),
        }))
    }

    /// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sourcing-external.html>.
    fn for_aws(&self) -> Result<Value, BoxError> {
        self.check(Cloud::Aws, "the role is not one of AWS; choose another --format")?;
        Ok(json!({
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.access_key_secret,
            "SessionToken": self.security_token,
            "Expiration": timestamp(self.expires_at),
        }))
    }

    fn check(&self, cloud: Cloud, problem: &str) -> Result<(), BoxError> {
        if self.cloud == cloud { Ok(()) } else { Err(problem.into()) }
    }
}
