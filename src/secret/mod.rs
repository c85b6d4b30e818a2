//! Secrets: wiped from memory when dropped, never shown, read where they live each time they are used.

pub(crate) mod text_file;
pub(crate) mod token_file;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::environment::{Environment, looks_like_a_variable};
use crate::error::{Error, ErrorKind};

/// A secret text: a client secret, a key, an assertion.
///
/// It is wiped from memory when dropped, and `Debug` shows a fixed marker. The one way to its text is
/// [`expose_secret`](Self::expose_secret), so a search for `expose_` finds every place where secrets get out.
///
/// ```
/// let secret = tower_idaas::Secret::new("correct horse");
/// assert_eq!(format!("{secret:?}"), "Secret(redacted)");
/// assert_eq!(secret.expose_secret(), "correct horse");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text; no copy is made of a `String`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Where a secret lives. It is read again at every use, so that a rotated secret needs no restart.
///
/// One line break at the end is removed from variables and files, because editors and `echo` put it
/// there, and so is a byte-order mark before the text of a file; everything else belongs to the secret.
#[derive(Clone)]
pub struct SecretSource(Place);

#[derive(Clone)]
enum Place {
    Value(Secret),
    Variable(String),
    File(PathBuf),
}

impl SecretSource {
    /// A secret that the program already holds. It never changes.
    pub fn value(secret: impl Into<Secret>) -> Self {
        Self(Place::Value(secret.into()))
    }

    /// The environment variable of this name.
    pub fn variable(name: impl Into<String>) -> Self {
        Self(Place::Variable(name.into()))
    }

    /// The regular file at this path, of at most 1 MiB. A leading `~` is the home directory.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into()))
    }

    /// Where the secret is, for messages.
    pub(crate) fn name(&self) -> String {
        match &self.0 {
            Place::Value(_) => "the value given in code".to_owned(),
            Place::Variable(name) => shown_variable(name),
            Place::File(path) => format!("file {}", text_file::shown(path)),
        }
    }

    /// Reads the secret at once: at load, where blocking is no harm. [`load`](Self::load) is for later.
    ///
    /// # Errors
    ///
    /// What is the matter with the variable or the file, without its content.
    pub fn read(&self, environment: &Environment) -> Result<Secret, Error> {
        match &self.0 {
            Place::Value(secret) if secret.expose_secret().is_empty() => {
                Err(unreadable("the secret given in code is empty; give the real one".into()))
            }
            Place::Value(secret) => Ok(secret.clone()),
            Place::Variable(name) => read_variable(name, environment),
            Place::File(path) => read_file(&environment.expand(path)),
        }
    }
}

impl SecretSource {
    /// Reads the secret without blocking the runtime's worker: a file is read on a thread for blocking calls, and the
    /// wait for it is bounded. For sources, stores and authenticators of your own.
    ///
    /// # Errors
    ///
    /// What is the matter with the variable or the file, without its content.
    pub async fn load(&self, environment: &Environment) -> Result<Secret, Error> {
        const LONGEST_READ: Duration = Duration::from_secs(5);
        let Place::File(_) = &self.0 else { return self.read(environment) };
        let (source, environment) = (self.clone(), environment.clone());
        let reading = tokio::task::spawn_blocking(move || source.read(&environment));
        match tokio::time::timeout(LONGEST_READ, reading).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(_)) | Err(_) => {
                let message = format!("{self} cannot be read in {LONGEST_READ:?}; check its file system");
                Err(unreadable(message).with_transient(true))
            }
        }
    }
}

/// Where the secret is, for messages: never the secret.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretSource").field(&format_args!("{}", self.name())).finish()
    }
}

fn read_variable(name: &str, environment: &Environment) -> Result<Secret, Error> {
    let shown = shown_variable(name);
    let Some(value) = environment.variable(name) else {
        return Err(unreadable(format!("{shown} is not set; set it to the secret")));
    };
    match value.into_string() {
        Ok(text) => trimmed(&Zeroizing::new(text))
            .ok_or_else(|| unreadable(format!("{shown} is empty; set it to the secret"))),
        Err(raw) => {
            drop(Zeroizing::new(raw.into_encoded_bytes()));
            Err(unreadable(format!("{shown} is not valid Unicode")))
        }
    }
}

