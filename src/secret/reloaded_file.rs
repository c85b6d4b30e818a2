//! A small file that is read at each use, and whose last good content stands in while it cannot be read.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::environment::{Environment, HomeUnknown};
use crate::error::Error;
use crate::secret::characters::check_client_secret;
use crate::secret::id_token::{self, is_jwt};
use crate::secret::path::{looks_like_a_token, redacted_path};
use crate::secret::regular_file::{self, FileContent, Stamp};
use crate::secret::text_file::{fault, text_of, unreadable, warn_of_mode};
use crate::secret::{Secret, pem};

/// How long content without an expiry stands in: a file that is swapped is back within milliseconds, a volume that is
/// mounted again within seconds.
const STAND_IN: Duration = Duration::from_secs(60);

/// A fault that lasts longer is logged.
const LASTING: Duration = Duration::from_secs(1);

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A secret, a key or certificates. One line break at the end does not belong to it.
    Secret,
    /// A token that another program keeps up to date, such as the kubelet. White space around it does not belong to it.
    Token,
}

impl FileKind {
    /// The words before the path in messages.
    fn what(self, content: Content) -> &'static str {
        match (self, content) {
            (Self::Token, _) => "token file",
            (Self::Secret, Content::Secret) => "secret file",
            (Self::Secret, Content::PrivateKey) => "private key file",
            (Self::Secret, Content::Passphrase) => "passphrase file",
            (Self::Secret, Content::Certificates) => "certificate file",
        }
    }

    fn trimmed(self, text: &str) -> &str {
        match self {
            Self::Secret => super::without_line_break(text),
            Self::Token => text.trim(),
        }
    }

    fn when_blank(self, content: Content) -> String {
        match self {
            Self::Secret => format!("is empty; write {} into it", content.as_str()),
            Self::Token => "is empty; check what writes it".to_owned(),
        }
    }
}

/// What a text is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Secret,
    PrivateKey,
    Passphrase,
    Certificates,
}

impl Content {
    /// The words in messages, as they follow "set it to".
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "the secret",
            Self::PrivateKey => "the private key in PEM form",
            Self::Passphrase => "the passphrase of the private key",
            Self::Certificates => "the certificate in PEM form",
        }
    }

    /// Whether any user of the machine may read it.
    fn is_public(self) -> bool {
        self == Self::Certificates
    }
}

/// The requirements on a text.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) content: Content,
    /// The problem with a text, as it follows the name of its place.
    pub(crate) check: &'a (dyn Fn(&str) -> Result<(), String> + Send + Sync),
}

impl Expected<'static> {
    /// A secret of any form.
    pub(crate) fn secret() -> Self {
        Self { content: Content::Secret, check: &|_| Ok(()) }
    }

    /// The passphrase of a private key.
    pub(crate) fn passphrase() -> Self {
        Self { content: Content::Passphrase, ..Self::secret() }
    }

    /// A client secret (RFC 6749 section 2.3.1).
    pub(crate) fn client_secret() -> Self {
        Self { content: Content::Secret, check: &check_client_secret }
    }
}

/// A file that is read at each use, one read at a time and outside the runtime's workers.
///
/// While it is missing, unreadable, empty or half written, the last content stands in: a token with an expiry until
/// then, anything else for [`STAND_IN`] after the first failed read. Another file that looks half written is believed when
/// it has stayed the same for as long.
pub(crate) struct ReloadedFile {
    path: PathBuf,
    kind: FileKind,
    permit: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<Good>,
    failing_since: Option<Timestamp>,
    /// A file that looks half written, and when it was first seen so.
    torn: Option<(Stamp, Timestamp)>,
    /// Whether the present fault was logged, and the file's mode checked.
    fault_logged: bool,
    mode_checked: bool,
}

struct Good {
    text: Secret,
    stamp: Stamp,
}

