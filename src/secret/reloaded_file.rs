//! A small file that is read at each use, and whose last good content stands in while it cannot be read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::Error;
use crate::secret::characters::check_client_secret;
use crate::secret::id_token::{self, is_jwt};
use crate::secret::text_file::{
    BoundedReader, FileContent, Stamp, fault, looks_like_a_token, shown, text_of, unreadable, warn_of_mode,
};
use crate::secret::{Secret, pem};

/// How long content without an expiry stands in: a file that is swapped is back within milliseconds, a volume that is
/// mounted again within seconds.
const STAND_IN: Duration = Duration::from_secs(60);

/// A fault that lasts longer is logged.
const LASTING: Duration = Duration::from_secs(1);

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A secret, a key or certificates. One line break at the end does not belong to it.
    Secret,
    /// A token that another program keeps up to date, such as the kubelet. White space around it does not belong to it.
    Token,
}

impl FileKind {
    /// The words before the path in messages.
    fn what(self) -> &'static str {
        match self {
            Self::Secret => "secret file",
            Self::Token => "token file",
        }
    }

    fn trimmed(self, text: &str) -> &str {
        match self {
            Self::Secret => super::without_line_break(text),
            Self::Token => text.trim(),
        }
    }

    fn when_blank(self) -> &'static str {
        match self {
            Self::Secret => "is empty; write the secret into it",
            Self::Token => "is empty; check what writes it",
        }
    }
}

/// The requirements on a text.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// Whether any user of the machine may read it, such as a certificate.
    pub(crate) is_public: bool,
    /// The problem with a text, as it follows the name of its place.
    pub(crate) check: &'a (dyn Fn(&str) -> Result<(), String> + Send + Sync),
}

impl Expected<'static> {
    /// A secret of any form.
    pub(crate) fn secret() -> Self {
        Self { is_public: false, check: &|_| Ok(()) }
    }

    /// A client secret (RFC 6749 section 2.3.1).
    pub(crate) fn client_secret() -> Self {
        Self { is_public: false, check: &check_client_secret }
    }
}

/// A file that is read at each use, one read at a time and outside the runtime's workers.
///
/// While it is missing, unreadable, empty or half written, the last content stands in: a token with an expiry until
/// then, anything else for [`STAND_IN`] after the first failed read.
pub(crate) struct ReloadedFile {
    path: PathBuf,
    kind: FileKind,
    reader: Arc<BoundedReader>,
    permit: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<Good>,
    failing_since: Option<Timestamp>,
    /// Whether the present fault was logged, and the file's mode checked.
    fault_told: bool,
    mode_checked: bool,
}

struct Good {
    text: Secret,
    stamp: Stamp,
}

