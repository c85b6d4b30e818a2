//! A credential that another program prints: mode `External` of the command line's profiles.
//!
//! The program is started without a shell and without input. Its stdout is bounded in size and time, and never shown;
//! its stderr is discarded.

#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::aliyun::credential::Credential;
use crate::cache::window::DEFAULT_LIFE;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::wire::json;
use crate::wire::time::rfc3339;

/// A credential takes one or two kilobytes, with a long security token four.
const SIZE_LIMIT: u64 = 64 * 1024;

/// The interval between two checks whether the program has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The variable that each started program gets. A client under it starts no program, because its own profile may be the
/// one that started it: each would start the next one, without end.
pub(super) const MARK: &str = "IDAAS_PROCESS_COMMAND";

/// A program to start, and the profile that names it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// The program and its arguments.
    words: Vec<String>,
    /// "profile `p` in …".
    profile: String,
}

impl Process {
    /// Parses a command line as the vendor's client does: words are separated by white space, and quotation marks
    /// enclose words that contain some. Nothing else is special.
    pub(super) fn parse(command: &str, profile: &str) -> Result<Self, &'static str> {
        let mut words = Vec::new();
        let mut rest = command.trim_start();
        while !rest.is_empty() {
            let mut word = String::new();
            while let Some(first) = rest.chars().next().filter(|first| !first.is_whitespace()) {
                if let quote @ ('"' | '\'') = first {
                    let (quoted, after) =
                        rest[1..].split_once(quote).ok_or("has a quotation mark without its counterpart")?;
                    word.push_str(quoted);
                    rest = after;
                } else {
                    word.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
            words.push(word);
            rest = rest.trim_start();
        }
        match words.first() {
            Some(program) if !program.is_empty() => Ok(Self { words, profile: profile.to_owned() }),
            _ => Err("names no program"),
        }
    }

    fn fault(&self, kind: ErrorKind, problem: &str) -> Error {
        let message = format!("the `process_command` of {} {problem}", self.profile);
        Error::new(kind, message).with_transient(true)
    }

    /// Starts the program and reads its stdout, as long as the result is wanted. Blocks for `limit` at most once the
    /// program has started, which takes as long as the file system that it is on.
    fn run(&self, limit: Duration, wanted: &Weak<()>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (program, arguments) =
            self.words.split_first().ok_or_else(|| self.fault(ErrorKind::Credential, "names no program"))?;
        let mut command = Command::new(program);
        command.args(arguments).env(MARK, "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // The program gets its own process group, so that its children are stopped with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let began = Clock::System.now();
        let child = command.spawn().map_err(|cause| {
            let problem = "cannot be started; check that the program is there and may be run";
            self.fault(ErrorKind::Credential, problem).with_transient(false).with_source(cause)
        })?;
        let mut running = Running { child, is_over: false };
        let late = |has_ended: bool| {
            let problem = match has_ended {
                false => format!("was not done within {limit:?} and was stopped; check what it waits for"),
                true => format!(
                    "has ended, and a program that it started still held its output open after {limit:?}; have that \
                     one write elsewhere"
                ),
            };
            self.fault(ErrorKind::Timeout, &problem)
        };
        let is_late = || Clock::System.now().since(began) >= limit || wanted.strong_count() == 0;
        let printed = match running.child.stdout.take() {
            Some(stdout) => read_bounded(stdout, is_late),
            None => Ok(Zeroizing::default()),
        };
        let printed = printed.map_err(|cause| match cause.kind() {
            io::ErrorKind::TimedOut => late(running.stop()),
            _ => self.fault(ErrorKind::Unavailable, "prints what cannot be read").with_source(cause),
        })?;
        if printed.len() as u64 > SIZE_LIMIT {
            let problem = "prints more than 64 KiB, which is no credential, and was stopped";
            return Err(self.fault(ErrorKind::InvalidResponse, problem));
        }
        loop {
            match running.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(printed),
                Ok(Some(status)) => {
                    let problem = format!("failed ({status}); run it by hand to see why");
                    return Err(self.fault(ErrorKind::Unavailable, &problem));
                }
                Ok(None) if is_late() => return Err(late(running.stop())),
                Ok(None) => thread::sleep(POLL_INTERVAL),
                Err(cause) => {
                    return Err(self
                        .fault(ErrorKind::Unavailable, "cannot be waited for")
                        .with_source(cause));
                }
            }
        }
    }

    /// The credential in the output, and its life.
    fn read(
        &self,
        printed: &[u8],
        provider: &'static str,
        now: SystemTime,
    ) -> Result<(Credential, Duration), Error> {
        let unusable = |problem: String| self.fault(ErrorKind::InvalidResponse, &problem);
        // Some shells write a byte-order mark, or UTF-16.
        let text = Zeroizing::new(json::text(printed).into_owned());
        // The parser's message may quote the output.
        let Ok(Value::Object(mut object)) = json::parsed(json::without_marks(&text)) else {
            let length = printed.len();
            let problem =
                format!("printed {length} bytes that are no JSON object; it has to print a profile's JSON");
            return Err(unusable(problem));
        };
        let part = |name: &str| object.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty());
        let required = |name: &str| part(name).ok_or_else(|| unusable(format!("printed no `{name}`")));
        let read = || {
            let token = match part("mode") {
                Some(mode) if mode.eq_ignore_ascii_case("AK") => None,
                Some(mode) if mode.eq_ignore_ascii_case("StsToken") => {
                    Some(Secret::new(required("sts_token")?))
                }
                Some(_) => {
                    return Err(unusable("printed a `mode` other than `AK` and `StsToken`".to_owned()));
                }
                None => return Err(unusable("printed no `mode`; expected `AK` or `StsToken`".to_owned())),
            };
            let credential = Credential {
                access_key_id: required("access_key_id")?.to_owned(),
                access_key_secret: Secret::new(required("access_key_secret")?),
                security_token: token,
                provider,
            };
            if let Some(problem) = credential.problem() {
                return Err(unusable(format!("printed what {problem}")));
            }
            let Some(expiration) = part("expiration") else { return Ok((credential, DEFAULT_LIFE)) };
            let expiration = rfc3339(expiration).ok_or_else(|| {
                unusable("printed an `expiration` that is not a point in time in RFC 3339".to_owned())
            })?;
            match expiration.duration_since(now) {
                Ok(life) if !life.is_zero() => Ok((credential, life)),
                _ => Err(unusable(
                    "printed a credential that has expired already (check this machine's clock)".into(),
                )),
            }
        };
        let read = read();
        object.values_mut().for_each(json::wipe);
        read
    }
}

