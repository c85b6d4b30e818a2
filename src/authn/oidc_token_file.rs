//! The file of an OIDC token, read at every token request.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::authn::check::unusable;
use crate::authn::{AssertionSource, CheckContext, TokenRequest, id_token, option};
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{BoxFuture, ConfigFault, Error};
use crate::secret::Secret;
use crate::secret::token_file;

/// How long a token that does not tell its expiry stands in for a file that cannot be read: the kubelet's
/// swap takes milliseconds, and a volume that is mounted again takes seconds.
const STAND_IN: Duration = Duration::from_secs(60);

/// A file that another program keeps fresh. While it cannot be read, the token that was read last serves,
/// until it expires.
#[derive(Debug)]
pub(super) struct OidcTokenFile {
    path: PathBuf,
    last: Mutex<Option<LastRead>>,
}

#[derive(Clone, Debug)]
struct LastRead {
    token: Secret,
    at: Timestamp,
    /// Unix seconds.
    expiry: Option<u64>,
}

impl LastRead {
    fn may_stand_in(&self, now: Timestamp) -> bool {
        match self.expiry {
            Some(expiry) => now.unix_seconds() < expiry,
            None => now.since(self.at) < STAND_IN,
        }
    }
}

impl OidcTokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::new(None) }
    }

    fn read(&self, environment: &Environment, now: Timestamp) -> Result<Secret, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match token_file::read(&environment.expand(&self.path)) {
            Ok(token) => {
                let expiry = id_token::expiry(token.expose_secret());
                *last = Some(LastRead { token: token.clone(), at: now, expiry });
                Ok(token)
            }
            // Only what may pass is bridged: a file with the wrong content is a mistake to be told.
            Err(error) => match last.as_ref().filter(|last| error.is_transient() && last.may_stand_in(now)) {
                Some(last) => {
                    tracing::warn!("{error}; the token that was read there last is sent once more");
                    Ok(last.token.clone())
                }
                None => Err(error),
            },
        }
    }
}

impl AssertionSource for OidcTokenFile {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move { self.read(request.environment(), request.moment()) })
    }

    /// The file has to hold a token now.
    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let read = token_file::read(&context.environment().expand(&self.path));
        read.err().map(|error| unusable(option::TOKEN_FILE, error)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::environment::ManualEnvironment;

    fn at(seconds: u64) -> Timestamp {
        Timestamp { monotonic: seconds * 1_000_000_000, wall: (1_000 + seconds) * 1_000_000_000 }
    }

    fn token(expiry: u64) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{expiry}}}"#)))
    }

    struct Fixture {
        folder: tempfile::TempDir,
        file: OidcTokenFile,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = OidcTokenFile::new("~/token".into());
            Self { folder, file }
        }

        fn write(&self, text: &str) {
            std::fs::write(self.folder.path().join("token"), text).unwrap();
        }

        fn remove(&self) {
            std::fs::remove_file(self.folder.path().join("token")).unwrap();
        }

        fn read(&self, seconds: u64) -> Result<String, Error> {
            let home = self.folder.path().as_os_str();
            let environment = Environment::Manual(ManualEnvironment::from_iter([("HOME", home)]));
            self.file.read(&environment, at(seconds)).map(|token| token.expose_secret().to_owned())
        }
    }

    #[test]
    fn the_file_is_read_each_time() {
        let fixture = Fixture::new();
        assert!(fixture.read(0).unwrap_err().to_string().contains("does not exist"));
        for text in ["first", "second"] {
            fixture.write(text);
            assert_eq!(fixture.read(0).unwrap(), text);
        }
    }

    #[test]
    fn an_absent_file_is_bridged_until_the_last_token_expires() {
        let fixture = Fixture::new();
        fixture.write(&token(1_600));
        fixture.read(0).unwrap();
        fixture.remove();
        assert_eq!(fixture.read(599).unwrap(), token(1_600));
        assert!(fixture.read(600).unwrap_err().to_string().contains("does not exist"));
        fixture.write("new");
        assert_eq!(fixture.read(600).unwrap(), "new");
    }

    #[test]
    fn a_token_that_tells_no_expiry_bridges_a_minute() {
        let fixture = Fixture::new();
        fixture.write("opaque");
        fixture.read(10).unwrap();
        fixture.remove();
        assert_eq!(fixture.read(69).unwrap(), "opaque");
        fixture.read(70).unwrap_err();
    }

    #[test]
    fn wrong_content_is_told_whatever_was_read_before() {
        let fixture = Fixture::new();
        fixture.write(&token(9_999));
        fixture.read(0).unwrap();
        fixture.write(" \n");
        assert!(fixture.read(1).unwrap_err().to_string().contains("is empty"));
        fixture.remove();
        std::fs::create_dir(fixture.folder.path().join("token")).unwrap();
        assert!(fixture.read(1).unwrap_err().to_string().contains("is a directory"));
    }

    #[test]
    fn the_token_is_not_shown() {
        let fixture = Fixture::new();
        fixture.write("hunter2");
        fixture.read(0).unwrap();
        assert!(!format!("{:?}", fixture.file).contains("hunter2"));
    }
}
