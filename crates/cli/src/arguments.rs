//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::api_key::ApiKeyArguments;
use crate::cloud_role::CloudRoleArguments;
use crate::config::ConfigCommand;
use crate::credentials_server::CredentialsServerArguments;
use crate::doctor::demo::Fault;
use crate::doctor::report::Verdict;
use crate::doctor::{self, Subject};
use crate::emulate::EmulateArguments;
use crate::exec_credential::ExecCredentialArguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::generated::{CompletionsArguments, ManArguments};
use crate::oauth_token::OauthTokenArguments;
use crate::output;
use crate::shutdown;
use crate::token::TokenArguments;

/// Tokens of Alibaba Cloud IDaaS for shells and for other programs.
#[derive(Debug, Parser)]
#[command(name = "idaas", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Token(TokenArguments),
    CloudRole(CloudRoleArguments),
    ApiKey(ApiKeyArguments),
    OauthToken(OauthTokenArguments),
    ExecCredential(ExecCredentialArguments),
    CredentialsServer(CredentialsServerArguments),
    Config(ConfigCommand),
    Doctor(DoctorArguments),
    Emulate(EmulateArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

/// Shows why no token is issued, step by step. Shows no secret.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXIT_CODES}\n\nNO_COLOR turns colours off."))]
pub(crate) struct DoctorArguments {
    /// The client-config.json to examine [default: the one that CLOUD_IDAAS_CONFIG_PATH names, else
    /// ~/.cloud_idaas/client-config.json]
    #[arg(conflicts_with = "demo")]
    path: Option<PathBuf>,
    /// The same, as other commands take it
    #[arg(long, value_name = "PATH", conflicts_with_all = ["path", "demo"])]
    config: Option<PathBuf>,
    /// A demonstration: offline, against an IDaaS in this process, with a configuration of its own instead of yours, and
    /// with a fault in it if one is named
    #[arg(long, value_enum, value_name = "FAULT", require_equals = true, num_args = 0..=1)]
    demo: Option<Option<Fault>>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl DoctorArguments {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Self { path, config, demo, json } = self;
        let subject = match (path.or(config), demo) {
            (Some(path), _) => Subject::File(path),
            (None, Some(fault)) => Subject::Demo(fault),
            (None, None) => Subject::Found,
        };
        // A demonstration has files to remove.
        let stop = match subject {
            Subject::Demo(_) => Some(shutdown::requested()?),
            _ => None,
        };
        let stop = async {
            match stop {
                Some(stop) => stop.await,
                None => std::future::pending().await,
            }
        };
        let verdict = tokio::select! {
            verdict = doctor::run(subject, json, output::print) => verdict?,
            code = stop => return Err(Failure::Signal(code)),
        };
        match verdict {
            Verdict::Healthy => Ok(()),
            Verdict::Failed => Err(Failure::Reported),
            Verdict::UnusableConfig => Err(Failure::UnusableConfig),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
        Arguments::try_parse_from(["idaas"].iter().chain(arguments)).map(|arguments| arguments.command)
    }

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_path_a_demonstration_and_the_form_are_understood() {
        let doctor = |arguments: &[&str]| match parse(&[&["doctor"], arguments].concat()).unwrap() {
            Command::Doctor(doctor) => (doctor.path, doctor.demo, doctor.json),
            other => panic!("{other:?}"),
        };
        assert_eq!(doctor(&[]), (None, None, false));
        assert_eq!(doctor(&["a.json"]), (Some("a.json".into()), None, false));
        assert_eq!(doctor(&["--json", "--demo"]), (None, Some(None), true));
        for fault in Fault::value_variants() {
            let name = fault.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!(doctor(&[&format!("--demo={name}")]), (None, Some(Some(*fault)), false));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for arguments in [
            &["doctor", "--demo=nothing"][..],
            &["doctor", "--jsn"],
            &["doctor", "a.json", "b.json"],
            &["doctor", "--demo", "a.json"],
            &["doctor", "--demo", "--config", "a.json"],
            &["doctor", "a.json", "--config", "a.json"],
            &["config", "check", "a.json", "--config", "a.json"],
            &["token", "--scope", "no scope"],
            &["token", "surplus"],
            &["token", "--refresh"],
            &["cloud-role"],
            &["api-key"],
            &["oauth-token"],
            &["nothing"],
            &[],
        ] {
            parse(arguments).unwrap_err();
        }
    }
}