impl ReloadedFile {
    pub(crate) fn new(path: impl Into<PathBuf>, kind: FileKind) -> Self {
        Self { path: path.into(), kind, permit: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    /// The path as configured.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The current content, or the last good content while the file is unusable.
    ///
    /// # Errors
    ///
    /// Each error names the path, and is transient if the fault may pass by itself.
    pub(crate) async fn read(
        &self,
        environment: &Environment,
        now: Timestamp,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        let path = self.expanded(environment, expected.content)?;
        let content = {
            let _permit = self.permit.lock().await;
            let last = self.last_stamp();
            regular_file::read_off_worker(path.clone(), last).await
        };
        self.conclude(content, &path, now, expected)
    }

    /// The same, before a handle is built. Blocks for a bounded time.
    pub(crate) fn read_blocking(
        &self,
        environment: &Environment,
        now: Timestamp,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        let path = self.expanded(environment, expected.content)?;
        self.conclude(regular_file::read(&path, self.last_stamp()), &path, now, expected)
    }

    fn expanded(&self, environment: &Environment, content: Content) -> Result<PathBuf, Error> {
        if self.kind == FileKind::Token && looks_like_a_token(&self.path) {
            return Err(super::token_file::token_as_path());
        }
        let unknown = |problem: HomeUnknown| {
            fault(&self.path, self.kind.what(content), &problem.to_string()).with_transient(false)
        };
        environment.expand(&self.path).map_err(unknown)
    }

    /// The result of a read. Nothing is parsed or logged while the lock is held.
    fn conclude(
        &self,
        content: io::Result<FileContent>,
        path: &Path,
        now: Timestamp,
        expected: Expected<'_>,
    ) -> Result<Secret, Error> {
        let what = self.kind.what(expected.content);
        let good = content.map_err(|cause| unreadable(path, what, cause)).and_then(|content| {
            let text = text_of(&content.bytes, path, what)?;
            let text = self.kind.trimmed(&text);
            if text.trim().is_empty() {
                return Err(fault(path, what, &self.kind.when_blank(expected.content)));
            }
            (expected.check)(text).map_err(|problem| fault(path, what, &problem))?;
            Ok((Good { text: Secret::new(text), stamp: content.stamp }, content.mode))
        });
        let mut state = self.state();
        let torn = match (&good, &state.last) {
            (Ok((new, _)), Some(last)) => is_torn(new, last),
            _ => false,
        };
        if good.is_err() || torn {
            let is_settled = good.as_ref().is_ok_and(|(new, _)| state.is_settled(new.stamp, now));
            let stand_in = state.stand_in(now).filter(|_| !is_settled);
            let news = state.is_news(now);
            drop(state);
            let torn = || fault(path, what, "is cut short; replace it by renaming a new one");
            if let Some(text) = stand_in {
                let error = good.err().unwrap_or_else(torn);
                match news {
                    true => tracing::warn!("{error}; what was read there last is used meanwhile"),
                    false => tracing::debug!("{error}; what was read there last is used meanwhile"),
                }
                return Ok(text);
            }
            state = self.state();
        }
        // Text that still looks torn after this time is the file's content.
        let (good, mode) = good?;
        let text = good.text.clone();
        let mode = (!state.mode_checked).then_some(mode).flatten();
        *state = State { last: Some(good), mode_checked: true, ..State::default() };
        drop(state);
        let is_public = expected.content.is_public() || self.kind == FileKind::Token;
        warn_of_mode(path, what, mode, is_public);
        Ok(text)
    }

    fn last_stamp(&self) -> Option<Stamp> {
        self.state().last.as_ref().map(|last| last.stamp)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The last good content, if it may stand in now.
    fn stand_in(&mut self, now: Timestamp) -> Option<Secret> {
        let since = *self.failing_since.get_or_insert(now);
        let last = self.last.as_ref()?;
        let is_valid = match id_token::expiry(last.text.expose_secret()) {
            Some(expiry) => now.unix_seconds() < expiry,
            None => now.since(since) < STAND_IN,
        };
        is_valid.then(|| last.text.clone())
    }

    /// Whether another file has taken the place of the last one and has not changed for a while: it was renamed into
    /// place, and is whole whatever it looks like. Nothing writes one for so long.
    fn is_settled(&mut self, new: Stamp, now: Timestamp) -> bool {
        let seen = self.torn.filter(|(stamp, _)| *stamp == new).unwrap_or((new, now));
        self.torn = Some(seen);
        let is_another = self.last.as_ref().is_some_and(|last| last.stamp.is_another_file(new));
        is_another && now.since(seen.1) >= STAND_IN
    }

    /// Whether the present fault has lasted, and was not logged before.
    fn is_news(&mut self, now: Timestamp) -> bool {
        let lasts = self.failing_since.is_some_and(|since| now.since(since) >= LASTING);
        lasts && !std::mem::replace(&mut self.fault_logged, lasts)
    }
}

/// Whether the text is only partly written: the beginning of the last one, no complete JWT or PEM any more, or a JWT
/// with a shorter signature. A secret that was renamed into place is whole, even if it is the beginning of the last one.
fn is_torn(new: &Good, last: &Good) -> bool {
    let is_same_file = !last.stamp.is_another_file(new.stamp);
    let (new, last) = (new.text.expose_secret(), last.text.expose_secret());
    let is_beginning = is_same_file && new.len() < last.len() && last.starts_with(new);
    is_beginning
        || is_jwt(last) && (!is_jwt(new) || has_shorter_signature(new, last))
        || pem::is_pem(last) && !pem::is_pem(new)
}

fn has_shorter_signature(new: &str, last: &str) -> bool {
    let header = |token: &str| token.split('.').next().map(str::to_owned);
    let signature = |token: &str| token.rsplit('.').next().map(str::len);
    header(new) == header(last) && signature(new) < signature(last)
}

impl fmt::Debug for ReloadedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadedFile").field("path", &redacted_path(&self.path)).finish_non_exhaustive()
    }
}
