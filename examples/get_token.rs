//! Prints a bearer token for the configured application, and nothing else, on one line:
//!
//! ```console
//! $ curl -H "Authorization: Bearer $(cargo run -q --example get_token)" https://api.example.com/
//! ```
//!
//! The configuration is found as the vendor's tools find it: at `CLOUD_IDAAS_CONFIG_PATH`, else at
//! `~/.cloud_idaas/client-config.json`. What goes wrong is told on stderr, with exit code 1.
//! `RUST_LOG=debug` tells what happens meanwhile; no level shows a secret.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use tower_idaas::{BoxError, ConfigError, Idaas, Token};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // A failed fetch is told at the end, once.
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,tower_idaas::refresh=off"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    log.with_ansi(stderr().is_terminal()).init();
    match get_token().await {
        Ok(token) => {
            println!("{}", token.expose_token());
            ExitCode::SUCCESS
        }
        Err(error) => {
            explain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn get_token() -> Result<Token, BoxError> {
    let idaas = Idaas::from_env()?;
    Ok(idaas.token().await?)
}

/// The error and its causes, a line each; the faults of a configuration as a list.
fn explain(error: &BoxError) {
    match error.downcast_ref::<ConfigError>() {
        Some(faults) => eprintln!("error: {faults:#}"),
        None => eprintln!("error: {error}"),
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
}
