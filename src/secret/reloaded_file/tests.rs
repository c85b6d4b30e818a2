//! What each read of a file returns, whatever is done to the file meanwhile.

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

#[cfg(unix)] // where files have numbers
#[test]
fn a_shorter_secret_that_is_renamed_into_place_is_used_at_once() {
    let fixture = Fixture::new(FileKind::Secret);
    for secret in ["firstsecret2", "firs", "firstsecret2", "f"] {
        fixture.swap(secret);
        assert_eq!(fixture.read(0).unwrap(), secret);
    }
    fixture.swap("firstsecret2");
    assert_eq!(fixture.read(0).unwrap(), "firstsecret2");
    // The same text written in place may be the beginning of the old one.
    fs::write(&fixture.file.path, "firs").unwrap();
    assert_eq!(fixture.read(0).unwrap(), "firstsecret2");
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

#[cfg(unix)] // where files have numbers
#[test]
fn another_token_that_is_renamed_into_place_is_used_after_a_minute_whatever_it_looks_like() {
    let shorter = token(2_000).replace("c2ln", "c2k");
    for new in ["opaque-token", &shorter] {
        let fixture = Fixture::new(FileKind::Token);
        fixture.swap(&token(100_000));
        fixture.read(0).unwrap();
        fixture.swap(new);
        for millis in [0, 59_999] {
            assert_eq!(fixture.read(millis).unwrap(), token(100_000), "it may be half written");
        }
        assert_eq!(fixture.read(60_000).unwrap(), new);
    }
    // Written in place, it may stay half written.
    let fixture = Fixture::new(FileKind::Token);
    fixture.swap(&token(100_000));
    fixture.read(0).unwrap();
    fs::write(&fixture.file.path, "opaque-token").unwrap();
    assert_eq!(fixture.read(0).unwrap(), token(100_000));
    assert_eq!(fixture.read(600_000).unwrap(), token(100_000));
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
        let expected = Expected { content: Content::Secret, check: &check };
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

#[test]
fn a_path_below_a_home_directory_that_is_not_known_is_reported() {
    let environment = Environment::Manual(crate::environment::ManualEnvironment::new());
    let file = ReloadedFile::new("~/secret", FileKind::Secret);
    let error = file.read_blocking(&environment, at(0), Expected::secret()).unwrap_err();
    assert!(error.to_string().starts_with("secret file ~/secret begins with `~`"), "{error}");
    assert!(error.to_string().contains("HOME is not set") && !error.is_transient(), "{error}");
}
