//! `idaas config`: writes a file, checks one, explains its keys, prints its schema.

mod check;
mod explain;
mod keys;
mod methods;
mod schema;
mod template;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use tower_idaas::Scope;

use self::keys::Key;
use self::methods::METHODS;
use crate::failure::{EXIT_CODES, Failure};
use crate::output::print;

/// Writes, checks and explains client-config.json.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(NewArguments),
    Check(CheckArguments),
    Explain(ExplainArguments),
    /// Prints the JSON Schema of the file: the vendor's keys and those of tower-idaas
    #[command(after_help = EXIT_CODES)]
    Schema,
}

/// Prints a commented file for a method of authentication, to be completed where REPLACE_ME stands.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct NewArguments {
    /// The method of authentication
    #[arg(value_parser = PossibleValuesParser::new(METHODS.iter().map(|method| method.name)), ignore_case = true)]
    method: String,
    /// The id of the IDaaS instance, `idaas_…`
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
    /// The id of the application, `app_…`
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The issuer's URL; the token endpoint is `token` below it
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The scope to request, `audience|permission`
    #[arg(long)]
    scope: Option<Scope>,
}

/// Checks a file as a service would at its start, and fetches nothing: all faults, each with its key and line, on stderr.
/// The variables and files that it names have to be there.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CheckArguments {
    /// The client-config.json to check [default: the one that CLOUD_IDAAS_CONFIG_PATH names, else
    /// ~/.cloud_idaas/client-config.json]
    path: Option<PathBuf>,
    /// The same, as other commands take it
    #[arg(long, value_name = "PATH", conflicts_with = "path")]
    config: Option<PathBuf>,
    /// Faults and warnings as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Explains a key, or lists all keys.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
struct ExplainArguments {
    /// The key, with or without the name of its section, in either spelling
    #[arg(value_parser = known_key)]
    key: Option<&'static Key>,
}

fn known_key(name: &str) -> Result<&'static Key, String> {
    Key::find(name)
        .ok_or_else(|| "not a key of client-config.json; `idaas config explain` lists the keys".to_owned())
}

impl ConfigCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            Action::New(arguments) => {
                let method =
                    METHODS.iter().find(|method| method.name.eq_ignore_ascii_case(&arguments.method));
                // The parser knows these names and no others.
                method.map(|method| template::text(method, &arguments.into())).unwrap_or_default()
            }
            Action::Check(arguments) => return check::run(arguments),
            Action::Explain(ExplainArguments { key: Some(key) }) => explain::key(key),
            Action::Explain(ExplainArguments { key: None }) => explain::all(),
            Action::Schema => format!("{:#}\n", schema::schema()),
        };
        Ok(print(&text)?)
    }
}
