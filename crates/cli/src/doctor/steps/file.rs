//! The configuration file: which one, and whether it can be read.

use std::path::{Path, PathBuf};

use tower_idaas::explanation::Explanation;
use tower_idaas::{Idaas, IdaasBuilder};

use super::super::finding::{Finding, Step};
use super::super::surroundings::{PATH_VARIABLE, Surroundings};
use super::built::Built;

#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    by: &'static str,
    pub(crate) explanation: Explanation,
}

/// A client with this file, or with the one that a service here would find.
pub(crate) fn builder(given: Option<&Path>, surroundings: &Surroundings) -> IdaasBuilder {
    surroundings.around(match given {
        Some(path) => Idaas::builder().config_file(path),
        None => Idaas::builder().config_from_env(),
    })
}

/// The file that the library would read.
pub(crate) fn locate(given: Option<&Path>, surroundings: &Surroundings) -> Located {
    let explanation = builder(given, surroundings).explain();
    let by = match (given, surroundings.first(&[PATH_VARIABLE])) {
        (Some(_), _) => "as given",
        (None, Some(_)) => "named by CLOUD_IDAAS_CONFIG_PATH",
        (None, None) => "the default, as CLOUD_IDAAS_CONFIG_PATH is not set",
    };
    Located { path: explanation.path().unwrap_or(Path::new("")).to_owned(), by, explanation }
}

/// Whether there is a text to look at. If not, the library says why.
pub(crate) fn examine(located: &Located, built: &Built) -> (Finding, Option<()>) {
    let Located { path, by, explanation } = located;
    match explanation.size() {
        Some(size) => {
            let finding = Finding::ok(Step::File, path.display().to_string()).fact("found", by);
            (finding.fact("size", format!("{size} bytes")), Some(()))
        }
        None => {
            let finding = Finding::failed(Step::File, path.display().to_string()).fact("found", by);
            let faults = built.faults_of_file();
            let remedy = remedy(&faults);
            (finding.notes(faults).advise("there is no configuration to work with", remedy), None)
        }
    }
}

/// By what the library says: the file system may not respond to another question.
fn remedy(faults: &[String]) -> String {
    match faults.iter().any(|fault| fault.contains("does not exist")) {
        true => format!(
            "put the file there, or set {PATH_VARIABLE} to its path, in the environment of the service itself, or \
             give the path of another with `--config`"
        ),
        false => "make it a text file in UTF-8 that this user may read".to_owned(),
    }
}
