//! Finds and reads a small file that holds credentials.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::aliyun::credential::lookup::NoCredential;
use crate::environment::{Environment, HomeUnknown};
use crate::secret::text_file::read_if_there;

/// The variable that chooses a profile, in either of the two files.
pub(super) const CHOSEN: &str = "ALIBABA_CLOUD_PROFILE";

/// The file's text, or `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, NoCredential> {
    // A file that exists but cannot be read may be half written, or on a volume that is briefly unavailable. The
    // failure is transient, because the configured identity is in that file.
    read_if_there(path, "profile file").map_err(|error| NoCredential::Failed(error.with_transient(true)))
}

/// The variable's text, if it is set and not blank.
///
/// # Errors
///
/// When it is not Unicode: it is set for an identity, and no other one takes its place.
pub(super) fn variable(name: &str, environment: &Environment) -> Result<Option<String>, NoCredential> {
    environment.checked_text(name).map_err(|fault| NoCredential::unreadable(fault.to_string()))
}

/// The path that a variable names.
pub(super) fn named(variable: &str, path: &str, environment: &Environment) -> Result<PathBuf, NoCredential> {
    let unknown = |problem: HomeUnknown| NoCredential::failed(format!("the path in {variable} {problem}"));
    environment.expand(Path::new(path)).map_err(unknown)
}

pub(super) fn no_home() -> NoCredential {
    NoCredential::not_configured("there is no home directory: environment variable HOME is not set")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    #[test]
    fn a_path_below_a_home_directory_that_is_not_known_is_reported() {
        let environment = Environment::Manual(ManualEnvironment::new());
        let Err(NoCredential::Failed(error)) = named("PROFILE", "~/config.json", &environment) else {
            panic!()
        };
        let expected = "the path in PROFILE begins with `~`, and the home directory is not known";
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(named("PROFILE", "/c.json", &environment).ok().unwrap(), Path::new("/c.json"));
    }

    #[test]
    fn what_is_no_small_text_file_is_a_fault_that_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        assert!(matches!(read(&path), Ok(None)));
        assert!(matches!(read(&path.join("below")), Ok(None)));
        let huge = vec![b'a'; (1 << 20) + 1];
        for (bytes, problem) in [(&b"hunter2\xff"[..], "is not UTF-8"), (&huge, "larger than 1 MiB")] {
            std::fs::write(&path, bytes).unwrap();
            let Err(NoCredential::Failed(error)) = read(&path) else { panic!() };
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert!(error.to_string().contains(problem) && !format!("{error:?}").contains("hunter2"));
        }
        assert!(matches!(read(folder.path()), Err(NoCredential::Failed(_))));
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "{}");
    }
}
