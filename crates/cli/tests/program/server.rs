//! The program while it runs as a server.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// Ends with the test at the latest.
pub(crate) struct Running {
    child: Option<Child>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
        command.args(arguments).env_clear().envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child: Some(child), stdout }
    }

    /// The next line on stdout, without its end; empty at the end of stdout.
    pub(crate) async fn line(mut self) -> (Self, String) {
        let read = move || {
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            (self, line.trim_end().to_owned())
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// What is left on stdout and stderr after this signal.
    pub(crate) async fn end(mut self, signal: &'static str) -> Output {
        let wait = move || {
            let child = self.child.take().unwrap();
            let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            assert!(status.success());
            let mut stdout = Vec::new();
            self.stdout.read_to_end(&mut stdout).unwrap();
            let output = child.wait_with_output().unwrap();
            Output { stdout, ..output }
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }

    /// When it ends by itself.
    pub(crate) async fn ended(mut self) -> Output {
        let wait = move || {
            let child = self.child.take().unwrap();
            let mut stdout = Vec::new();
            self.stdout.read_to_end(&mut stdout).unwrap();
            Output { stdout, ..child.wait_with_output().unwrap() }
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
