//! A regular file, read whole and without waiting for what is no file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::secret::bounded_read::bounded;
use crate::secret::off_worker::off_worker;

/// A secret, a token or settings take a few kilobytes. The limit bounds memory when the path is wrong.
pub(crate) const SIZE_LIMIT: usize = 1 << 20;

/// A file system that has not returned a few kilobytes by then hangs.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// The pause before a file that is being written is read again.
const SETTLE: Duration = Duration::from_millis(5);

/// How often a file that is being written is read again.
const REREADS: usize = 3;

/// The content and state of a file.
#[derive(Clone)]
pub(crate) struct FileContent {
    /// Shared by the callers that have waited for one read.
    pub(crate) bytes: Arc<Zeroizing<Vec<u8>>>,
    pub(crate) stamp: Stamp,
    /// The permission bits, on platforms that have them.
    pub(crate) mode: Option<u32>,
    /// Whether the file stayed the same while it was read.
    is_whole: bool,
}

/// The identity and state of a file when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Zero where the platform has none, as is the time of the last change.
    device_and_inode: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
    /// The last change of content or metadata, in seconds and nanoseconds: a copy may keep the time of its original.
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (device_and_inode, changed) = {
            use std::os::unix::fs::MetadataExt;
            ((metadata.dev(), metadata.ino()), (metadata.ctime(), metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (device_and_inode, changed) = ((0, 0), (0, 0));
        Self { device_and_inode, length: metadata.len(), modified: metadata.modified().ok(), changed }
    }

    /// Whether the same file was written in place since. A file renamed into place is another file.
    fn was_rewritten(self, now: Self) -> bool {
        !self.is_another_file(now) && self != now
    }

    /// Whether another file has taken the place of this one, as far as the platform tells.
    pub(crate) fn is_another_file(self, now: Self) -> bool {
        self.device_and_inode != now.device_and_inode
    }
}

/// Reads a small file. Blocks for [`TIME_LIMIT`] at most. `last` is the stamp of the previous read.
///
/// # Errors
///
/// [`io::ErrorKind::FileTooLarge`] beyond 1 MiB, [`io::ErrorKind::IsADirectory`], [`io::ErrorKind::Unsupported`] for
/// what is no regular file, [`io::ErrorKind::ResourceBusy`] when it goes on changing, and [`io::ErrorKind::TimedOut`].
pub(crate) fn read(path: &Path, last: Option<Stamp>) -> io::Result<FileContent> {
    let place = path.to_owned();
    // How carefully a file is read depends on `last`, so only those that know the same share a read.
    bounded(path, last, TIME_LIMIT, move |last| read_settled(&place, *last))
}

/// The same, outside the runtime's workers. Without a runtime, it blocks the calling thread.
pub(crate) async fn read_off_worker(path: PathBuf, last: Option<Stamp>) -> io::Result<FileContent> {
    off_worker(move || read(&path, last)).await?
}

/// Reads a file that is being written until two reads agree.
fn read_settled(path: &Path, last: Option<Stamp>) -> io::Result<FileContent> {
    let mut content = read_once(path, SIZE_LIMIT)?;
    let was_rewritten = last.is_some_and(|last| last.was_rewritten(content.stamp));
    if content.is_whole && !was_rewritten {
        return Ok(content);
    }
    for _ in 0..REREADS {
        thread::sleep(SETTLE);
        let again = read_once(path, SIZE_LIMIT)?;
        let agrees = again.is_whole && again.stamp == content.stamp && again.bytes == content.bytes;
        if agrees {
            return Ok(again);
        }
        content = again;
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// Reads the file once, as it is. Blocks for as long as the file system takes.
pub(crate) fn read_once(path: &Path, size_limit: usize) -> io::Result<FileContent> {
    let mut file = open(path)?;
    // Metadata of the open file: the path may lead elsewhere by now.
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // Reads in one allocation if the size is right: reallocation would leave copies in memory.
    let size = usize::try_from(metadata.len()).unwrap_or(size_limit).min(size_limit);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    (&mut file).take(size_limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > size_limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let stamp = Stamp::of(&file.metadata()?);
    Ok(FileContent {
        bytes: Arc::new(bytes),
        stamp,
        mode: mode(&metadata),
        is_whole: stamp == Stamp::of(&metadata),
    })
}

/// Opens without blocking: a pipe would wait for its writer.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let opened = options.open(path);
    // A socket cannot be opened at all.
    #[cfg(unix)]
    if let Err(cause) = &opened
        && cause.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
    {
        return Err(io::ErrorKind::Unsupported.into());
    }
    opened
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    Some(metadata.mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &Path) -> io::ErrorKind {
        read(path, None).map(|_| ()).unwrap_err().kind()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_regular_file_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let socket = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [Path::new("/dev/zero"), &pipe, &socket] {
            assert_eq!(kind(path), io::ErrorKind::Unsupported, "{path:?}");
        }
        assert_eq!(kind(folder.path()), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_file_of_the_limit_is_read_and_a_larger_one_is_refused_and_not_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![b'a'; SIZE_LIMIT]).unwrap();
        assert_eq!(read(&path, None).unwrap().bytes.len(), SIZE_LIMIT);
        std::fs::write(&path, vec![b'a'; SIZE_LIMIT + 1]).unwrap();
        assert_eq!(kind(&path), io::ErrorKind::FileTooLarge);
    }
}
