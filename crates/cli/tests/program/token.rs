//! `idaas token`.

use std::process::{Command, Stdio};

use base64::Engine;
use tower_idaas_testing::TestIdaas;

use super::{Fixture, assert_fails, closed_pipe, done, run, run_with, text};

#[tokio::test]
async fn a_token_is_one_line_on_stdout_and_nothing_else_is() {
    let fixture = Fixture::new().await;
    let output = fixture.run(&["token"]).await;
    let token = done(&output).strip_suffix('\n').unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert!(!token.contains(char::is_whitespace));
}

#[tokio::test]
async fn at_the_finest_log_level_stderr_has_every_step_and_no_secret() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let mut variables = fixture.variables(secret.expose_secret()).to_vec();
    variables.push(("RUST_LOG", "trace"));
    let output = run(&["token"], &variables).await;
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(stdout.lines().count(), 1);
    assert!(stderr.contains("token fetched"), "{stderr}");
    assert!(!stderr.contains(secret.expose_secret()));
    assert!(!stderr.contains(stdout.trim_end()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_filter_of_events_that_is_not_understood_is_reported_and_not_shown() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    for (filter, is_understood) in [
        (&b"marker=loud"[..], false),
        (b"marker\xff", false),
        (b"debgumarker", false),
        (b"Warn,markerinfo", false),
        (b"error,tower_idaas=error", true),
        (b"off,tower_test", true),
        (b"tower_idaas=error", true),
        (b"", true),
        (b" ", true),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
        command.arg("token").env_clear().envs(fixture.variables(secret.expose_secret()));
        command.env("RUST_LOG", OsStr::from_bytes(filter));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(
            (output.status.success(), stderr.is_empty()),
            (true, is_understood),
            "{filter:?}: {stderr}"
        );
        assert!(is_understood || stderr.starts_with("warning: RUST_LOG is not understood"), "{stderr}");
        assert!(stderr.lines().count() <= 1 && !stderr.contains("marker"), "{stderr}");
    }
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let output = run(&["token"], &[("CLOUD_IDAAS_CONFIG_PATH", "/nowhere/client-config.json")]).await;
    assert_fails(&output, 3, &["/nowhere/client-config.json", "does not exist"]);
}

#[tokio::test]
async fn an_unreadable_file_is_distinguished_from_a_missing_one() {
    let fixture = Fixture::new().await;
    let folder = fixture.folder.path().to_str().unwrap();
    let output = run(&["token"], &[("CLOUD_IDAAS_CONFIG_PATH", folder)]).await;
    assert_fails(&output, 3, &[folder, "directory"]);
}

#[tokio::test]
async fn a_missing_variable_is_named_with_every_other_fault() {
    let fixture = Fixture::new().await;
    let config = std::fs::read_to_string(&fixture.config).unwrap();
    std::fs::write(&fixture.config, config.replace("clientId", "clientID")).unwrap();
    let variables = fixture.variables("");
    let output = run(&["token"], variables.get(..2).unwrap()).await;
    assert_fails(
        &output,
        3,
        &["`clientId` is missing", TestIdaas::SECRET_VARIABLE, "is not set", "faults:\n  - "],
    );
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_not_shown() {
    let fixture = Fixture::new().await;
    let output = run(&["token"], &fixture.variables("marker-of-a-wrong-secret")).await;
    assert_fails(&output, 1, &["invalid_client", "request id", "check the client id and its credentials"]);
    assert!(!text(&output.stderr).contains("marker-of-a-wrong-secret"));
}

#[tokio::test]
async fn a_dead_endpoint_is_named_with_the_cause() {
    let fixture = Fixture::new().await;
    fixture.server.down().await;
    let output = run(&["token"], &fixture.variables("any")).await;
    assert_fails(&output, 1, &["connection refused", &fixture.server.token_endpoint(), "caused by: "]);
}

#[tokio::test]
async fn an_untrusted_certificate_is_distinguished_from_a_dead_endpoint() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    let mut variables = fixture.variables("any");
    let [_, roots, _] = &mut variables;
    roots.1 = &other.roots;
    let output = run(&["token"], &variables).await;
    assert_fails(&output, 1, &["no TLS connection", "SSL_CERT_FILE"]);
}

#[tokio::test]
async fn another_configuration_and_another_scope_are_used_when_they_are_given() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let [_, roots, variable] = fixture.variables(secret.expose_secret());
    let output = run(&["token", "--config", &fixture.config], &[roots, variable]).await;
    assert_eq!(done(&output).trim_end().split('.').count(), 3);
    let output = fixture.run(&["token", "--scope", "api://other|read"]).await;
    let payload = done(&output).split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    assert!(text(&claims).contains("api://other"), "{}", text(&claims));
}

#[tokio::test]
async fn the_formats_are_a_header_and_json() {
    let fixture = Fixture::new().await;
    let output = fixture.run(&["token", "--format", "header"]).await;
    let header = done(&output).strip_suffix('\n').unwrap();
    assert!(header.starts_with("Authorization: Bearer eyJ") && !header.contains('\n'), "{header}");
    let output = fixture.run(&["token", "--format", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(done(&output)).unwrap();
    assert_eq!(json.get("token_type").unwrap(), "Bearer");
    assert!((1_190..=1_200).contains(&json.get("expires_in").unwrap().as_u64().unwrap()), "{json}");
    assert!(json.get("expires_at").unwrap().as_str().unwrap().ends_with('Z'));
    assert!(json.get("access_token").unwrap().as_str().unwrap().starts_with("eyJ"));
}

#[tokio::test]
async fn a_subject_token_is_exchanged_from_a_file_and_from_stdin() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let subject = fixture.server.user_token("alice", fixture.server.scope()).unwrap();
    let subject = subject.expose_secret();
    let file = fixture.folder.path().join("subject");
    std::fs::write(&file, format!("{subject}\n")).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let from_file = fixture.run(&["token", "--exchange", file.to_str().unwrap()]).await;
    let from_stdin =
        run_with(&["token", "--exchange", "-"], &variables, &format!("\u{feff}{subject}\n")).await;
    for output in [from_file, from_stdin] {
        let token = done(&output).trim_end();
        assert!(token.split('.').count() == 3 && token != subject);
    }
    assert_fails(
        &run_with(&["token", "--exchange", "-"], &variables, " \n").await,
        1,
        &["stdin is blank; write the subject token to it"],
    );
    for (input, expected) in [
        (b"marker\xff".to_vec(), "stdin is not UTF-8 text; write the subject token to it"),
        ("\u{e9}".repeat(1 << 20).into_bytes(), "stdin holds more than 1 MiB"),
    ] {
        let output = run_with(&["token", "--exchange", "-"], &variables, input).await;
        assert_fails(&output, 1, &[expected]);
        assert!(!text(&output.stderr).contains("marker"));
    }
    assert_fails(&fixture.run(&["token", "--exchange", "/nowhere/subject"]).await, 1, &["/nowhere/subject"]);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_panic_and_a_full_disk_is_reported() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret()).map(|(name, value)| (name, value.to_owned()));
    let start = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
        command.arg("token").env_clear().envs(variables.clone()).stdout(out).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let child = start(closed_pipe());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), ""));
    if cfg!(target_os = "linux") {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = start(full.into());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        assert_fails(&output, 1, &["stdout cannot be written", "o space left"]);
    }
}
