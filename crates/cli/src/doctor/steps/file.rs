//! The configuration file: which one, and whether it can be read.

use std::path::{Path, PathBuf};

use super::super::finding::{Finding, Step};
use super::super::surroundings::{PATH_VARIABLE, Surroundings};
use super::built::Built;

const DEFAULT_PATH: &str = "~/.cloud_idaas/client-config.json";

#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    by: &'static str,
}

/// The path that was given, else the variable's, else the vendor's default.
pub(crate) fn locate(given: Option<&Path>, surroundings: &Surroundings) -> Located {
    let (path, by) = match (given, surroundings.first(&[PATH_VARIABLE])) {
        (Some(path), _) => (path.to_owned(), "as given"),
        (None, Some((_, path))) => (path.into(), "named by CLOUD_IDAAS_CONFIG_PATH"),
        (None, None) => (DEFAULT_PATH.into(), "the default, as CLOUD_IDAAS_CONFIG_PATH is not set"),
    };
    Located { path: surroundings.expand(&path), by }
}

/// The file's text.
pub(crate) fn examine(located: &Located, built: &Built) -> (Finding, Option<String>) {
    let Located { path, by } = located;
    match read(path) {
        Some(text) => {
            let finding = Finding::ok(Step::File, path.display().to_string()).fact("found", by);
            (finding.fact("size", format!("{} bytes", text.len())), Some(text))
        }
        None => {
            let finding = Finding::failed(Step::File, path.display().to_string()).fact("found", by);
            let finding = finding.notes(built.faults_of_file());
            (finding.advise("there is no configuration to work with", remedy(path)), None)
        }
    }
}

/// Why not is what the crate says.
fn read(path: &Path) -> Option<String> {
    const SIZE_LIMIT: u64 = 1 << 20;
    let metadata = std::fs::metadata(path).ok()?;
    let is_readable = metadata.is_file() && metadata.len() <= SIZE_LIMIT;
    let text = is_readable.then(|| std::fs::read_to_string(path).ok()).flatten()?;
    let text = text.trim_start_matches('\u{feff}');
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn remedy(path: &Path) -> String {
    match path.exists() {
        false => format!(
            "put the file there, or set {PATH_VARIABLE} to its path, in the environment of the service itself"
        ),
        true => "make it a text file in UTF-8 that this user may read".to_owned(),
    }
}
