//! What a command is given in a file or on stdin.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tower_idaas::environment::Environment;
use tower_idaas::{BoxError, Secret, SecretSource};

const LONGEST: u64 = 1 << 20;

/// A file system that has not responded by then hangs.
const LIMIT: Duration = Duration::from_secs(2);

/// The text in the file, or on stdin with `-`, without white space around it.
///
/// # Errors
///
/// When there is none. `expected` says what is to be written there.
pub(crate) async fn secret(file: &Path, expected: &str) -> Result<Secret, BoxError> {
    if !is_stdin(file) {
        return Ok(SecretSource::file(file).read(&Environment::Process).await?);
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let read = std::io::stdin().take(LONGEST + 1).read_to_end(&mut bytes);
    let problem = match (read, std::str::from_utf8(&bytes)) {
        (Err(error), _) => format!("stdin cannot be read: {error}"),
        (Ok(length), _) if length as u64 > LONGEST => "stdin holds more than 1 MiB".to_owned(),
        (_, Err(_)) => "stdin is not UTF-8 text".to_owned(),
        (_, Ok(text)) => match without_mark(text).trim() {
            "" => "stdin is blank".to_owned(),
            text => return Ok(Secret::new(text)),
        },
    };
    Err(format!("{problem}; write {expected} to it").into())
}

/// The name of something in IDaaS or in a cloud, as an argument has it.
///
/// # Errors
///
/// When it is blank or holds a control character.
pub(crate) fn name(argument: &str) -> Result<String, &'static str> {
    match argument.trim() {
        "" => Err("is blank"),
        name if name.contains(char::is_control) => Err("holds a control character"),
        name => Ok(name.to_owned()),
    }
}

/// The text in a regular file of 1 MiB at most. Neither a pipe nor a file system that hangs is waited for.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] for what is no regular file, [`io::ErrorKind::FileTooLarge`],
/// [`io::ErrorKind::TimedOut`], and those of reading.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    within_limit(move || whole_text(&path))?
}

/// Whether the path leads to a regular file, on a file system that responds.
pub(crate) fn is_file(path: &Path) -> bool {
    let path = path.to_owned();
    within_limit(move || path.is_file()).unwrap_or(false)
}

/// Looks at a file on a thread of its own, which is left behind if the file system hangs.
fn within_limit<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().spawn(move || drop(sender.send(look())))?;
    let late =
        || io::Error::new(io::ErrorKind::TimedOut, "does not respond; check the file system that it is on");
    receiver.recv_timeout(LIMIT).map_err(|_| late())
}

fn whole_text(path: &Path) -> io::Result<String> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "is not a regular file"));
    }
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text)?;
    match length as u64 > LONGEST {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "is larger than 1 MiB")),
        false => Ok(without_mark(&text).to_owned()),
    }
}

/// The text without a byte-order mark, which some editors and shells add.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// For messages.
pub(crate) fn origin(file: &Path) -> String {
    if is_stdin(file) { "stdin".to_owned() } else { format!("file {}", file.display()) }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}
