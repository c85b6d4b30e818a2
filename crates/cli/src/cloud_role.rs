//! `idaas cloud-role`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tower_idaas::BoxError;
use tower_idaas::aliyun::{CloudCredentials, CloudStsToken, StsToken};

use crate::arguments::{CloudRoleArguments, CredentialsFormat};
use crate::failure::Failure;
use crate::output::print;
use crate::token::client;

pub(crate) async fn run(arguments: CloudRoleArguments) -> Result<(), Failure> {
    let CloudRoleArguments { role, config, format } = arguments;
    let idaas = client(config)?;
    let credentials = idaas.cloud_role(&*role)?.credentials().await?;
    let shown = match format {
        CredentialsFormat::Json => pretty(&everything(&credentials)?),
        CredentialsFormat::Env => variables(&credentials)?,
        CredentialsFormat::Aliyun => pretty(&for_aliyun(&credentials)?),
        CredentialsFormat::Aws => pretty(&for_aws(&credentials)?),
    };
    Ok(print(&shown)?)
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}

/// A cloud, its STS token, and the variables that its tools read: id, secret and token.
struct OfCloud<'a> {
    name: &'static str,
    token: &'a StsToken,
    variables: [&'static str; 3],
}

fn of_cloud(credentials: &CloudCredentials) -> Result<OfCloud<'_>, BoxError> {
    Ok(match credentials.sts_token() {
        CloudStsToken::AlibabaCloud(token) => OfCloud {
            name: "alibaba-cloud",
            token,
            variables: [
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                "ALIBABA_CLOUD_SECURITY_TOKEN",
            ],
        },
        CloudStsToken::Aws(token) => OfCloud {
            name: "aws",
            token,
            variables: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
        },
        CloudStsToken::TencentCloud(token) => OfCloud {
            name: "tencent-cloud",
            token,
            variables: ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SECURITY_TOKEN"],
        },
        _ => return Err("the role is one of a cloud that this version of `idaas` does not know".into()),
    })
}

fn everything(credentials: &CloudCredentials) -> Result<Value, BoxError> {
    let OfCloud { name, token, .. } = of_cloud(credentials)?;
    Ok(json!({
        "cloud": name,
        "access_key_id": token.access_key_id(),
        "access_key_secret": token.access_key_secret().expose_secret(),
        "security_token": token.security_token().expose_secret(),
        "expires_at": expiration(token),
        "account_id": credentials.account_id(),
        "role_id": credentials.role_id(),
        "role_name": credentials.role_name(),
        "role_arn": credentials.role_arn(),
    }))
}

/// `export` lines for a POSIX shell.
fn variables(credentials: &CloudCredentials) -> Result<String, BoxError> {
    let OfCloud { token, variables, .. } = of_cloud(credentials)?;
    let values = [
        token.access_key_id(),
        token.access_key_secret().expose_secret(),
        token.security_token().expose_secret(),
    ];
    let mut text = String::new();
    for (name, value) in variables.into_iter().zip(values) {
        writeln!(text, "export {name}={}", quoted(value))?;
    }
    Ok(text)
}

/// In single quotes, where a shell leaves everything alone.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Mode External: <https://github.com/aliyun/aliyun-cli>.
fn for_aliyun(credentials: &CloudCredentials) -> Result<Value, BoxError> {
    let token =
        credentials.alibaba_cloud().ok_or("the role is not one of Alibaba Cloud; choose another --format")?;
    Ok(json!({
        "mode": "StsToken",
        "access_key_id": token.access_key_id(),
        "access_key_secret": token.access_key_secret().expose_secret(),
        "sts_token": token.security_token().expose_secret(),
        "expiration": expiration(token),
    }))
}

/// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sourcing-external.html>.
fn for_aws(credentials: &CloudCredentials) -> Result<Value, BoxError> {
    let CloudStsToken::Aws(token) = credentials.sts_token() else {
        return Err("the role is not one of AWS; choose another --format".into());
    };
    Ok(json!({
        "Version": 1,
        "AccessKeyId": token.access_key_id(),
        "SecretAccessKey": token.access_key_secret().expose_secret(),
        "SessionToken": token.security_token().expose_secret(),
        "Expiration": expiration(token),
    }))
}

fn expiration(token: &StsToken) -> String {
    humantime::format_rfc3339_seconds(token.expires_at()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_quoted_value_as_it_is() {
        for value in ["plain", "with 'quotes'", "$HOME `id` \\ \"x\"", "two\nlines", ""] {
            let script = format!("printf %s {}", quoted(value));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(output.stdout, value.as_bytes());
        }
    }
}
