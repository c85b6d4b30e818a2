//! A token in a file that another program keeps up to date, such as the kubelet.

use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::secret::path::looks_like_a_token;
use crate::secret::text_file::{fault, read as read_text};

const WHAT: &str = "token file";

/// The file's text without surrounding white space and byte-order mark. Blocks for a bounded time.
///
/// # Errors
///
/// Each error names the path, unless that is the token itself. It is transient if it may pass by itself, such as a file
/// that is absent while another takes its place; it is definitive if the path leads to no small file.
pub(crate) fn read(path: &Path) -> Result<Secret, Error> {
    if looks_like_a_token(path) {
        return Err(token_as_path());
    }
    match read_text(path, WHAT)?.trim() {
        "" => Err(fault(path, WHAT, "is empty; check what writes it")),
        token => Ok(Secret::new(token)),
    }
}

pub(super) fn token_as_path() -> Error {
    let message = "a token stands where the path of the file that holds it belongs; give the path";
    Error::new(ErrorKind::Credential, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_the_token_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in ["a.b.c", "a.b.c\n", "\r\n a.b.c \r\n\n", "\u{feff}a.b.c\r\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap().expose_secret(), "a.b.c");
        }
    }

    #[test]
    fn a_file_without_a_token_is_refused_with_its_path_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let huge = vec![b'a'; (1 << 20) + 1];
        for (bytes, reason, may_pass) in [
            (&b""[..], "is empty", true),
            (b" \n", "is empty", true),
            (b"hunter2\xff", "is not UTF-8", true),
            (&huge, "is larger than 1 MiB", false),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&path.display().to_string()) && text.contains(reason), "{text}");
            assert_eq!(error.is_transient(), may_pass, "{text}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn an_absent_file_may_come_back_and_a_directory_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let absent = read(&folder.path().join("none")).unwrap_err();
        assert!(absent.is_transient() && absent.to_string().contains("does not exist"), "{absent}");
        let directory = read(folder.path()).unwrap_err();
        assert!(!directory.is_transient(), "{directory}");
        assert!(directory.to_string().contains("is a directory"), "{directory}");
    }

    #[test]
    fn a_token_in_place_of_its_path_is_reported_and_not_shown() {
        for path in ["eyJhunter2.eyJhunter2.hunter2", "Bearer eyJhunter2.eyJhunter2.hunter2"] {
            let error = read(Path::new(path)).unwrap_err();
            assert!(error.to_string().contains("a token stands where the path"), "{error}");
            assert!(!error.is_transient() && !format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
