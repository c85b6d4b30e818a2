//! The example `cloud_role`, run as a program: what the Aliyun CLI sees of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tower_idaas_testing::{ClientAuthentication, CloudVendor, TestIdaas};

use crate::cloud_role::support::{Outcome, ROLE};

/// Cargo builds examples for a test run, two folders up from the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    folder.join("examples").join(format!("cloud_role{}", std::env::consts::EXE_SUFFIX))
}

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || command.output().expect("the example is built")).await.unwrap()
}

/// One JSON object that mode `External` takes, and nothing else on stdout; nothing of it on stderr.
fn assert_credentials(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let credentials: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(credentials["mode"], "StsToken");
    for name in ["access_key_id", "access_key_secret", "sts_token"] {
        let value = credentials[name].as_str().unwrap();
        assert!(!value.is_empty() && !stderr.contains(value));
    }
    humantime::parse_rfc3339(credentials["expiration"].as_str().unwrap()).unwrap();
    assert_eq!(credentials.as_object().unwrap().len(), 5);
    credentials
}

#[tokio::test]
async fn it_runs_offline() -> Outcome {
    let output = run(&[], &[]).await;
    assert_credentials(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("offline"));
    Ok(())
}

#[tokio::test]
async fn it_prints_a_real_roles_credentials_or_the_reason_why_not() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let api = issuer.start_developer_api().await?;
    api.add_role(ROLE, CloudVendor::AlibabaCloud);
    let folder = tempfile::tempdir()?;
    let roots = issuer.write_root_certificate(folder.path())?;
    let path = folder.path().join("client-config.json");
    let mut config: Value = serde_json::from_str(&issuer.client_config(ClientAuthentication::SecretBasic))?;
    config["developerApiEndpoint"] = json!(api.endpoint());
    std::fs::write(&path, config.to_string())?;
    let secret = issuer.secret();
    let variables = [
        ("CLOUD_IDAAS_CONFIG_PATH", path.to_str().unwrap()),
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
        (TestIdaas::SECRET_VARIABLE, secret.expose_secret()),
    ];
    let credentials = assert_credentials(&run(&[ROLE], &variables).await);
    assert!(credentials["access_key_id"].as_str().unwrap().starts_with("STS."));
    assert_eq!(api.issued(), 1);

    let unset = run(&[ROLE], &[]).await;
    assert_eq!((unset.status.code(), unset.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&unset.stderr).contains("CLOUD_IDAAS_CONFIG_PATH is not set"));

    let output = run(&["acs:ram::1:role/nobody"], &variables).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: ") && stderr.contains("check that IDaaS knows role"), "{stderr}");
    Ok(())
}
