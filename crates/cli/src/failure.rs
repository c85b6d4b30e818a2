//! What ends the program, and with which exit code.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _, stderr};
use std::process::ExitCode;

use tower_idaas::aliyun::ConsentRequired;
use tower_idaas::{BoxError, ConfigError, ConfigFault};

use crate::output::{note, print};

/// What the help says of exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed: no token, no credentials, or something to correct
  2  the arguments are not understood
  3  the configuration cannot be used
  4  a user must consent first, at the address on stderr (oauth-token)";

const UNUSABLE_CONFIG: u8 = 3;
const CONSENT_REQUIRED: u8 = 4;

#[derive(Debug)]
pub(crate) enum Failure {
    /// What failed is reported already, or stdout is closed and its reader has gone.
    Reported,
    /// A signal has ended the command: the exit code that a shell shows then.
    Signal(u8),
    /// What keeps the configuration from use is reported already.
    UnusableConfig,
    /// The arguments are not understood, or ask for help.
    Usage(clap::Error),
    Error(BoxError),
}

impl Failure {
    /// Writes the error to stderr.
    pub(crate) fn report(&self) -> ExitCode {
        let error = match self {
            Self::Reported => return ExitCode::FAILURE,
            Self::Usage(error) => return explained(error),
            Self::Signal(code) => return ExitCode::from(*code),
            Self::UnusableConfig => return ExitCode::from(UNUSABLE_CONFIG),
            Self::Error(error) => error,
        };
        let error = &**error;
        if let Some(consent) = error.downcast_ref().and_then(ConsentRequired::of) {
            let _ = stderr().write_all(invitation(consent).as_bytes());
            return ExitCode::from(CONSENT_REQUIRED);
        }
        let _ = stderr().write_all(text(error).as_bytes());
        match error.downcast_ref::<ConfigError>() {
            Some(_) => ExitCode::from(UNUSABLE_CONFIG),
            None => ExitCode::FAILURE,
        }
    }

    /// Whether the same may work in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Reported | Self::Signal(_) | Self::UnusableConfig | Self::Usage(_) => false,
            Self::Error(error) => error.downcast_ref().is_some_and(tower_idaas::Error::is_transient),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Reported,
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

/// In one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str("it failed"),
            Self::Signal(_) => f.write_str("it was interrupted"),
            Self::UnusableConfig => f.write_str("the configuration cannot be used"),
            Self::Usage(error) => error.fmt(f),
            Self::Error(error) => error.fmt(f),
        }
    }
}

/// Prints what arguments alone lead to: help, the version, or what is not understood. A help that cannot be written is a
/// failure, as all that is printed is.
fn explained(error: &clap::Error) -> ExitCode {
    // An argument that another program has passed on must not steer the terminal.
    let shown = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    let text: String = error.render().to_string().chars().map(shown).collect();
    if error.use_stderr() {
        note(&text);
        return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    match print(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::from(error).report(),
    }
}

/// The address is on a line of its own, so that it can be copied.
fn invitation(consent: &ConsentRequired) -> String {
    // A server's text must not steer the terminal.
    let is_of_address = |c: &char| c.is_ascii_graphic() || c.is_alphanumeric();
    let address: String = consent.expose_authorization_url().chars().filter(is_of_address).collect();
    format!(
        "error: {consent}; hand this address to that user alone, then run the command again:\n  {address}\n"
    )
}

/// Whether there is no configuration file.
fn is_missing(error: &ConfigError) -> bool {
    let cause = |fault: &ConfigFault| fault.source()?.downcast_ref::<io::Error>().map(io::Error::kind);
    let is_it = |fault: &ConfigFault| fault.key().is_empty() && cause(fault) == Some(io::ErrorKind::NotFound);
    error.faults().iter().any(is_it)
}

/// The error and its causes, a line each; the faults of a configuration as a list.
fn text(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let mut text = match error.downcast_ref::<ConfigError>() {
        Some(faults) => format!("error: {faults:#}\n"),
        None => format!("error: {error}\n"),
    };
    if error.downcast_ref().is_some_and(is_missing) {
        text.push_str("  or give the path of another file with `--config`\n");
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  caused by: {error}");
        cause = error.source();
    }
    text
}
