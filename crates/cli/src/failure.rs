//! What ends the program, and with which exit code.

use std::fmt::Write as _;
use std::io::{self, Write as _, stderr};
use std::process::ExitCode;

use tower_idaas::{BoxError, ConfigError};

/// What the help says of exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed: no token, no credentials, or something to mend
  2  the arguments are not understood
  3  the configuration cannot be used";

const UNUSABLE_CONFIG: u8 = 3;

#[derive(Debug)]
pub(crate) enum Failure {
    /// What failed is told already, or stdout is closed and its reader has gone.
    Told,
    /// What keeps the configuration from use is told already.
    UnusableConfig,
    Error(BoxError),
}

impl Failure {
    /// Tells the error on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        let error = match self {
            Self::Told => return ExitCode::FAILURE,
            Self::UnusableConfig => return ExitCode::from(UNUSABLE_CONFIG),
            Self::Error(error) => error,
        };
        let _ = stderr().write_all(text(error).as_bytes());
        match error.downcast_ref::<ConfigError>() {
            Some(_) => ExitCode::from(UNUSABLE_CONFIG),
            None => ExitCode::FAILURE,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Told,
            _ => Self::Error(error.into()),
        }
    }
}

impl From<BoxError> for Failure {
    fn from(error: BoxError) -> Self {
        match error.downcast::<io::Error>() {
            Ok(error) => (*error).into(),
            Err(error) => Self::Error(error),
        }
    }
}

impl From<tower_idaas::Error> for Failure {
    fn from(error: tower_idaas::Error) -> Self {
        Self::Error(error.into())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Error(error.into())
    }
}

/// The error and its causes, a line each; the faults of a configuration as a list.
fn text(error: &BoxError) -> String {
    let mut text = match error.downcast_ref::<ConfigError>() {
        Some(faults) => format!("error: {faults:#}\n"),
        None => format!("error: {error}\n"),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  caused by: {error}");
        cause = error.source();
    }
    text
}
