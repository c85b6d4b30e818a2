//! In a terminal: colours where they belong, and the same data.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, ExitStatus, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{Fixture, run, text};

/// A pseudo-terminal: its screen, and a handle for programs.
fn terminal() -> (File, File) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let program = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
    (screen.into(), program)
}

/// What the program shows in a terminal, stdout and stderr.
async fn run_in_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> (ExitStatus, String) {
    let (mut screen, program) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.stdin(program.try_clone().unwrap()).stdout(program.try_clone().unwrap()).stderr(program);
    let run = move || {
        let mut child = command.spawn().unwrap();
        // This process's handles are in it; while they are open, the screen has no end.
        drop(command);
        let mut shown = Vec::new();
        // Where the last handle is closed, reading is an error, and what was read before stays.
        let _ = screen.read_to_end(&mut shown);
        (child.wait().unwrap(), String::from_utf8(shown).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_doctor_is_coloured_in_a_terminal_unless_colours_are_turned_off() {
    let (status, shown) = run_in_terminal(&["doctor", "--demo"], &[]).await;
    assert!(status.success() && shown.contains("\u{1b}[32mok"), "{shown}");
    for variables in [&[("NO_COLOR", "1")][..], &[("NO_COLOR", "1"), ("TERM", "xterm")], &[("TERM", "dumb")]]
    {
        let (_, shown) = run_in_terminal(&["doctor", "--demo"], variables).await;
        assert!(!shown.contains('\u{1b}') && shown.contains("A token is issued."), "{shown}");
    }
    let (_, shown) = run_in_terminal(&["doctor", "--demo", "--json"], &[]).await;
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let piped = run(&["doctor", "--demo"], &[]).await;
    assert!(!text(&piped.stdout).contains('\u{1b}'));
}

#[tokio::test]
async fn a_token_is_the_same_line_in_a_terminal_as_in_a_pipe() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let (status, shown) = run_in_terminal(&["token"], &fixture.variables(secret.expose_secret())).await;
    assert!(status.success(), "{shown}");
    let token = shown.strip_suffix("\r\n").unwrap();
    assert!(
        token.split('.').count() == 3 && !token.contains(char::is_whitespace) && !token.contains('\u{1b}')
    );
}

#[tokio::test]
async fn events_are_coloured_in_a_terminal_alone() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let variables = [&fixture.variables(secret.expose_secret())[..], &[("RUST_LOG", "debug")]].concat();
    let (_, shown) = run_in_terminal(&["token"], &variables).await;
    assert!(shown.contains("token fetched") && shown.contains('\u{1b}'), "{shown}");
    let plain = [&variables[..], &[("NO_COLOR", "1")]].concat();
    let (_, shown) = run_in_terminal(&["token"], &plain).await;
    assert!(shown.contains("token fetched") && !shown.contains('\u{1b}'), "{shown}");
    assert!(!text(&run(&["token"], &variables).await.stderr).contains('\u{1b}'));
}

#[tokio::test]
async fn an_error_in_a_terminal_is_plain_text() {
    let fixture = Fixture::new().await;
    let (status, shown) = run_in_terminal(&["token"], &fixture.variables("marker-of-a-wrong-secret")).await;
    assert_eq!(status.code(), Some(1));
    assert!(
        shown.starts_with("error: ") && !shown.contains('\u{1b}') && !shown.contains("marker"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_terminal_that_goes_away_is_no_panic() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let (screen, program) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
    command.arg("token").env_clear().envs(fixture.variables(secret.expose_secret()));
    command.stdin(program.try_clone().unwrap()).stdout(program).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(screen);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: ") && !stderr.contains("panicked"), "{stderr}");
}
