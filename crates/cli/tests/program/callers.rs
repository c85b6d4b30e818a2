//! Programs that call this one, as small scripts: what they read of it, and what of its stderr reaches their users.
#![cfg(unix)]

use std::process::{Command, Output, Stdio};

use super::cloud_role::{AWS, fixture};
use super::{Fixture, done, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_idaas");
const CALLERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/callers");

async fn call(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("sh");
    command.arg(format!("{CALLERS}/{script}")).args(arguments).env_clear().envs(variables.iter().copied());
    // For `sed` and `tr`.
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_credential_process_of_aws_is_understood() {
    let (fixture, _api) = fixture().await;
    let profile = fixture.folder.path().join("aws-config");
    let cache = fixture.folder.path().join("cache");
    let line = format!("{PROGRAM} cloud-role {AWS} --format aws --cache={}", cache.display());
    std::fs::write(&profile, format!("[profile reader]\nregion = us-east-1\ncredential_process = {line}\n"))
        .unwrap();
    let secret = fixture.server.secret();
    let profile = ("AWS_CONFIG_FILE", profile.to_str().unwrap());
    let variables = [&fixture.variables(secret.expose_secret())[..], &[profile]].concat();
    let output = call("credential_process.sh", &[], &variables).await;
    let names: Vec<&str> = done(&output).lines().map(|line| line.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"]);
    // An SDK runs it each time that a process starts.
    let again = call("credential_process.sh", &[], &variables).await;
    assert_eq!(done(&again), done(&output));
}

#[tokio::test]
async fn kubectl_takes_the_credential_and_its_user_reads_why_there_is_none() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let plugin = [PROGRAM, "exec-credential"];
    let output = call("kubectl.sh", &plugin, &fixture.variables(secret.expose_secret())).await;
    let header = done(&output).trim_end();
    assert_eq!(header.strip_prefix("Authorization: Bearer ").unwrap().split('.').count(), 3);

    let output = call("kubectl.sh", &plugin, &fixture.variables("marker-of-a-wrong-secret")).await;
    let stderr = text(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(stderr.contains("invalid_client") && !stderr.contains("marker-of-a-wrong-secret"), "{stderr}");
}
