//! A signal ends every command, and leaves no files.
#![cfg(unix)]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tower_idaas_testing::Behaviour;

use super::{Fixture, assert_fails, run, text};

fn start(arguments: &[&str], variables: &[(&str, &str)], temporary: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).env("TMPDIR", temporary);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn end(child: Child, signal: &'static str) -> Output {
    let end = move || {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(end).await.unwrap()
}

/// Whether this process, and so what it starts, ignores SIGINT: shells start background commands like that.
fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|set| u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & 0b10 != 0))
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_command_that_waits_is_ended_by_the_signal_and_leaves_nothing_half_written() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let (temporary, cache) = (fixture.folder.path().join("temporary"), fixture.folder.path().join("cache"));
    std::fs::create_dir(&temporary).unwrap();
    let cached = ["token", &format!("--cache={}", cache.display())];
    fixture.server.set_behaviour(Behaviour::Hold);
    let signals = [(&["token"][..], "-INT", 2), (&cached, "-INT", 2), (&cached, "-TERM", 15)];
    let signals = signals.into_iter().filter(|(_, signal, _)| *signal != "-INT" || !ignores_interrupts());
    for (count, (arguments, signal, number)) in signals.enumerate() {
        let child = start(arguments, &variables, &temporary);
        fixture.server.wait_for_requests(count + 1).await;
        let output = end(child, signal).await;
        // A shell shows 128 more.
        assert_eq!(output.status.signal(), Some(number));
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{}", text(&output.stderr));
    }
    assert!(names_in(&temporary).is_empty());
    assert!(names_in(&cache).iter().all(|name| name.starts_with("lock-")));
}

#[tokio::test]
async fn what_has_temporary_files_removes_them() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, signal, codes) in [
        (&["emulate"][..], "-INT", [0, 0]),
        (&["emulate"], "-TERM", [0, 0]),
        // It may have ended before the signal comes.
        (&["doctor", "--demo"], "-INT", [130, 0]),
        (&["doctor", "--demo=endpoint-down"], "-TERM", [143, 1]),
    ] {
        let child = start(arguments, &[], folder.path());
        let begun = std::time::Instant::now();
        while names_in(folder.path()).is_empty() && begun.elapsed().as_secs() < 10 {
            tokio::task::yield_now().await;
        }
        let output = end(child, signal).await;
        let code = output.status.code();
        assert!(codes.iter().any(|it| Some(*it) == code), "{arguments:?}: {output:?}");
        assert!(names_in(folder.path()).is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn without_a_place_for_temporary_files_what_to_do_is_said() {
    for (arguments, expected) in [(&["emulate"][..], "--dir"), (&["doctor", "--demo"], "set TMPDIR")] {
        let output = run(arguments, &[("TMPDIR", "/nowhere/temporary")]).await;
        assert_fails(&output, 1, &["/nowhere/temporary", expected]);
    }
}
