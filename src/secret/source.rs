//! The sources of a secret: a value, a variable, a file, a function.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::clock::{Clock, Timestamp};
use crate::environment::{Environment, looks_like_a_variable};
use crate::error::{BoxFuture, Error, ErrorKind};
use crate::secret::path::redacted_path;
use crate::secret::reloaded_file::{Expected, FileKind, ReloadedFile};
use crate::secret::{Secret, without_line_break};

/// The source of a secret. It is read again at every use, so that a rotated secret needs no restart.
///
/// One line break at the end is removed from variables and files, because editors and `echo` add it, and so is a
/// byte-order mark at the start of a file; everything else belongs to the secret.
///
/// A file is read outside the runtime's workers, and a hanging file system delays a read by two seconds at most. While
/// a file that was good is missing, unreadable, empty or half written, its last content is used: a JWT until it
/// expires, anything else for a minute.
#[derive(Clone)]
pub struct SecretSource(Place);

#[derive(Clone)]
enum Place {
    /// The value, and the key of the configuration that it is from, if it is not set in code.
    Value(Secret, Option<&'static str>),
    Variable(String),
    File(Arc<ReloadedFile>),
    Function(Function),
}

#[derive(Clone)]
struct Function(Arc<dyn Fn() -> BoxFuture<'static, Result<Secret, Error>> + Send + Sync>);

impl SecretSource {
    /// A secret that the program already has. It never changes.
    pub fn value(secret: impl Into<Secret>) -> Self {
        Self(Place::Value(secret.into(), None))
    }

    /// The value of a key of the configuration file.
    pub(crate) fn value_of_key(secret: impl Into<Secret>, key: &'static str) -> Self {
        Self(Place::Value(secret.into(), Some(key)))
    }

    /// The environment variable of this name.
    pub fn variable(name: impl Into<String>) -> Self {
        Self(Place::Variable(name.into()))
    }

    /// The regular file at this path, of at most 1 MiB. A leading `~` is the home directory.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(Arc::new(ReloadedFile::new(path, FileKind::Secret))))
    }

    /// A function of yours, such as one that reads from a vault. It is called at every use, and never by `build`; a
    /// slow one should cache the secret.
    ///
    /// ```
    /// use tower_idaas::{Secret, SecretSource};
    ///
    /// # async fn ask_the_vault(_: &str) -> Result<String, std::io::Error> { Ok("s3cret".into()) }
    /// use tower_idaas::{Error, ErrorKind};
    ///
    /// let source = SecretSource::from_fn(|| async {
    ///     let failed = |cause| Error::new(ErrorKind::Connect, "the vault does not respond").with_source(cause);
    ///     ask_the_vault("orders").await.map(Secret::new).map_err(failed)
    /// });
    /// # drop(source);
    /// ```
    pub fn from_fn<F, Fut>(function: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Secret, Error>> + Send + 'static,
    {
        Self(Place::Function(Function(Arc::new(move || Box::pin(function())))))
    }

    /// Reads the secret, for a token source or a store of your own. A method uses
    /// [`TokenRequest::read_secret`](crate::authn::TokenRequest::read_secret) instead.
    ///
    /// # Errors
    ///
    /// When the secret is blank, the variable is not set, or the file cannot be read and its last content may not be
    /// used; the message names the place. A function's own errors.
    pub async fn read(&self, environment: &Environment) -> Result<Secret, Error> {
        self.read_expected(environment, Clock::System.now(), Expected::secret()).await
    }

    /// Reads the secret when a handle is built, without a runtime: `None` for a function, which is called at run time
    /// only. It blocks for as long as a file takes, two seconds at most.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_blocking(&self, environment: &Environment) -> Result<Option<Secret>, Error> {
        self.read_expected_blocking(environment, Expected::secret())
    }

    pub(crate) async fn read_expected(
        &self,
        environment: &Environment,
        now: Timestamp,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        match &self.0 {
            Place::Value(secret, _) => self.checked(Ok(secret.clone()), expected),
            Place::Variable(name) => self.checked(read_variable(name, environment, expected), expected),
            Place::File(file) => file.read(environment, now, expected).await,
            Place::Function(Function(function)) => self.checked(function().await, expected),
        }
    }

    pub(crate) fn read_expected_blocking(
        &self,
        environment: &Environment,
        expected: Expected<'_>,
    ) -> Result<Option<Secret>, Error> {
        match &self.0 {
            Place::Value(secret, _) => self.checked(Ok(secret.clone()), expected).map(Some),
            Place::Variable(name) => {
                self.checked(read_variable(name, environment, expected), expected).map(Some)
            }
            Place::File(file) => file.read_blocking(environment, Clock::System.now(), expected).map(Some),
            Place::Function(_) => Ok(None),
        }
    }

    fn checked(&self, read: Result<Secret, Error>, expected: Expected<'_>) -> Result<Secret, Error> {
        let secret = read?;
        let unusable = |problem| unreadable(format!("{} {problem}", self.name()));
        if secret.expose_secret().trim().is_empty() {
            let what = expected.content.as_str();
            return Err(unusable(match self.0 {
                Place::Function(_) => format!("gives an empty text; have it give {what}"),
                _ => format!("is empty; set it to {what}"),
            }));
        }
        (expected.check)(secret.expose_secret()).map_err(unusable)?;
        Ok(secret)
    }

    /// The place of the secret, for messages.
    pub(crate) fn name(&self) -> String {
        match &self.0 {
            Place::Value(_, None) => "the value set in code".to_owned(),
            Place::Value(_, Some(key)) => format!("`{key}`"),
            Place::Variable(name) => redacted_variable(name),
            Place::File(file) => format!("file {}", redacted_path(file.path())),
            Place::Function(_) => "the function set in code".to_owned(),
        }
    }
}

/// Shows the place of the secret, never the secret.
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

fn read_variable(name: &str, environment: &Environment, expected: Expected<'_>) -> Result<Secret, Error> {
    let what = expected.content.as_str();
    let place = redacted_variable(name);
    let Some(value) = environment.variable(name) else {
        return Err(unreadable(format!("{place} is not set; set it to {what}")));
    };
    match value.into_string() {
        Ok(text) => Ok(Secret::new(without_line_break(&Zeroizing::new(text)))),
        Err(raw) => {
            drop(Zeroizing::new(raw.into_encoded_bytes()));
            Err(unreadable(format!("{place} is not valid Unicode")))
        }
    }
}

fn redacted_variable(name: &str) -> String {
    match looks_like_a_variable(name) {
        true => format!("environment variable {name}"),
        false => "environment variable (not shown: its name looks like a secret)".to_owned(),
    }
}

fn unreadable(message: String) -> Error {
    Error::new(ErrorKind::Credential, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;
    use crate::secret::Content;

    fn environment(value: &str) -> Environment {
        Environment::Manual(ManualEnvironment::from_iter([("APP_SECRET", value)]))
    }

    fn now(source: &SecretSource, environment: &Environment) -> Result<String, Error> {
        let here = source.read_blocking(environment).map(|secret| secret.unwrap().expose_secret().to_owned());
        let there = tokio_test::block_on(source.read(environment));
        let message = |error: &Error| error.to_string();
        assert_eq!(
            there.map(|secret| secret.expose_secret().to_owned()).map_err(|error| message(&error)),
            here.clone().map_err(|error| message(&error))
        );
        here
    }

    fn read(value: &str) -> Result<String, String> {
        now(&SecretSource::variable("APP_SECRET"), &environment(value)).map_err(|error| error.to_string())
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
        let error = now(&SecretSource::variable("OTHER"), &environment("x")).unwrap_err();
        assert_eq!(error.to_string(), "environment variable OTHER is not set; set it to the secret");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, false));
    }

