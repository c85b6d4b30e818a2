//! What is made from the definitions of the arguments, and what holds for all that is printed.

use std::process::{Command, Stdio};

use super::{Fixture, closed_pipe, done, run, text};

const COMMANDS: [&str; 11] = [
    "token",
    "cloud-role",
    "api-key",
    "oauth-token",
    "exec-credential",
    "credentials-server",
    "config",
    "doctor",
    "emulate",
    "completions",
    "man",
];

#[tokio::test]
async fn completions_and_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completions", shell], &[]).await;
        let script = done(&output);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let page = run(&["man"], &[]).await;
    assert!(done(&page).contains(".TH idaas 1"));
    for command in COMMANDS {
        let page = run(&["man", command], &[]).await;
        assert!(done(&page).contains(".SH SYNOPSIS"), "{command}");
        assert!(done(&page).contains(&format!("idaas {command}").replace('-', "\\-")), "{command}");
    }
    assert_eq!(run(&["man", "nothing"], &[]).await.status.code(), Some(2));
    assert_eq!(run(&["completions", "csh"], &[]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_panic_whatever_is_printed() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret()).map(|(name, value)| (name, value.to_owned()));
    for arguments in [
        &["exec-credential"][..],
        &["config", "new", "OIDC"],
        &["config", "explain"],
        &["config", "schema"],
        &["config", "check"],
        &["completions", "bash"],
        &["man"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
        command.args(arguments).env_clear().envs(variables.clone());
        // The reader has gone before the program starts: otherwise one that is quick would have printed by then.
        command.stdout(closed_pipe()).stderr(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), ""), "{arguments:?}");
    }
}
