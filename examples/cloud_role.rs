//! Prints STS credentials of an Alibaba Cloud RAM role, got for a token of IDaaS, as the Aliyun CLI reads them
//! from an external process:
//!
//! ```console
//! $ aliyun configure set --profile idaas --mode External --process-command "cloud_role <role ARN>"
//! $ aliyun sts GetCallerIdentity --profile idaas
//! ```
//!
//! **What it prints on stdout is secret**: that is its purpose. Everything else goes to stderr.
//!
//! With a role's ARN as argument, `CLOUD_IDAAS_CONFIG_PATH` must name a configuration with `developerApiEndpoint`.
//! Without an argument it runs offline, against an IDaaS and a DeveloperAPI in this process, whose credentials
//! open nothing:
//!
//! ```console
//! $ cargo run --example cloud_role
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::process::ExitCode;

use serde_json::{Value, json};
use tower_idaas::aliyun::CloudCredentials;
use tower_idaas::authn::ClientSecretBasic;
use tower_idaas::{BoxError, ConfigError, Idaas, SecretSource};
use tower_idaas_testing::{CloudVendor, TestIdaas};

const CONFIG: &str = "CLOUD_IDAAS_CONFIG_PATH";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let credentials = match std::env::args().nth(1) {
        Some(role) if std::env::var_os(CONFIG).is_some() => credentials(&role).await,
        Some(_) => Err(format!("{CONFIG} is not set; set it to the path of a client-config.json").into()),
        None => {
            eprintln!("offline; for real credentials set {CONFIG}, and give a role's ARN as argument");
            credentials_of_a_made_up_role().await
        }
    };
    match credentials.and_then(|credentials| as_external_process(&credentials)) {
        Ok(credentials) => {
            println!("{credentials:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            explain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn credentials(role: &str) -> Result<CloudCredentials, BoxError> {
    let idaas = Idaas::from_env()?;
    Ok(idaas.cloud_role(role)?.credentials().await?)
}

async fn credentials_of_a_made_up_role() -> Result<CloudCredentials, BoxError> {
    let role = "acs:ram::1234567890123456:role/reader";
    let server = TestIdaas::start().await?;
    let developer_api = server.start_developer_api().await?;
    developer_api.add_role(role, CloudVendor::AlibabaCloud);

    let idaas = Idaas::builder()
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(server.client_id())
        .issuer(server.issuer())
        .token_endpoint(server.token_endpoint())
        .developer_api_endpoint(developer_api.endpoint())
        .scope("urn:cloud:idaas:pam|.all")
        .authenticator(ClientSecretBasic::new(SecretSource::value(server.secret())))
        .root_certificate(server.root_certificate_pem())
        .build()?;
    Ok(idaas.cloud_role(role)?.credentials().await?)
}

/// The JSON that the Aliyun CLI's mode `External` takes.
fn as_external_process(credentials: &CloudCredentials) -> Result<Value, BoxError> {
    let token = credentials.alibaba_cloud().ok_or("the role is not one of Alibaba Cloud")?;
    Ok(json!({
        "mode": "StsToken",
        "access_key_id": token.access_key_id(),
        "access_key_secret": token.access_key_secret().expose_secret(),
        "sts_token": token.security_token().expose_secret(),
        "expiration": humantime::format_rfc3339_seconds(token.expires_at()).to_string(),
    }))
}

/// The error and its causes, a line each; the faults of a configuration as a list.
fn explain(error: &BoxError) {
    match error.downcast_ref::<ConfigError>() {
        Some(faults) => eprintln!("error: {faults:#}"),
        None => eprintln!("error: {error}"),
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
}