    #[test]
    fn a_fault_says_what_belongs_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let environment = environment(" ");
        let fault = |source: &SecretSource, content| {
            let expected = Expected { content, ..Expected::secret() };
            source.read_expected_blocking(&environment, expected).unwrap_err().to_string()
        };
        for (content, what, file) in [
            (Content::Secret, "the secret", "secret file"),
            (Content::PrivateKey, "the private key in PEM form", "private key file"),
            (Content::Passphrase, "the passphrase of the private key", "passphrase file"),
            (Content::Certificates, "the certificate in PEM form", "certificate file"),
        ] {
            for (source, problem) in [
                (SecretSource::variable("OTHER"), "variable OTHER is not set"),
                (SecretSource::variable("APP_SECRET"), "variable APP_SECRET is empty"),
                (SecretSource::value(""), "the value set in code is empty"),
                (SecretSource::value_of_key("", "someKey"), "`someKey` is empty"),
            ] {
                let message = fault(&source, content);
                assert!(message.ends_with(&format!("{problem}; set it to {what}")), "{message}");
            }
            std::fs::write(&path, "\n").unwrap();
            let (here, gone) = (SecretSource::file(&path), SecretSource::file(folder.path().join("gone")));
            assert!(fault(&here, content).ends_with(&format!("is empty; write {what} into it")));
            let message = fault(&gone, content);
            assert!(
                message.starts_with(&format!("{file} /")) && message.contains("does not exist"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_file_is_read_at_each_use_and_its_faults_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = || now(&SecretSource::file(&path), &Environment::Process);

        let missing = read().unwrap_err();
        assert!(missing.to_string().contains(&path.display().to_string()) && missing.is_transient());

        for (text, secret) in [("first\n", "first"), ("second\n", "second"), ("\u{feff}third\r\n", "third")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read().unwrap(), secret);
        }
        for bad in [&b""[..], b"\n", b"\xff\xfe"] {
            std::fs::write(&path, bad).unwrap();
            assert!(read().unwrap_err().to_string().contains(&path.display().to_string()));
        }
    }

    #[test]
    fn a_function_is_called_at_each_use_and_not_when_a_handle_is_built() {
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let source = SecretSource::from_fn(move || {
            let number = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                match number {
                    2 => Err(Error::new(ErrorKind::Connect, "the vault does not respond")),
                    _ => Ok(Secret::new(format!("s3cret{number}"))),
                }
            }
        });
        assert!(source.read_blocking(&Environment::Process).unwrap().is_none());
        let read = || tokio_test::block_on(source.read(&Environment::Process));
        for number in 0..2 {
            assert_eq!(read().unwrap().expose_secret(), format!("s3cret{number}"));
        }
        assert_eq!(read().unwrap_err().kind(), ErrorKind::Connect);
        assert_eq!(format!("{source:?}"), "SecretSource(the function set in code)");
    }

