//! The only place that reads environment variables and the home directory.

#[cfg(feature = "test-util")]
mod manual;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub use self::manual::ManualEnvironment;
#[cfg(feature = "transport")]
use crate::error::ConfigFault;

/// The source of variables: the process, or a test.
#[derive(Clone, Debug, Default)]
pub enum Environment {
    /// The variables of the process.
    #[default]
    Process,
    #[cfg(feature = "test-util")]
    /// Variables that a test sets.
    Manual(ManualEnvironment),
}

impl Environment {
    /// The variable's raw value, or `None` when it is not set.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        match self {
            Self::Process => process_variable(name),
            #[cfg(feature = "test-util")]
            Self::Manual(environment) => environment.get(name),
        }
    }

    /// The variable's value as text, when it is set, is Unicode, and is not blank.
    #[cfg(feature = "transport")]
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = self.variable(name)?.into_string().ok()?;
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    /// The same, where a value that is not Unicode is a fault instead of no value.
    #[cfg(feature = "transport")]
    pub(crate) fn checked_text(&self, name: &str) -> Result<Option<String>, ConfigFault> {
        match self.variable(name).map(OsString::into_string) {
            Some(Err(_)) => Err(ConfigFault::new(name, "is not valid Unicode; set it anew, or unset it")),
            _ => Ok(self.text(name)),
        }
    }

    /// The variable's value as a path without white space around it, when it is set and not blank. A file of variables may
    /// end its lines as Windows does.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(trimmed).filter(|path| !path.as_os_str().is_empty())
    }

    /// The user's home directory, if it is known.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        let home = match self {
            Self::Process => process_home(),
            #[cfg(feature = "test-util")]
            Self::Manual(environment) => environment.get("HOME").map(PathBuf::from),
        };
        home.filter(|home| !home.as_os_str().is_empty())
    }

    /// The path with a leading `~` replaced by the home directory, as a shell would.
    ///
    /// # Errors
    ///
    /// When the path has one, and the home directory is not known.
    pub(crate) fn expand(&self, path: &Path) -> Result<PathBuf, HomeUnknown> {
        match path.strip_prefix("~") {
            Ok(rest) => Ok(self.home().ok_or(HomeUnknown)?.join(rest)),
            Err(_) => Ok(path.to_owned()),
        }
    }
}

/// The path without white space around it.
pub(crate) fn trimmed(path: OsString) -> PathBuf {
    path.to_str().map(|path| path.trim().into()).unwrap_or_else(|| path.into())
}

/// A path begins with `~`, and the home directory is not known. `Display` is what follows the path in a message.
#[derive(Debug)]
pub(crate) struct HomeUnknown;

impl fmt::Display for HomeUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "begins with `~`, and the home directory is not known, because environment variable HOME is not set; set \
             it, or give the whole path",
        )
    }
}

/// A secret may be misplaced where its variable's name belongs; such a text must not appear in a message. A name is what
/// a shell accepts as one. The secrets that IDaaS issues are long runs of letters and
/// digits, and passwords mix digits with lower-case letters; names of variables do so in words with `_` between them.
pub(crate) fn looks_like_a_variable(name: &str) -> bool {
    const LONGEST_WORD: usize = 24;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let has = |is_one: fn(&u8) -> bool| name.as_bytes().iter().any(is_one);
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) && !name.contains('_');
    is_plain && !is_mixed && name.len() <= 128 && name.split('_').all(|word| word.len() <= LONGEST_WORD)
}

#[allow(clippy::disallowed_methods)] // the one place that may
fn process_variable(name: &str) -> Option<OsString> {
    // No variable has a name with `=` or NUL, and reading one is an error on some platforms.
    let nameable = !name.is_empty() && !name.contains(['=', '\0']);
    nameable.then(|| std::env::var_os(name)).flatten()
}

#[allow(clippy::disallowed_methods)] // the one place that may
fn process_home() -> Option<PathBuf> {
    std::env::home_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_tilde_is_the_home_directory_and_no_other_tilde_is() {
        let environment = Environment::Manual(ManualEnvironment::from_iter([("HOME", "/home/u")]));
        let expand = |path| environment.expand(Path::new(path)).unwrap();
        assert_eq!(expand("~/a/b"), Path::new("/home/u/a/b"));
        assert_eq!(expand("~user/a"), Path::new("~user/a"));
        assert_eq!(expand("/a/~/b"), Path::new("/a/~/b"));
    }

    #[test]
    fn a_leading_tilde_without_a_home_directory_is_an_error_and_other_paths_need_none() {
        for variables in [&[][..], &[("HOME", "")]] {
            let environment = Environment::Manual(variables.iter().copied().collect());
            let error = environment.expand(Path::new("~/a")).unwrap_err().to_string();
            assert!(error.contains("HOME is not set"), "{error}");
            assert_eq!(environment.expand(Path::new("/a")).unwrap(), Path::new("/a"));
        }
    }

    #[test]
    fn a_secret_does_not_look_like_the_name_of_a_variable() {
        for name in ["IDAAS_SECRET", "appSecret", "k8s_secret", "SECRET2", "_S", "S"] {
            assert!(looks_like_a_variable(name), "{name}");
        }
        let long = "SECRET_".repeat(20);
        for secret in [
            "my-secret-value-1234567890abcdef",
            "hunter2secret",
            "hunter2",
            "CSabc123",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "correct horse",
            "a.b",
            "s\u{e9}cret",
            &long,
        ] {
            assert!(!looks_like_a_variable(secret), "{secret}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_set_is_unset() {
        for name in ["", "A=B", "A\0B"] {
            assert_eq!(Environment::Process.variable(name), None);
        }
    }
}
