//! The example `get_token`, run as a program: what a shell sees of it.
#![cfg(feature = "transport")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tower_idaas_testing::{ClientAuthentication, TestIdaas};

/// Cargo builds examples for a test run, two folders up from the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    folder.join("examples").join(format!("get_token{}", std::env::consts::EXE_SUFFIX))
}

/// The program with these variables and no others that matter to it.
async fn run(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    command.env_clear().envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || command.output().expect("the example is built")).await.unwrap()
}

struct Fixture {
    server: TestIdaas,
    config: String,
    roots: String,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let server = TestIdaas::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let config = path(server.write_config(folder.path(), ClientAuthentication::SecretBasic).unwrap());
        let roots = path(server.write_root_certificate(folder.path()).unwrap());
        Self { server, config, roots, folder }
    }

    fn variables<'a>(&'a self, secret: &'a str) -> [(&'a str, &'a str); 3] {
        [
            ("CLOUD_IDAAS_CONFIG_PATH", &self.config),
            ("SSL_CERT_FILE", &self.roots),
            (TestIdaas::SECRET_VARIABLE, secret),
        ]
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Exit code 1, nothing on stdout, and one block on stderr that begins like an error and holds `expected`.
fn assert_fails(output: &Output, expected: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "no `{part}` in {stderr}");
    }
}

#[tokio::test]
async fn a_token_is_one_line_on_stdout_and_nothing_else_is() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let output = run(&fixture.variables(secret.expose_secret())).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let token = text(&output.stdout).strip_suffix('\n').unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert!(!token.contains(char::is_whitespace));
}

#[tokio::test]
async fn at_the_finest_log_level_stderr_tells_the_story_and_no_secret() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let mut variables = fixture.variables(secret.expose_secret()).to_vec();
    variables.push(("RUST_LOG", "trace"));
    let output = run(&variables).await;
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(stdout.lines().count(), 1);
    assert!(stderr.contains("token fetched"), "{stderr}");
    assert!(!stderr.contains(secret.expose_secret()));
    assert!(!stderr.contains(stdout.trim_end()));
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let output = run(&[("CLOUD_IDAAS_CONFIG_PATH", "/nowhere/client-config.json")]).await;
    assert_fails(&output, &["/nowhere/client-config.json", "does not exist"]);
}

#[tokio::test]
async fn an_unreadable_file_is_told_from_a_missing_one() {
    let fixture = Fixture::new().await;
    let folder = fixture.folder.path().to_str().unwrap();
    let output = run(&[("CLOUD_IDAAS_CONFIG_PATH", folder)]).await;
    assert_fails(&output, &[folder, "directory"]);
}

#[tokio::test]
async fn a_missing_variable_is_named_with_every_other_fault() {
    let fixture = Fixture::new().await;
    let config = std::fs::read_to_string(&fixture.config).unwrap();
    std::fs::write(&fixture.config, config.replace("clientId", "clientID")).unwrap();
    let variables = fixture.variables("");
    let output = run(variables.get(..2).unwrap()).await;
    assert_fails(
        &output,
        &["`clientId` is missing", TestIdaas::SECRET_VARIABLE, "is not set", "faults:\n  - "],
    );
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_not_shown() {
    let fixture = Fixture::new().await;
    let output = run(&fixture.variables("marker-of-a-wrong-secret")).await;
    assert_fails(&output, &["invalid_client", "request id", "check the client id and its credentials"]);
    assert!(!text(&output.stderr).contains("marker-of-a-wrong-secret"));
}

#[tokio::test]
async fn a_dead_endpoint_is_named_with_the_cause() {
    let fixture = Fixture::new().await;
    fixture.server.down().await;
    let output = run(&fixture.variables("any")).await;
    assert_fails(&output, &["connection refused", &fixture.server.token_endpoint(), "caused by: "]);
}

#[tokio::test]
async fn an_untrusted_certificate_is_told_from_a_dead_endpoint() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    let mut variables = fixture.variables("any");
    let [_, roots, _] = &mut variables;
    roots.1 = &other.roots;
    let output = run(&variables).await;
    assert_fails(&output, &["no TLS connection", "SSL_CERT_FILE"]);
}
