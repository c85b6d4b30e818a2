//! The program `idaas` as a shell sees it: stdout, stderr, exit codes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod cache;
mod callers;
mod cloud_role;
mod config;
mod credentials_server;
mod emulate;
mod exec_credential;
mod generated;
#[cfg(target_os = "linux")]
#[allow(unreachable_pub)]
#[path = "../../../../tests/support/hanging.rs"]
mod hanging;
#[cfg(target_os = "linux")]
mod hanging_files;
mod help;
mod samples;
mod server;
mod signals;
mod stored_secrets;
mod terminal;
mod token;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tower_idaas_testing::{ClientAuthentication, TestIdaas};

/// The program with these arguments and variables, and no others that matter to it.
async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    run_with(arguments, variables, "").await
}

/// The same with this on stdin.
async fn run_with(arguments: &[&str], variables: &[(&str, &str)], input: impl AsRef<[u8]>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.as_ref().to_vec();
    let run = move || {
        let mut child = command.spawn().unwrap();
        // A program that does not read it has ended already.
        let _ = child.stdin.take().unwrap().write_all(&input);
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
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

    /// With the right secret.
    async fn run(&self, arguments: &[&str]) -> Output {
        run(arguments, &self.variables(self.server.secret().expose_secret())).await
    }
}

/// The path of a named pipe in this folder, which has no writer.
#[cfg(unix)]
fn named_pipe(folder: &std::path::Path) -> String {
    let path = folder.join("pipe").to_str().unwrap().to_owned();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// A pipe whose reader has gone.
fn closed_pipe() -> Stdio {
    let (_reader, writer) = std::io::pipe().unwrap();
    writer.into()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What is on stdout, of a program that has done what it should and said nothing else.
fn done(output: &Output) -> &str {
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// This exit code, nothing on stdout, and one block on stderr that begins like an error and holds `expected`.
fn assert_fails(output: &Output, code: i32, expected: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "no `{part}` in {stderr}");
    }
}