    #[test]
    fn a_blank_secret_is_refused_wherever_it_is_from() {
        for blank in ["", " ", " \t", "\n"] {
            let value = SecretSource::value(blank);
            let error = now(&value, &Environment::Process).unwrap_err().to_string();
            assert_eq!(error, "the value set in code is empty; set it to the secret");
            let function = SecretSource::from_fn(move || async move { Ok(Secret::new(blank)) });
            let read = tokio_test::block_on(function.read(&Environment::Process));
            let error = read.unwrap_err().to_string();
            assert_eq!(error, "the function set in code gives an empty text; have it give the secret");
            now(&SecretSource::variable("APP_SECRET"), &environment(blank)).unwrap_err();
        }
    }

    #[test]
    fn a_client_secret_with_an_odd_character_is_refused_wherever_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let text = "hun\u{200b}ter2";
        std::fs::write(&path, text).unwrap();
        for source in
            [SecretSource::file(&path), SecretSource::variable("APP_SECRET"), SecretSource::value(text)]
        {
            let read = source.read_expected_blocking(&environment(text), Expected::client_secret());
            let error = read.unwrap_err();
            let expected = format!("{} has the character U+200B at position 4", source.name());
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    #[test]
    fn a_secret_in_place_of_its_path_or_variable_is_not_shown() {
        for pasted in ["hunter2hunter2hunter2hunter2", "eyJhunter2.eyJhunter2.hunter2"] {
            for source in [SecretSource::file(pasted), SecretSource::variable(pasted)] {
                let error = now(&source, &Environment::Process).unwrap_err();
                assert!(error.to_string().contains("(not shown"), "{error}");
                assert!(!format!("{error:?} {source:?} {}", source.name()).contains("hunter2"), "{error:?}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_secret_file() {
        let error = now(&SecretSource::file("/dev/zero"), &Environment::Process).unwrap_err();
        assert!(error.to_string().contains("/dev/zero is not a regular file"), "{error}");
    }

    #[test]
    fn a_source_does_not_show_its_secret() {
        let source = SecretSource::value(Secret::new("hunter2"));
        assert!(!format!("{source:?}").contains("hunter2"));
    }
}
