//! Arguments: nothing is fetched before they are understood.

use std::process::Command;

use tower_idaas_testing::TestIdaas;

use super::{Fixture, assert_fails, closed_pipe, done, run, text};

#[tokio::test]
async fn help_and_version_fetch_nothing() {
    let fixture = Fixture::new().await;
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["token", "--help"],
        &["cloud-role", "--help"],
        &["api-key", "--help"],
        &["oauth-token", "--help"],
        &["doctor", "--help"],
        &["config", "--help"],
        &["exec-credential", "--help"],
        &["emulate", "--help"],
        &["credentials-server", "--help"],
        &["config", "new", "--help"],
        &["help", "token"],
    ] {
        let output = fixture.run(arguments).await;
        assert!(done(&output).contains("idaas"), "{arguments:?}");
    }
    assert_eq!(fixture.server.token_requests(), 0);
}

#[tokio::test]
async fn arguments_that_are_not_understood_fetch_nothing_and_are_reported_with_exit_code_2() {
    let fixture = Fixture::new().await;
    for arguments in [
        &[][..],
        &["tokn"],
        &["token", "--scop", "api://a|read"],
        &["token", "--scope", "no scope at all"],
        &["token", "--format", "yaml"],
        &["token", "api://a|read"],
        &["cloud-role"],
        &["api-key"],
        &["api-key", " "],
        &["oauth-token", ""],
        &["cloud-role", " "],
        &["cloud-role", "acs:ram::1:role/\nx"],
        &["cloud-role", "acs:ram::1:role/x", "--session-duration", "14m"],
        &["cloud-role", "acs:ram::1:role/x", "--session-duration", "900500ms"],
        &["cloud-role", "acs:ram::1:role/x", "--idaas-scope", "no scope at all"],
        &["credentials-server", " "],
        &["credentials-server", "acs:ram::1:role/x", "--session-duration", "13h"],
        &["api-key", "model", "--idaas-scope", "no scope at all"],
        &["oauth-token"],
        &["token", "--refresh"],
        &["credentials-server"],
        &["credentials-server", "acs:ram::1:role/x", "--port", "65536"],
        &["emulate", "--token-life", "long"],
        &["emulate", "--fault", "none"],
        &["exec-credential", "--scope", "no scope at all"],
        &["doctor", "--demo=nothing"],
    ] {
        let output = fixture.run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("--help"), "{arguments:?}");
    }
    assert_eq!(fixture.server.token_requests(), 0);
}

#[tokio::test]
async fn the_help_of_each_command_lists_the_exit_codes() {
    for command in [
        "token",
        "cloud-role",
        "api-key",
        "oauth-token",
        "doctor",
        "config",
        "exec-credential",
        "credentials-server",
        "emulate",
    ] {
        let output = run(&[command, "--help"], &[]).await;
        for code in ["3  the configuration cannot be used", "4  a user must consent first"] {
            assert!(done(&output).contains(code), "{command}");
        }
    }
}

#[tokio::test]
async fn the_exit_code_of_the_doctor_is_that_of_the_command_that_fetches_a_token() {
    let fixture = Fixture::new().await;
    assert!(done(&fixture.run(&["doctor"]).await).ends_with("A token is issued.\n"));
    assert!(done(&run(&["doctor", "--demo"], &[]).await).contains("demonstration"));
    let [config, roots, _] = fixture.variables("");
    let wrong = (TestIdaas::SECRET_VARIABLE, "marker-of-a-wrong-secret");
    let nowhere = ("CLOUD_IDAAS_CONFIG_PATH", "/nowhere/client-config.json");
    for (variables, code) in [
        (&[config, roots, wrong][..], 1),
        (&[config, roots], 3),
        (&[config, wrong, ("SSL_CERT_FILE", "/nowhere/roots.pem")], 3),
        (&[nowhere], 3),
    ] {
        for command in ["doctor", "token"] {
            let output = run(&[command], variables).await;
            assert_eq!(output.status.code(), Some(code), "{command} {variables:?}");
        }
    }
    for (fault, code) in
        [("wrong-secret", 1), ("endpoint-down", 1), ("missing-variable", 3), ("typo-in-key", 3)]
    {
        let output = run(&["doctor", &format!("--demo={fault}")], &[]).await;
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(code), ""), "{fault}");
    }
    let output = run(&["doctor", "--json", "/nowhere/client-config.json"], &[]).await;
    assert_eq!(output.status.code(), Some(3));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.get("healthy"), report.get("demo")), (Some(&false.into()), Some(&false.into())));
}

#[tokio::test]
async fn help_that_cannot_be_written_is_a_failure_and_a_reader_that_has_gone_is_none_to_report() {
    for arguments in [&["--help"][..], &["--version"], &["token", "--help"], &["help", "token"]] {
        let start = |stdout: std::process::Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
            command.args(arguments).env_clear().stdout(stdout).output().unwrap()
        };
        let output = start(closed_pipe());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), ""), "{arguments:?}");
        if cfg!(target_os = "linux") {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            assert_fails(&start(full.into()), 1, &["stdout cannot be written", "o space left"]);
        }
    }
}

#[tokio::test]
async fn an_argument_that_is_not_understood_does_not_steer_the_terminal() {
    for arguments in
        [&["config", "explain", "a\u{1b}[2Jb"][..], &["token", "\u{1b}]0;x\u{7}"], &["man", "\u{9b}c"]]
    {
        let output = run(arguments, &[]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(!text(&output.stderr).contains(|c: char| c.is_control() && c != '\n'), "{arguments:?}");
    }
}
