//! Tells why a token does not come: looks at everything between the configuration file and the token, step by
//! step, and says at the first fault what it means and what to do.
//!
//! ```console
//! $ cargo run --example doctor                      # the configuration that a service here would find
//! $ cargo run --example doctor -- path/to/client-config.json
//! $ cargo run --example doctor -- --demo            # offline, against an IDaaS in this process
//! $ cargo run --example doctor -- --demo=wrong-secret
//! ```
//!
//! It shows no secret: of a variable whether it is set and roughly how long its value is, of a token its claims.
//! Exit code 0 when a token comes and nothing failed on the way, else 1.
#![allow(clippy::print_stderr, clippy::disallowed_methods)]

mod arguments;
mod config_file;
mod demo;
mod examination;
mod finding;
mod json;
mod report;
mod shown;
mod steps;
mod surroundings;
mod text;

use std::io::{Write, stdout};
use std::process::ExitCode;

use tower_idaas::BoxError;

use self::arguments::{Arguments, Subject};
use self::demo::Demo;
use self::report::Report;
use self::surroundings::Surroundings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("error: {problem}\n\n{}", arguments::USAGE);
            return ExitCode::FAILURE;
        }
    };
    let Arguments { subject, json } = arguments;
    if subject == Subject::Help {
        print(&format!("{}\n\n{}", arguments::ABOUT, arguments::USAGE));
        return ExitCode::SUCCESS;
    }
    let mut report = Report::default();
    if !json {
        let colours = text::colours_wanted();
        report = Report::told_to(move |finding| print(&text::finding(finding, colours)));
        print(&text::head(matches!(subject, Subject::Demo(_))));
    }
    match diagnose(&subject, report).await {
        Ok(report) => {
            print(&if json {
                format!("{:#}\n", json::of(&report))
            } else {
                text::verdict(&report).to_owned()
            });
            if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: the demo cannot be set up: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A reader that has seen enough, such as `head`, is no reason to panic.
fn print(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
}

async fn diagnose(subject: &Subject, report: Report) -> Result<Report, BoxError> {
    let surroundings = Surroundings::of_process();
    Ok(match subject {
        Subject::Demo(fault) => Demo::start(*fault).await?.examine(report).await,
        Subject::File(path) => examination::examine(report, &surroundings, Some(path)).await,
        Subject::Found | Subject::Help => examination::examine(report, &surroundings, None).await,
    })
}
