//! `idaas`: tokens of Alibaba Cloud IDaaS for shells and for other programs.
//!
//! Data goes to stdout, everything else to stderr. What is secret is printed by the commands that exist for it, and by
//! them alone, after the arguments are understood; none is an argument, which a list of processes would show.

mod api_key;
mod arguments;
mod bearer;
mod cache;
mod client;
mod cloud_role;
mod config;
mod credentials_server;
mod doctor;
mod emulate;
mod exec_credential;
mod failure;
mod generated;
mod input;
mod oauth_token;
mod output;
mod shell;
mod shutdown;
mod token;

use std::io::stderr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tower_idaas::environment::Environment;
use tracing_subscriber::EnvFilter;

use self::arguments::{Arguments, Command};
use self::doctor::text::colours_wanted;
use self::failure::Failure;
use self::output::note;

/// The events that are shown.
const LOG: &str = "RUST_LOG";

/// What still runs when the command is done gets this long: time to stop a credential process, and no more for a
/// resolver or a file system that hangs.
const LONGEST_END: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::from(error).report(),
    };
    let code = runtime.block_on(run());
    runtime.shutdown_timeout(LONGEST_END);
    code
}

async fn run() -> ExitCode {
    let Arguments { command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return Failure::Usage(error).report(),
    };
    // The doctor and the check read the library's events themselves.
    if !matches!(command, Command::Config(_) | Command::Doctor(_)) {
        log();
    }
    let done = match command {
        Command::Doctor(arguments) => arguments.run().await,
        Command::Token(arguments) => token::run(arguments).await,
        Command::Config(command) => command.run(),
        Command::ExecCredential(arguments) => exec_credential::run(arguments).await,
        Command::CredentialsServer(arguments) => credentials_server::run(arguments).await,
        Command::Emulate(arguments) => emulate::run(arguments).await,
        Command::Completions(arguments) => generated::completions(&arguments),
        Command::Man(arguments) => generated::man(&arguments),
        Command::CloudRole(arguments) => cloud_role::run(arguments).await,
        Command::ApiKey(arguments) => api_key::run(arguments).await,
        Command::OauthToken(arguments) => oauth_token::run(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Whether a word stands where a level may, and is neither one nor the name of a crate whose events there are: the filter
/// takes any word for the name of a crate, and then shows nothing else.
fn has_misspelt_level(wanted: &str) -> bool {
    const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
    const CRATES: [&str; 8] = ["tower", "idaas", "hyper", "h2", "rustls", "tokio", "reqwest", "mio"];
    let is_known = |word: &str| {
        LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
            || CRATES.iter().any(|name| word.starts_with(name))
            || word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut words = wanted.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', '{', ':']));
    words.any(|word| !word.is_empty() && !is_known(word))
}

/// `RUST_LOG=debug` shows what happens, on stderr. By default a failure is reported at the end, once.
fn log() {
    let wanted = Environment::Process
        .variable(LOG)
        .filter(|wanted| !wanted.as_encoded_bytes().trim_ascii().is_empty());
    let filter = wanted.map(|wanted| {
        wanted
            .to_str()
            .filter(|wanted| !has_misspelt_level(wanted))
            .and_then(|wanted| EnvFilter::try_new(wanted).ok())
    });
    // The value is not repeated: what a variable holds by mistake may be secret.
    if matches!(filter, Some(None)) {
        note(&format!(
            "warning: {LOG} is not understood, and not used; set it to a level, such as debug, or to target=level\n"
        ));
    }
    let filter = filter.flatten().unwrap_or_else(|| EnvFilter::new("warn,tower_idaas::refresh=off"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    log.with_ansi(colours_wanted(&stderr())).init();
}