fn shown_variable(name: &str) -> String {
    match looks_like_a_variable(name) {
        true => format!("environment variable {name}"),
        false => "environment variable (not shown: its name looks like a secret)".to_owned(),
    }
}

fn read_file(path: &Path) -> Result<Secret, Error> {
    const WHAT: &str = "secret file";
    // Not transient: the file is written before the program starts, and what rotates it swaps it in.
    let text = text_file::read(path, WHAT).map_err(|error| error.with_transient(false))?;
    trimmed(&text).ok_or_else(|| text_file::fault(path, WHAT, "is empty; write the secret into it"))
}

/// The text without one final line break, unless nothing else is left.
fn trimmed(text: &str) -> Option<Secret> {
    let kept = text.strip_suffix('\n').unwrap_or(text);
    let kept = kept.strip_suffix('\r').unwrap_or(kept);
    (!kept.trim().is_empty()).then(|| Secret::new(kept))
}

fn unreadable(message: String) -> Error {
    Error::new(ErrorKind::Credential, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    fn environment(value: &str) -> Environment {
        Environment::Manual(ManualEnvironment::from_iter([("APP_SECRET", value)]))
    }

    fn read(value: &str) -> Result<String, String> {
        SecretSource::variable("APP_SECRET")
            .read(&environment(value))
            .map(|secret| secret.expose_secret().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn one_final_line_break_is_removed_and_nothing_else() {
        assert_eq!(read("s3cret").unwrap(), "s3cret");
        assert_eq!(read("s3cret\n").unwrap(), "s3cret");
        assert_eq!(read("s3cret\r\n").unwrap(), "s3cret");
        assert_eq!(read("s3cret\n\n").unwrap(), "s3cret\n");
        assert_eq!(read(" s3cret ").unwrap(), " s3cret ");
    }

    #[test]
    fn a_variable_that_is_unset_or_blank_is_named() {
        for blank in ["", " ", "\n"] {
            assert_eq!(
                read(blank).unwrap_err(),
                "environment variable APP_SECRET is empty; set it to the secret"
            );
        }
        let error = SecretSource::variable("OTHER").read(&environment("x")).unwrap_err();
        assert_eq!(error.to_string(), "environment variable OTHER is not set; set it to the secret");
        assert_eq!(error.kind(), ErrorKind::Credential);
    }

    #[test]
    fn a_file_is_read_at_each_use_and_its_faults_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let source = SecretSource::file(&path);
        let read = || source.read(&Environment::Process);

        let missing = read().unwrap_err();
        assert!(missing.to_string().contains(&path.display().to_string()));

        for (text, secret) in [("first\n", "first"), ("second\n", "second"), ("\u{feff}third\r\n", "third")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read().unwrap().expose_secret(), secret);
        }
        for bad in [&b""[..], b"\n", b"\xff\xfe"] {
            std::fs::write(&path, bad).unwrap();
            assert!(read().unwrap_err().to_string().contains(&path.display().to_string()));
        }
    }

    #[test]
    fn a_secret_in_place_of_its_path_or_variable_is_not_shown() {
        for pasted in ["hunter2hunter2hunter2hunter2", "eyJhunter2.eyJhunter2.hunter2"] {
            for source in [SecretSource::file(pasted), SecretSource::variable(pasted.to_owned() + "=")] {
                let error = source.read(&Environment::Process).unwrap_err();
                assert!(error.to_string().contains("(not shown"), "{error}");
                assert!(!format!("{error:?} {source:?} {}", source.name()).contains("hunter2"), "{error:?}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_secret_file() {
        let error = SecretSource::file("/dev/zero").read(&Environment::Process).unwrap_err();
        assert!(error.to_string().contains("/dev/zero is not a regular file"), "{error}");
    }

    #[test]
    fn neither_a_secret_nor_its_source_shows_it() {
        let source = SecretSource::value(Secret::new("hunter2"));
        assert!(!format!("{source:?}").contains("hunter2"));
        assert!(!format!("{:#?}", Secret::new("hunter2")).contains("hunter2"));
    }
}
