//! `idaas completions` and `idaas man`: from the definitions of the arguments.

use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::print;

/// Prints a completion script for a shell.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Prints a manual page, in roff: `idaas man | man -l -`.
#[derive(Args, Debug)]
pub(crate) struct ManArguments {
    /// The command to print the page of [default: the program's own]
    command: Option<String>,
}

pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "idaas", &mut script);
    Ok(print(&String::from_utf8_lossy(&script))?)
}

pub(crate) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    if let Some(name) = &arguments.command {
        let Some(found) = command.find_subcommand(name) else {
            let problem = format!("`{name}` is not a command of idaas");
            return Err(Failure::Usage(Arguments::command().error(ErrorKind::InvalidSubcommand, problem)));
        };
        command = found.clone();
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(print(&String::from_utf8_lossy(&page))?)
}
