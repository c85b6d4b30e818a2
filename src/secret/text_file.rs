//! Small text files that hold a secret, a token or settings: read whole, with a bound on size and on time.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// Such files have a few kilobytes. The limit bounds memory when the path is wrong.
const SIZE_LIMIT: usize = 1 << 20;

/// A file system that has not returned a few kilobytes by then hangs.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// The pause before a file that is being written is read again.
const SETTLE: Duration = Duration::from_millis(5);

/// How often a file that is being written is read again.
const REREADS: usize = 3;

/// The placeholder in messages for a path that is likely a secret.
const HIDDEN: &str = "(not shown: its path looks like a secret)";

/// The bytes of a file; a file that is too large is cut off where [`is_too_large`] notices.
pub(crate) struct FileContent {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) stamp: Stamp,
    /// The permission bits, on platforms that have them.
    pub(crate) mode: Option<u32>,
    /// Whether the file stayed the same while it was read.
    is_whole: bool,
}

/// The identity and state of a file when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device_and_inode: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let device_and_inode = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let device_and_inode = (0, 0);
        Self { device_and_inode, length: metadata.len(), modified: metadata.modified().ok() }
    }

    /// Whether the same file was written in place since. A file renamed into place is another file.
    fn was_rewritten(self, now: Self) -> bool {
        self.device_and_inode == now.device_and_inode && self != now
    }
}

/// Reads files one at a time, each on its own thread. A hanging file system occupies that one thread and nothing else:
/// the read is abandoned, and until it ends further reads fail at once with a time-out.
#[derive(Debug, Default)]
pub(crate) struct BoundedReader {
    /// A read that did not end in time.
    overdue: Mutex<Option<Receiver<io::Result<FileContent>>>>,
}

impl BoundedReader {
    /// Blocks for [`TIME_LIMIT`] at most. `last` is the stamp of the previous read.
    pub(crate) fn read(&self, path: &Path, last: Option<Stamp>) -> io::Result<FileContent> {
        // Held while the file is read, so that reads run one after another.
        let mut overdue = self.overdue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = &*overdue
            && let Err(TryRecvError::Empty) = earlier.try_recv()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        *overdue = None;
        let (sender, receiver) = mpsc::sync_channel(1);
        let path = path.to_owned();
        thread::Builder::new()
            .name("idaas-file".to_owned())
            .spawn(move || drop(sender.send(read_settled(&path, last))))?;
        match receiver.recv_timeout(TIME_LIMIT) {
            Ok(content) => content,
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the reading thread ended early")),
            Err(RecvTimeoutError::Timeout) => {
                *overdue = Some(receiver);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// The same, outside the runtime's workers. Without a runtime, it blocks the calling thread.
    pub(crate) async fn read_off_worker(
        self: &Arc<Self>,
        path: PathBuf,
        last: Option<Stamp>,
    ) -> io::Result<FileContent> {
        let reader = Arc::clone(self);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => match runtime.spawn_blocking(move || reader.read(&path, last)).await {
                Ok(content) => content,
                Err(cause) => Err(io::Error::other(cause)),
            },
            Err(_) => reader.read(&path, last),
        }
    }
}

/// The file's text without a byte-order mark. `what` precedes the path in messages. Blocks for a bounded time.
///
/// # Errors
///
/// Each error names the path. It is transient if it may pass by itself, such as a file that is absent while another
/// takes its place; it is definitive if the path leads to no small file.
pub(crate) fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, Error> {
    let content = BoundedReader::default().read(path, None).map_err(|cause| unreadable(path, what, cause))?;
    text_of(&content.bytes, path, what)
}

/// The same; `None` if the file does not exist.
#[cfg(feature = "aliyun")]
pub(crate) fn read_if_there(path: &Path, what: &str) -> Result<Option<Zeroizing<String>>, Error> {
    match BoundedReader::default().read(path, None) {
        Ok(content) => text_of(&content.bytes, path, what).map(Some),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => Err(unreadable(path, what, cause)),
    }
}

/// The bytes as text, without a byte-order mark.
pub(super) fn text_of(bytes: &[u8], path: &Path, what: &str) -> Result<Zeroizing<String>, Error> {
    if is_too_large(bytes) {
        let problem = "is larger than 1 MiB; give the path of the right file";
        return Err(fault(path, what, problem).with_transient(false));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| fault(path, what, "is not UTF-8 text; give the path of the right file"))?;
    Ok(Zeroizing::new(without_mark(text).to_owned()))
}

/// The error of a file with this fault, which may pass by itself: the file may be half written.
pub(crate) fn fault(path: &Path, what: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Credential, format!("{what} {} {problem}", shown(path))).with_transient(true)
}

/// The error of a file that cannot be read.
pub(super) fn unreadable(path: &Path, what: &str, cause: io::Error) -> Error {
    let (problem, may_pass) = problem(&cause);
    fault(path, what, problem).with_source(cause).with_transient(may_pass)
}

/// The file's bytes. Blocks for a bounded time.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let content = BoundedReader::default().read(path, None)?;
    warn_of_mode(path, "file", content.mode, true);
    Ok(content.bytes)
}

