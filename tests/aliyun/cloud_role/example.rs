//! The example `cloud_role`, run as a program. The credentials of a real role are the affair of `idaas cloud-role`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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

#[tokio::test]
async fn without_arguments_it_explains_in_words_and_shows_no_credential() -> Outcome {
    let output = run(&[], &[]).await;
    let stdout = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.starts_with("An offline lesson"), "{stdout}");
    assert!(!stdout.contains("STS.") && !stdout.contains('{'), "{stdout}");
    Ok(())
}

#[tokio::test]
async fn with_an_argument_it_names_the_program_that_prints_credentials_and_fails() -> Outcome {
    let output = run(&[ROLE], &[]).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("idaas cloud-role"));
    Ok(())
}
