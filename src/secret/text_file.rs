//! Small text files that hold a secret, a token or settings: read whole, but never without bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// Such files have a few kilobytes. The limit keeps a wrong path from eating memory.
const SIZE_LIMIT: usize = 1 << 20;

/// What stands in messages for a path that is likely none.
const HIDDEN: &str = "(not shown: its path looks like a secret)";

/// The file's text without a byte-order mark. `what` goes before the path in messages.
///
/// # Errors
///
/// Each names the path. One that may pass by itself, such as a file that is absent while another takes its
/// place, is transient; one of the file's kind or content is not.
pub(crate) fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, Error> {
    text_of(read_bytes(path), path, what)
}

/// The same; nothing if there is no such file.
#[cfg(feature = "aliyun")]
pub(crate) fn read_if_there(path: &Path, what: &str) -> Result<Option<Zeroizing<String>>, Error> {
    match read_bytes(path) {
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        bytes => text_of(bytes, path, what).map(Some),
    }
}

fn text_of(
    bytes: io::Result<Zeroizing<Vec<u8>>>,
    path: &Path,
    what: &str,
) -> Result<Zeroizing<String>, Error> {
    let bytes = bytes.map_err(|cause| {
        let (problem, may_pass) = problem(&cause);
        fault(path, what, problem).with_source(cause).with_transient(may_pass)
    })?;
    if is_too_large(&bytes) {
        return Err(fault(path, what, "is larger than 1 MiB; give the path of the right file"));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| fault(path, what, "is not UTF-8 text; give the path of the right file"))?;
    Ok(Zeroizing::new(without_mark(text).to_owned()))
}

/// The text of one of these files has this fault.
pub(crate) fn fault(path: &Path, what: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Credential, format!("{what} {} {problem}", shown(path)))
}

/// The file's bytes, of one that is too large only so much that [`is_too_large`] tells.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Asked for first: a directory fails with a puzzling error, and a pipe would wait for its writer.
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // All at once where the size is true: growing would leave copies behind.
    let size = usize::try_from(metadata.len()).unwrap_or(SIZE_LIMIT).min(SIZE_LIMIT);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    File::open(path)?.take(SIZE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn is_too_large(bytes: &[u8]) -> bool {
    bytes.len() > SIZE_LIMIT
}

/// The text without the mark that some editors put before it.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What is the matter with a file, for after its name, and whether it may pass by itself.
pub(crate) fn problem(cause: &io::Error) -> (&'static str, bool) {
    match cause.kind() {
        io::ErrorKind::IsADirectory => ("is a directory; give the path of the file in it", false),
        io::ErrorKind::Unsupported => ("is not a regular file; give the path of one", false),
        io::ErrorKind::NotFound => ("does not exist; check the path, and that the file is mounted", true),
        io::ErrorKind::PermissionDenied => ("cannot be read for lack of permission", true),
        _ => ("cannot be read", true),
    }
}

/// The path for messages. People paste a secret or a token where the path of its file belongs; such a text
/// must not get into a message.
pub(crate) fn shown(path: &Path) -> String {
    let shown = path.display().to_string();
    match looks_like_a_token(path) || looks_like_a_secret(&shown) {
        true => HIDDEN.to_owned(),
        false => shown,
    }
}

/// Whether a JSON Web Token stands where a path belongs.
pub(crate) fn looks_like_a_token(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let mut words = text.split(|c: char| c.is_whitespace() || "/\\\"'".contains(c));
    words.any(|word| word.starts_with("eyJ") && word.matches('.').count() >= 2)
}

/// Longer than any path, more than a line, or no path from a root and with a longer run of letters and digits
/// than people give to names, or with characters that they do not.
fn looks_like_a_secret(text: &str) -> bool {
    const LONGEST_PATH: usize = 4096;
    const LONGEST_WORD: usize = 24;
    let from_root = text.starts_with(['/', '~', '.', '\\']) || text.get(1..3) == Some(":\\");
    let is_name = text.chars().all(|letter| letter.is_alphanumeric() || "/\\._- ".contains(letter));
    let mut words = text.split(|letter: char| !letter.is_alphanumeric());
    text.len() > LONGEST_PATH
        || text.contains(char::is_control)
        || !from_root && (!is_name || words.any(|word| word.len() > LONGEST_WORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_unless_it_is_likely_none() {
        for path in
            ["/run/secrets/token", "secrets/client", "~/k8s/0123456789abcdef0123456789abcdef", "C:\\s\\k"]
        {
            assert_eq!(shown(Path::new(path)), path);
        }
        let long = "/".to_owned() + &"hunter2/".repeat(1000);
        for pasted in [
            "eyJhunter2.eyJh.s",
            "/run/eyJhunter2.eyJh.s",
            "Bearer eyJhunter2.eyJh.s",
            "hunter2hunter2hunter2hunter2",
            "hunter2+/==",
            "-----BEGIN PRIVATE KEY-----\nhunter2",
            &long,
        ] {
            assert_eq!(shown(Path::new(pasted)), HIDDEN, "{pasted}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_regular_file_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        for path in [Path::new("/dev/zero"), &pipe] {
            let error = read(path, "file").unwrap_err();
            assert!(!error.is_transient() && error.to_string().contains("not a regular file"), "{error}");
        }
        let error = read(folder.path(), "file").unwrap_err();
        assert!(!error.is_transient() && error.to_string().contains("is a directory"), "{error}");
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
}