/// Reads a file that is being written until two reads agree.
fn read_settled(path: &Path, last: Option<Stamp>) -> io::Result<FileContent> {
    let mut content = read_once(path)?;
    let was_rewritten = last.is_some_and(|last| last.was_rewritten(content.stamp));
    if content.is_whole && !was_rewritten {
        return Ok(content);
    }
    for _ in 0..REREADS {
        thread::sleep(SETTLE);
        let again = read_once(path)?;
        let agrees = again.is_whole && again.stamp == content.stamp && again.bytes == content.bytes;
        if agrees {
            return Ok(again);
        }
        content = again;
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

fn read_once(path: &Path) -> io::Result<FileContent> {
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
    let size = usize::try_from(metadata.len()).unwrap_or(SIZE_LIMIT).min(SIZE_LIMIT);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    (&mut file).take(SIZE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    let stamp = Stamp::of(&file.metadata()?);
    Ok(FileContent { bytes, stamp, mode: mode(&metadata), is_whole: stamp == Stamp::of(&metadata) })
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

/// Warns of a file that others on this machine may write, or, unless it is public, read.
pub(super) fn warn_of_mode(path: &Path, what: &str, mode: Option<u32>, is_public: bool) {
    let Some(mode) = mode else { return };
    let others_may = match mode {
        _ if mode & 0o002 != 0 => "write",
        _ if mode & 0o004 != 0 && !is_public => "read",
        _ => return,
    };
    let path = shown(path);
    tracing::warn!(
        "every user of this machine may {others_may} {what} {path} (mode {mode:04o}); restrict it"
    );
}

pub(crate) fn is_too_large(bytes: &[u8]) -> bool {
    bytes.len() > SIZE_LIMIT
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
        io::ErrorKind::NotFound => ("does not exist; check the path, and that the file is mounted", true),
        io::ErrorKind::PermissionDenied => ("cannot be read for lack of permission", true),
        io::ErrorKind::TimedOut => ("does not respond; check the file system that it is on", true),
        io::ErrorKind::ResourceBusy => ("changes while it is read; replace it by renaming a new one", true),
        _ => ("cannot be read", true),
    }
}
/// The path for messages. A secret or a token may be misplaced where the path of its file belongs; such a text must not
/// appear in a message.
pub(crate) fn shown(path: &Path) -> String {
    let shown = path.display().to_string();
    match looks_like_a_token(path) || looks_like_a_secret(&shown) {
        true => HIDDEN.to_owned(),
        false => shown,
    }
}

/// Whether the path is a misplaced JSON Web Token.
pub(crate) fn looks_like_a_token(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let mut words = text.split(|c: char| c.is_whitespace() || "/\\\"'".contains(c));
    words.any(|word| word.starts_with("eyJ") && word.matches('.').count() >= 2)
}

/// Whether the text is longer than any path, has several lines, or is no absolute path and has a longer run of letters
/// and digits than names have, or characters that names do not have.
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
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let error = read(&folder.path().join("socket"), "file").unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
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

    #[test]
    fn a_read_that_hangs_keeps_one_thread_and_is_told_at_once_from_then_on() {
        let (sender, receiver) = mpsc::sync_channel(1);
        let reader = BoundedReader { overdue: Mutex::new(Some(receiver)) };
        let path = Path::new("/dev/null");
        for _ in 0..2 {
            let hanging = reader.read(path, None).map(|_| ()).unwrap_err();
            assert_eq!(hanging.kind(), io::ErrorKind::TimedOut);
        }
        drop(sender);
        // The hanging read has ended: the file is read again, and is no regular one.
        let ended = reader.read(path, None).map(|_| ()).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::Unsupported);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_change_or_read_is_warned_of() {
        let log = |mode, is_public| {
            let lines = std::sync::Arc::new(Mutex::new(Vec::new()));
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
    struct Lines(std::sync::Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
