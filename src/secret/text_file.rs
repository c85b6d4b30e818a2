//! Small text files that hold a secret, a token or settings: their text, and what may be wrong with them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::secret::path::redacted_path;
use crate::secret::regular_file;

/// The file's text without a byte-order mark. `what` precedes the path in messages. Blocks for a bounded time.
///
/// # Errors
///
/// Each error names the path. It is transient if it may pass by itself, such as a file that is absent while another
/// takes its place; it is definitive if the path leads to no small file.
pub(crate) fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, Error> {
    let content = regular_file::read(path, None).map_err(|cause| unreadable(path, what, cause))?;
    text_of(&content.bytes, path, what)
}

/// The same; `None` if the file does not exist.
#[cfg(feature = "aliyun")]
pub(crate) fn read_if_there(path: &Path, what: &str) -> Result<Option<Zeroizing<String>>, Error> {
    match regular_file::read(path, None) {
        Ok(content) => text_of(&content.bytes, path, what).map(Some),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => Err(unreadable(path, what, cause)),
    }
}

/// The bytes as text, without a byte-order mark.
pub(super) fn text_of(bytes: &[u8], path: &Path, what: &str) -> Result<Zeroizing<String>, Error> {
    if is_utf16(bytes) {
        return Err(fault(path, what, IS_UTF16));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| fault(path, what, no_text(bytes)))?;
    Ok(Zeroizing::new(without_mark(text).to_owned()))
}

/// The error of a file with this fault, which may pass by itself: the file may be half written.
pub(crate) fn fault(path: &Path, what: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Credential, format!("{what} {} {problem}", redacted_path(path)))
        .with_transient(true)
}

/// The error of a file that cannot be read.
pub(super) fn unreadable(path: &Path, what: &str, cause: io::Error) -> Error {
    let (problem, may_pass) = match cause.kind() {
        io::ErrorKind::NotFound if path.is_relative() => (NO_RELATIVE, true),
        _ => problem(&cause),
    };
    fault(path, what, problem).with_source(cause).with_transient(may_pass)
}

/// The file's bytes. Blocks for a bounded time.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Arc<Zeroizing<Vec<u8>>>> {
    let content = regular_file::read(path, None)?;
    warn_of_mode(path, "file", content.mode, true);
    Ok(content.bytes)
}

/// Warns of a file that others on this machine may write, or, unless it is public, read.
pub(super) fn warn_of_mode(path: &Path, what: &str, mode: Option<u32>, is_public: bool) {
    let Some(mode) = mode else { return };
    let others_may = match mode {
        _ if mode & 0o002 != 0 => "write",
        _ if mode & 0o004 != 0 && !is_public => "read",
        _ => return,
    };
    let path = redacted_path(path);
    tracing::warn!(
        "every user of this machine may {others_may} {what} {path} (mode {mode:04o}); restrict it"
    );
}

/// The problem with text in UTF-16, as it follows a file's name.
pub(crate) const IS_UTF16: &str = "is not UTF-8 text but UTF-16; save it as UTF-8";

/// Whether the bytes are text in UTF-16, as PowerShell and some editors write it.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..])
}

/// The problem with a file that is not there, where its path depends on where the process was started.
const NO_RELATIVE: &str =
    "does not exist; check the path, which begins at the working directory of the process";

/// The problem with bytes that are no text. DER begins with a sequence and its length in more than one byte.
fn no_text(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x30, 0x80..=0x84, ..] => "is not text but DER or PKCS#12; convert it to PEM with `openssl`",
        _ => "is not UTF-8 text; give the path of the right file",
    }
}

/// The text without a byte-order mark, which some editors add.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The problem with a file, as it follows its name, and whether it may pass by itself.
pub(crate) fn problem(cause: &io::Error) -> (&'static str, bool) {
    match cause.kind() {
        io::ErrorKind::IsADirectory => ("is a directory; give the path of the file in it", false),
        io::ErrorKind::Unsupported => ("is not a regular file; give the path of one", false),
        io::ErrorKind::FileTooLarge => ("is larger than 1 MiB; give the path of the right file", false),
        io::ErrorKind::NotFound => ("does not exist; check the path, and that the file is mounted", true),
        io::ErrorKind::PermissionDenied => {
            ("cannot be read for lack of permission; let the user of this process read it", true)
        }
        io::ErrorKind::TimedOut => ("does not respond; check the file system that it is on", true),
        io::ErrorKind::ResourceBusy => ("changes while it is read; replace it by renaming a new one", true),
        _ => ("cannot be read", true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_to_no_file_is_a_lasting_fault_that_says_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut cases = vec![(folder.path(), "is a directory")];
        #[cfg(target_os = "linux")]
        cases.push((Path::new("/dev/zero"), "is not a regular file"));
        for (path, problem) in cases {
            let error = read(path, "file").unwrap_err();
            assert!(!error.is_transient() && error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn a_relative_path_that_leads_nowhere_says_where_it_begins() {
        let error = read(Path::new("none.pem"), "private key file").unwrap_err();
        assert_eq!(
            error.to_string(),
            "private key file none.pem does not exist; check the path, which begins at the working directory of the \
             process"
        );
        assert!(error.is_transient());
    }

    #[test]
    fn a_certificate_in_der_is_called_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.der");
        for (bytes, expected) in [
            (&b"\x30\x82\x01\x23\xff"[..], "is not text but DER or PKCS#12"),
            (b"a\xff", "is not UTF-8 text;"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path, "certificate file").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn text_in_utf_16_is_called_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (mark, bytes) in [
            ("\u{feff}", u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ("\u{feff}", u16::to_be_bytes),
            ("", u16::to_le_bytes),
        ] {
            let text: Vec<u8> = format!("{mark}hunter2").encode_utf16().flat_map(bytes).collect();
            std::fs::write(&path, text).unwrap();
            let error = read(&path, "secret file").unwrap_err().to_string();
            assert!(error.contains("is not UTF-8 text but UTF-16; save it as UTF-8"), "{error}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        for (bytes, text) in
            [("\u{feff}s", "s"), ("\u{feff}\u{feff}s", "\u{feff}s"), ("s\u{feff}", "s\u{feff}")]
        {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(*read(&path, "file").unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_change_or_read_is_warned_of() {
        let log = |mode, is_public| {
            let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
            let seen = Lines(std::sync::Arc::clone(&lines));
            let subscriber = tracing_subscriber::fmt().with_writer(move || seen.clone()).finish();
            tracing::subscriber::with_default(subscriber, || {
                warn_of_mode(Path::new("/run/secrets/key"), "secret file", Some(mode), is_public);
            });
            let lines = lines.lock().unwrap().clone();
            String::from_utf8(lines).unwrap()
        };
        for (mode, is_public, part) in [
            (0o666, false, "may write secret file /run/secrets/key (mode 0666)"),
            (0o602, true, "may write"),
            (0o644, false, "may read secret file /run/secrets/key (mode 0644)"),
        ] {
            assert!(log(mode, is_public).contains(part), "{mode:o}");
        }
        for (mode, is_public) in [(0o644, true), (0o660, false), (0o600, false), (0o640, false)] {
            assert_eq!(log(mode, is_public), "", "{mode:o}");
        }
    }

    #[derive(Clone)]
    struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
