//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tower_idaas::Scope;

use crate::config::ConfigCommand;
use crate::credentials_server::CredentialsServerArguments;
use crate::doctor::demo::Fault;
use crate::doctor::{self, Subject};
use crate::emulate::EmulateArguments;
use crate::exec_credential::ExecCredentialArguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::generated::{CompletionsArguments, ManArguments};
use crate::output;

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
    ExecCredential(ExecCredentialArguments),
    CredentialsServer(CredentialsServerArguments),
    Config(ConfigCommand),
    Doctor(DoctorArguments),
    Emulate(EmulateArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

/// Which configuration is used.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArguments {
    /// The client-config.json to use [default: the one that CLOUD_IDAAS_CONFIG_PATH names, else
    /// ~/.cloud_idaas/client-config.json]
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
}

/// Prints a bearer token. What is printed on stdout is secret.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct TokenArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// The scope to ask for, `audience|permission` [default: the configured one]
    #[arg(long)]
    pub(crate) scope: Option<Scope>,
    /// How the token is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TokenFormat,
    /// Exchanges the access token in this file, or on stdin with `-`, for one on behalf of its subject
    #[arg(long, value_name = "FILE|-")]
    pub(crate) exchange: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum TokenFormat {
    /// The token alone, on one line
    #[default]
    Token,
    /// `Authorization: Bearer …`, for `curl -H @-`
    Header,
    /// One JSON object: access_token, token_type, expires_in (seconds), expires_at, scope
    Json,
}

/// Prints credentials of a cloud role. What is printed on stdout is secret.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CloudRoleArguments {
    /// The ARN of the role, `acs:ram::…:role/…` or `arn:aws:iam::…:role/…`
    pub(crate) role: String,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// How the credentials are printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: CredentialsFormat,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum CredentialsFormat {
    /// One JSON object with all that the service said
    #[default]
    Json,
    /// Shell variables, for `eval`
    Env,
    /// What mode External of the Aliyun CLI reads
    Aliyun,
    /// What `credential_process` of the AWS CLI and SDKs reads
    Aws,
}

/// Tells why a token does not come, step by step. Shows no secret.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXIT_CODES}\n\nNO_COLOR turns colours off."))]
pub(crate) struct DoctorArguments {
    /// The client-config.json to look at [default: the one that CLOUD_IDAAS_CONFIG_PATH names, else
    /// ~/.cloud_idaas/client-config.json]
    #[arg(conflicts_with = "demo")]
    path: Option<PathBuf>,
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
        let Self { path, demo, json } = self;
        let subject = match (path, demo) {
            (Some(path), _) => Subject::File(path),
            (None, Some(fault)) => Subject::Demo(fault),
            (None, None) => Subject::Found,
        };
        match doctor::run(subject, json, output::print).await? {
            true => Ok(()),
            false => Err(Failure::Told),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
            &["token", "--scope", "no scope"],
            &["token", "surplus"],
            &["cloud-role"],
            &["nothing"],
            &[],
        ] {
            parse(arguments).unwrap_err();
        }
    }
}
