//! Arguments: nothing is fetched before they are understood.

use super::{Fixture, done, text};

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
        let output = super::run(&[command, "--help"], &[]).await;
        for code in ["3  the configuration cannot be used", "4  a user must consent first"] {
            assert!(done(&output).contains(code), "{command}");
        }
    }
}

#[tokio::test]
async fn the_doctor_is_well_when_a_token_comes_and_ends_with_code_1_when_none_does() {
    let fixture = Fixture::new().await;
    assert!(done(&fixture.run(&["doctor"]).await).ends_with("A token is issued.\n"));
    assert!(done(&super::run(&["doctor", "--demo"], &[]).await).contains("demonstration"));
    let output = super::run(&["doctor", "--json", "/nowhere/client-config.json"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.get("healthy"), report.get("demo")), (Some(&false.into()), Some(&false.into())));
}
