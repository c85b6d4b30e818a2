//! `idaas doctor`: examines everything between the configuration and the token, step by step, and says at the first
//! fault what it means and what to do.
//!
//! It shows no secret: of a variable whether it is set and roughly how long its value is, of a token its claims.

#![allow(clippy::disallowed_methods, reason = "it reads the clock and the environment as the user has them")]

pub(crate) mod config_file;
pub(crate) mod demo;
pub(crate) mod display;
pub(crate) mod examination;
pub(crate) mod finding;
pub(crate) mod json;
pub(crate) mod report;
pub(crate) mod steps;
pub(crate) mod surroundings;
pub(crate) mod text;

use std::io;
use std::path::PathBuf;

use tower_idaas::BoxError;

use self::demo::{Demo, Fault};
use self::report::{Report, Verdict};
use self::surroundings::Surroundings;

/// What is examined.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// The configuration that a service would find here.
    Found,
    File(PathBuf),
    Demo(Option<Fault>),
}

/// Examines the subject and prints each finding as soon as it is known.
///
/// # Errors
///
/// When a demonstration cannot be set up, or the report cannot be written.
pub(crate) async fn run(
    subject: Subject,
    as_json: bool,
    print: fn(&str) -> io::Result<()>,
) -> Result<Verdict, BoxError> {
    let demo = match &subject {
        Subject::Demo(fault) => Some(Demo::start(*fault).await?),
        _ => None,
    };
    let mut report = Report::default();
    if !as_json {
        let colours = text::colours_wanted(&io::stdout());
        print(&text::head(demo.is_some()))?;
        // A reader that goes away is noticed at the end.
        report = Report::with_listener(move |finding| drop(print(&text::finding(finding, colours))));
    }
    let surroundings = Surroundings::of_process();
    let report = match (demo, subject) {
        (Some(demo), _) => demo.examine(report).await,
        (None, Subject::File(path)) => examination::examine(report, &surroundings, Some(&path)).await,
        (None, _) => examination::examine(report, &surroundings, None).await,
    };
    match as_json {
        true => print(&format!("{:#}\n", json::of(&report)))?,
        false => print(text::verdict(&report))?,
    }
    Ok(report.verdict())
}