/// The credential that the program prints, and its life. `limit` bounds the program's time; `now` is read once it has
/// ended.
///
/// # Errors
///
/// When the program cannot be started, fails, takes too long, or prints anything else.
pub(super) async fn fetch(
    process: &Process,
    provider: &'static str,
    limit: Duration,
    now: impl FnOnce() -> SystemTime,
) -> Result<(Credential, Duration), Error> {
    let started = process.clone();
    // Held by this future. When the runtime shuts down, the future is dropped, and the program must not delay that.
    let wanted = Arc::new(());
    let is_wanted = Arc::downgrade(&wanted);
    let printed = tokio::task::spawn_blocking(move || started.run(limit, &is_wanted)).await;
    drop(wanted);
    let printed = printed.map_err(|cause| {
        process.fault(ErrorKind::Runtime, "was not run: the runtime is shutting down").with_source(cause)
    })??;
    process.read(&printed, provider, now())
}

/// A running program; dropping it stops the program and its children.
struct Running {
    child: Child,
    /// The program has ended and was waited for: its number, and that of its group, may belong to others by now.
    is_over: bool,
}

impl Running {
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.is_over = status.is_some();
        Ok(status)
    }

    /// Stops the program and its children. Whether the program had ended before.
    fn stop(&mut self) -> bool {
        if self.is_over {
            return true;
        }
        // Before the program is waited for: until then the group is its own, even if it has ended.
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        #[cfg(not(unix))]
        if let Ok(Some(_)) = self.try_wait() {
            return true;
        }
        let _ = self.child.kill();
        self.is_over = true;
        let ended = self.child.wait();
        // One that was killed has no code on Unix.
        cfg!(unix) && ended.is_ok_and(|status| status.code().is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads to the end, or to one byte beyond the limit, which shows that the output is too large.
///
/// It never waits in a read: a daemon that the program has started is in no process group of ours, and may hold the
/// output open for ever.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] when it is late before the end.
#[cfg(unix)]
fn read_bounded(stdout: ChildStdout, is_late: impl Fn() -> bool) -> io::Result<Zeroizing<Vec<u8>>> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    fcntl_setfl(&stdout, fcntl_getfl(&stdout)? | OFlags::NONBLOCK)?;
    let mut stdout = stdout.take(SIZE_LIMIT + 1);
    // Of the full size, because a reallocation would leave copies in memory.
    let mut printed = Zeroizing::new(Vec::with_capacity(SIZE_LIMIT as usize + 1));
    loop {
        match stdout.read_to_end(&mut printed) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            result => return result.map(|_| printed),
        }
        if is_late() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The same, where a read cannot be kept from waiting: its thread ends with the program, or with the last of those that
/// it has started.
#[cfg(not(unix))]
fn read_bounded(stdout: ChildStdout, is_late: impl Fn() -> bool) -> io::Result<Zeroizing<Vec<u8>>> {
    let reading = thread::Builder::new().name("idaas-process".to_owned()).spawn(move || {
        let mut printed = Zeroizing::new(Vec::with_capacity(SIZE_LIMIT as usize + 1));
        stdout.take(SIZE_LIMIT + 1).read_to_end(&mut printed).map(|_| printed)
    })?;
    while !reading.is_finished() {
        if is_late() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(POLL_INTERVAL);
    }
    reading.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread ended early")))
}

/// The command is left out: its arguments may hold secrets.
impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("profile", &self.profile).finish_non_exhaustive()
    }
}
