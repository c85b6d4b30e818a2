//! A token in a file that somebody else keeps fresh, such as the kubelet.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

/// Tokens have a few kilobytes. The limit keeps a wrong path, such as a device's, from eating memory.
const SIZE_LIMIT: u64 = 1 << 20;

/// The file's text without surrounding white space.
///
/// # Errors
///
/// Each names the path. One that may pass by itself, such as a file that is absent while another takes its
/// place, is transient; one of the file's kind or content is not.
pub(crate) fn read(path: &Path) -> Result<Secret, Error> {
    let bytes = read_bytes(path).map_err(|cause| unreadable(path, cause))?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > SIZE_LIMIT) {
        return Err(fault(path, "is larger than 1 MiB; give the path of a file that holds a token"));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| fault(path, "is not UTF-8 text; give the path of a file that holds a token"))?;
    match text.trim() {
        "" => Err(fault(path, "is empty; check what writes it")),
        token => Ok(Secret::new(token)),
    }
}

fn read_bytes(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Asked for first: a directory fails with a puzzling error, and a pipe would wait for its writer.
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // All at once where the size is true: growing would leave copies behind.
    let size = metadata.len().min(SIZE_LIMIT);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    let (problem, may_pass) = match cause.kind() {
        io::ErrorKind::IsADirectory => ("is a directory; give the path of the file in it", false),
        io::ErrorKind::Unsupported => ("is not a regular file; give the path of one", false),
        io::ErrorKind::NotFound => ("does not exist; check the path, and that the token is mounted", true),
        io::ErrorKind::PermissionDenied => ("cannot be read for lack of permission", true),
        _ => ("cannot be read", true),
    };
    fault(path, problem).with_source(cause).with_transient(may_pass)
}

fn fault(path: &Path, problem: &str) -> Error {
    Error::new(ErrorKind::Secret, format!("token file {} {problem}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_the_token_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in ["a.b.c", "a.b.c\n", "\r\n a.b.c \r\n\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap().expose_secret(), "a.b.c");
        }
    }

    #[test]
    fn a_file_without_a_token_is_refused_with_its_path_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let huge = vec![b'a'; (1 << 20) + 1];
        for (bytes, reason) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"hunter2\xff", "is not UTF-8"),
            (&huge, "is larger than 1 MiB"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&path.display().to_string()) && text.contains(reason), "{text}");
            assert!(!error.is_transient());
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

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused_unread() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert!(!error.is_transient() && error.to_string().contains("not a regular file"), "{error}");
    }
}