impl ReloadedFile {
    pub(crate) fn new(path: impl Into<PathBuf>, kind: FileKind) -> Self {
        Self {
            path: path.into(),
            kind,
            reader: Arc::default(),
            permit: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// The path as configured.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The current content, or the last good content while the file is unusable.
    ///
    /// # Errors
    ///
    /// Each error names the path, and is transient if the fault may pass by itself.
    pub(crate) async fn read(
        &self,
        environment: &Environment,
        now: Timestamp,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        let path = self.expanded(environment)?;
        let content = {
            let _permit = self.permit.lock().await;
            let last = self.last_stamp();
            self.reader.read_off_worker(path.clone(), last).await
        };
        self.conclude(content, &path, now, expected)
    }

    /// The same, before a handle is built. Blocks for a bounded time.
    pub(crate) fn read_blocking(
        &self,
        environment: &Environment,
        now: Timestamp,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        let path = self.expanded(environment)?;
        self.conclude(self.reader.read(&path, self.last_stamp()), &path, now, expected)
    }

    fn expanded(&self, environment: &Environment) -> Result<PathBuf, Error> {
        if self.kind == FileKind::Token && looks_like_a_token(&self.path) {
            return Err(super::token_file::token_as_path());
        }
        Ok(environment.expand(&self.path))
    }

    /// The result of a read. Nothing is parsed or logged while the lock is held.
    fn conclude(
        &self,
        content: io::Result<FileContent>,
        path: &Path,
        now: Timestamp,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        let what = self.kind.what();
        let good = content.map_err(|cause| unreadable(path, what, cause)).and_then(|content| {
            let text = text_of(&content.bytes, path, what)?;
            let text = self.kind.trimmed(&text);
            if text.trim().is_empty() {
                return Err(fault(path, what, self.kind.when_blank()));
            }
            (expected.check)(text).map_err(|problem| fault(path, what, &problem))?;
            Ok((Good { text: Secret::new(text), stamp: content.stamp }, content.mode))
        });
        let mut state = self.state();
        let torn = match (&good, &state.last) {
            (Ok((new, _)), Some(last)) => is_torn(new.text.expose_secret(), last.text.expose_secret()),
            _ => false,
        };
        if good.is_err() || torn {
            let stand_in = state.stand_in(now);
            let news = state.is_news(now);
            drop(state);
            let torn = || fault(path, what, "is cut short; replace it by renaming a new one");
            if let Some(text) = stand_in {
                let error = good.err().unwrap_or_else(torn);
                match news {
                    true => tracing::warn!("{error}; what was read there last is used meanwhile"),
                    false => tracing::debug!("{error}; what was read there last is used meanwhile"),
                }
                return Ok(text);
            }
            state = self.state();
        }
        // Text that still looks torn after this time is the file's content.
        let (good, mode) = good?;
        let text = good.text.clone();
        let mode = (!state.mode_checked).then_some(mode).flatten();
        *state = State { last: Some(good), mode_checked: true, ..State::default() };
        drop(state);
        let is_public = expected.is_public || self.kind == FileKind::Token;
        warn_of_mode(path, what, mode, is_public);
        Ok(text)
    }

    fn last_stamp(&self) -> Option<Stamp> {
        self.state().last.as_ref().map(|last| last.stamp)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The last good content, if it may stand in now.
    fn stand_in(&mut self, now: Timestamp) -> Option<Secret> {
        let since = *self.failing_since.get_or_insert(now);
        let last = self.last.as_ref()?;
        let is_valid = match id_token::expiry(last.text.expose_secret()) {
            Some(expiry) => now.unix_seconds() < expiry,
            None => now.since(since) < STAND_IN,
        };
        is_valid.then(|| last.text.clone())
    }

    /// Whether the present fault has lasted, and was not logged before.
    fn is_news(&mut self, now: Timestamp) -> bool {
        let lasts = self.failing_since.is_some_and(|since| now.since(since) >= LASTING);
        lasts && !std::mem::replace(&mut self.fault_told, lasts)
    }
}

/// Whether the text is only partly written: the beginning of the last one, no complete JWT or PEM any more, or a JWT
/// with a shorter signature.
fn is_torn(new: &str, last: &str) -> bool {
    let is_beginning = new.len() < last.len() && last.starts_with(new);
    is_beginning
        || is_jwt(last) && (!is_jwt(new) || has_shorter_signature(new, last))
        || pem::is_pem(last) && !pem::is_pem(new)
}

fn has_shorter_signature(new: &str, last: &str) -> bool {
    let header = |token: &str| token.split('.').next().map(str::to_owned);
    let signature = |token: &str| token.rsplit('.').next().map(str::len);
    header(new) == header(last) && signature(new) < signature(last)
}

impl fmt::Debug for ReloadedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadedFile").field("path", &shown(&self.path)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp { monotonic: millis * 1_000_000, wall: (1_000_000 + millis) * 1_000_000 }
    }

    fn token(expiry: u64) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{expiry}}}"#)))
    }

    struct Fixture {
        folder: tempfile::TempDir,
        file: ReloadedFile,
    }

    impl Fixture {
        fn new(kind: FileKind) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = ReloadedFile::new(folder.path().join("file"), kind);
            Self { folder, file }
        }

        /// Renames a new file into place.
        fn swap(&self, text: &str) {
            let new = self.folder.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, &self.file.path).unwrap();
        }

        fn read(&self, millis: u64) -> Result<String, Error> {
            let read = self.file.read(&Environment::Process, at(millis), Expected::secret());
            tokio_test::block_on(read).map(|text| text.expose_secret().to_owned())
        }
    }

    #[test]
    fn each_read_sees_what_the_file_holds_then() {
        let fixture = Fixture::new(FileKind::Secret);
        assert!(fixture.read(0).unwrap_err().to_string().contains("does not exist"));
        for (text, secret) in [("first\n", "first"), ("second", "second"), ("\u{feff}third\r\n", "third")] {
            fixture.swap(text);
            assert_eq!(fixture.read(0).unwrap(), secret);
            fs::write(&fixture.file.path, "x".to_owned() + text).unwrap();
            assert!(fixture.read(0).unwrap().starts_with('x'), "rewritten in place");
        }
    }

    #[test]
    fn good_content_bridges_every_fault_for_a_minute_from_its_first_sight() {
        let path = |fixture: &Fixture| fixture.file.path.clone();
        let faults: [fn(PathBuf); 6] = [
            |path| fs::remove_file(path).unwrap(),
            |path| fs::write(path, "").unwrap(),
            |path| fs::write(path, " \n").unwrap(),
            |path| fs::write(path, "s3c").unwrap(),
            |path| fs::write(path, b"s3\xff").unwrap(),
            |path| {
                fs::remove_file(&path).unwrap();
                fs::create_dir(path).unwrap();
            },
        ];
        for (number, break_it) in faults.into_iter().enumerate() {
            let fixture = Fixture::new(FileKind::Secret);
            fixture.swap("s3cret");
            fixture.read(0).unwrap();
            break_it(path(&fixture));
            let first_sight = 900_000;
            assert_eq!(fixture.read(first_sight).unwrap(), "s3cret", "{number}");
            assert_eq!(fixture.read(first_sight + 59_999).unwrap(), "s3cret", "{number}");
            let after = fixture.read(first_sight + 60_000);
            match number {
                // The file now holds a shorter secret.
                3 => assert_eq!(after.unwrap(), "s3c"),
                _ => assert!(after.unwrap_err().to_string().contains("secret file"), "{number}"),
            }
        }
    }

    #[test]
    fn a_token_with_an_expiry_bridges_until_then_and_no_longer() {
        let fixture = Fixture::new(FileKind::Token);
        fixture.swap(&token(1_600));
        fixture.read(0).unwrap();
        for broken in ["", "e30.eyJleHA", "e30.eyJleHAiOjE2MDB9", "e30.eyJleHAiOjk5OTl9.c2", "garbage"] {
            fixture.swap(broken);
            assert_eq!(fixture.read(599_999).unwrap(), token(1_600), "{broken}");
        }
        fs::remove_file(&fixture.file.path).unwrap();
        assert_eq!(fixture.read(599_999).unwrap(), token(1_600));
        assert!(fixture.read(600_000).unwrap_err().to_string().contains("does not exist"));
        fixture.swap("new");
        assert_eq!(fixture.read(600_000).unwrap(), "new");
    }

    #[test]
    fn half_a_pem_block_is_bridged_and_a_whole_one_is_taken() {
        let fixture = Fixture::new(FileKind::Secret);
        let (old, new) = (pem::encode("CERTIFICATE", &[1; 100]), pem::encode("CERTIFICATE", &[2; 100]));
        fixture.swap(&old);
        fixture.read(0).unwrap();
        for length in [1, 20, 80, new.len() - 1] {
            fixture.swap(&new[..length]);
            assert_eq!(fixture.read(1).unwrap(), old, "{length}");
        }
        fixture.swap(&new);
        assert_eq!(fixture.read(2).unwrap(), new);
    }

    #[test]
    fn content_that_does_not_pass_the_check_is_bridged() {
        let fixture = Fixture::new(FileKind::Secret);
        let check = |text: &str| match text {
            "good" => Ok(()),
            _ => Err("holds no such thing".to_owned()),
        };
        let read = |millis| {
            let expected = Expected { is_public: false, check: &check };
            let read = fixture.file.read_blocking(&Environment::Process, at(millis), expected);
            read.map(|text| text.expose_secret().to_owned())
        };
        fixture.swap("bad");
        let error = read(0).unwrap_err();
        assert!(error.to_string().ends_with("holds no such thing") && error.is_transient(), "{error}");
        fixture.swap("good");
        read(0).unwrap();
        fixture.swap("bad");
        assert_eq!(read(1).unwrap(), "good");
    }

    /// Runs `write` in a loop concurrently with `read`.
    fn beside(write: impl Fn() + Send + Sync, read: impl FnOnce()) {
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    write();
                }
            });
            // Stops the writer also when `read` panics.
            let _done = Done(&done);
            read();
        });
    }

    struct Done<'a>(&'a std::sync::atomic::AtomicBool);

    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn a_file_that_is_truncated_and_written_anew_again_and_again_always_reads_whole() {
        const SECRET: &str = "the-only-secret-of-this-test";
        let fixture = Fixture::new(FileKind::Secret);
        fixture.swap(SECRET);
        fixture.read(0).unwrap();
        let path = fixture.file.path.clone();
        let write = || {
            for text in ["", &SECRET[..9], SECRET] {
                fs::write(&path, text).unwrap();
                std::thread::sleep(Duration::from_millis(3));
            }
        };
        beside(write, || {
            for _ in 0..50 {
                assert_eq!(fixture.read(1).unwrap(), SECRET);
            }
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_that_is_swapped_between_a_file_and_a_pipe_keeps_nothing_waiting() {
        let fixture = Fixture::new(FileKind::Secret);
        let (path, pipe) = (fixture.file.path.clone(), fixture.folder.path().join("pipe"));
        fixture.swap("s3cret");
        fixture.read(0).unwrap();
        let other = fixture.folder.path().join("other");
        let write = || {
            rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
            fs::rename(&pipe, &path).unwrap();
            fs::write(&other, "s3cret").unwrap();
            fs::rename(&other, &path).unwrap();
        };
        let begun = crate::clock::Clock::System.now();
        beside(write, || {
            for _ in 0..200 {
                assert_eq!(fixture.read(1).unwrap(), "s3cret");
            }
        });
        assert!(crate::clock::Clock::System.now().since(begun) < Duration::from_secs(2));
    }

    #[test]
    fn nothing_of_the_content_is_shown() {
        let fixture = Fixture::new(FileKind::Secret);
        fixture.swap("hunter2");
        fixture.read(0).unwrap();
        assert!(!format!("{:?}", fixture.file).contains("hunter2"));
    }
}
