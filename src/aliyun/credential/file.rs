//! Reads a small file that holds credentials.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::lookup::Miss;
use crate::error::{Error, ErrorKind};

/// Such files have a few kilobytes. The limit keeps a wrong path from eating memory.
const SIZE_LIMIT: u64 = 1 << 20;

/// The file's text, or `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Miss> {
    let shown = path.display();
    match read_text(path) {
        Ok(text) if u64::try_from(text.len()).is_ok_and(|size| size > SIZE_LIMIT) => {
            Err(Miss::fault(format!("{shown} is larger than 1 MiB")))
        }
        Ok(text) => Ok(Some(text)),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => {
            let problem = match cause.kind() {
                io::ErrorKind::PermissionDenied => "cannot be read for lack of permission",
                io::ErrorKind::InvalidData => "is not UTF-8 text",
                io::ErrorKind::Unsupported => "is not a regular file",
                _ => "cannot be read",
            };
            Err(Miss::Fault(Error::new(ErrorKind::Secret, format!("{shown} {problem}")).with_source(cause)))
        }
    }
}

fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    // Asked for first: a pipe would wait for its writer.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // All at once where the size is true: growing would leave copies behind.
    let size = usize::try_from(metadata.len().min(SIZE_LIMIT)).unwrap_or(0);
    let mut text = Zeroizing::new(String::with_capacity(size + 1));
    File::open(path)?.take(SIZE_LIMIT + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_small_text_file_is_a_fault_that_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        assert!(matches!(read(&path), Ok(None)));
        assert!(matches!(read(&path.join("below")), Ok(None)));
        let huge = vec![b'a'; (1 << 20) + 1];
        for (bytes, problem) in [(&b"hunter2\xff"[..], "is not UTF-8"), (&huge, "larger than 1 MiB")] {
            std::fs::write(&path, bytes).unwrap();
            let Err(Miss::Fault(error)) = read(&path) else { panic!() };
            assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
            assert!(error.to_string().contains(problem) && !format!("{error:?}").contains("hunter2"));
        }
        assert!(matches!(read(folder.path()), Err(Miss::Fault(_))));
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "{}");
    }
}
