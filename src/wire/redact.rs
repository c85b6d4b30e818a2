//! Decides which text of a server may be shown: without the request's secrets in any encoding, without anything that
//! has the form of a secret, on one line, of bounded length.
//!
//! There are two rules, and each redacts independently of the other:
//!
//! - **Echoes.** The search for a request's secrets covers them as they are, with the escapes of URLs, JSON, HTML, mail
//!   and programming languages, in Base64 of either alphabet, in hex, and as numbers of any base, in any letter case,
//!   with any other characters in between, and in parts: eight characters in a row, or half of a shorter secret, are an
//!   echo.
//! - **Form.** Other text is shown only where it reads like prose: words, numbers, short names. A longer run of mixed
//!   letters and digits, as in tokens and keys, is redacted even if it is not in the request, and the whole of a text
//!   that lists characters one by one.

mod echoes;
mod numbers;
mod prose;
#[cfg(test)]
mod tests;
mod unescape;

use std::error::Error as _;
use std::fmt;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::is_unfit_for_a_line;
use crate::wire::redact::echoes::{Needles, SHORTEST_WINDOW, WINDOW, mark, normal, without_labels};
use crate::wire::redact::numbers::is_list;
use crate::wire::redact::prose::{is_jwt_like, is_of_token, runs, token_likeness};

/// The longest piece of a server's text that is shown, in characters.
const LONGEST: usize = 300;

/// A longer text is not searched but redacted: it is not for readers, and each position in it may begin a secret.
const LONGEST_TEXT: usize = 8 * 1024;

/// With a longer secret no text is searched: it is redacted.
const LONGEST_SECRET: usize = 64 * 1024;

/// The placeholder for redacted text.
const REDACTED: &str = "[redacted]";

/// A text with more pieces that slightly resemble tokens is not prose.
const MOST_TOKEN_LIKE_PIECES: usize = 6;

/// The longest error code that is shown as it is.
const LONGEST_CODE: usize = 80;

/// The longest id that is shown.
const LONGEST_ID: usize = 128;

/// Redacts texts of one server, given the secrets that were sent to it.
pub(crate) struct Redactor<'a> {
    secrets: Vec<&'a str>,
    /// Ids and addresses of the request that are shown whatever their form.
    public: Vec<&'a str>,
    /// Made for the first text that is searched.
    needles: OnceLock<Needles>,
}

impl<'a> Redactor<'a> {
    pub(crate) fn new(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        Self { secrets, public: Vec::new(), needles: OnceLock::new() }
    }

    /// Marks parts of the request as public, whatever their form.
    pub(crate) fn with_public(mut self, public: impl IntoIterator<Item = &'a str>) -> Self {
        self.public.extend(public.into_iter().filter(|text| text.len() >= SHORTEST_WINDOW));
        self
    }

    /// Redacts free text and codes for a message, by both rules; a long text is cut off.
    pub(crate) fn text(&self, text: &str) -> String {
        if text.len() > LONGEST_TEXT || self.is_unsearchable() {
            return format!("[redacted: {} bytes]", text.len());
        }
        let mut marks = self.echoes(text);
        match self.mark_token_like(text, &mut marks) {
            true => rendered(text, &marks, LONGEST),
            false => format!("[redacted: {} bytes that are no prose]", text.len()),
        }
    }

    /// An error code. One made of words is shown unless it holds half of a secret: `InvalidAccessKeyId` may share words
    /// with a passphrase, and the hint for a refusal depends on its code.
    pub(crate) fn code(&self, code: &str) -> String {
        let is_code = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_wordy = code.len() <= LONGEST_CODE
            && code.bytes().all(is_code)
            && code.bytes().any(|byte| byte.is_ascii_alphabetic())
            && token_likeness(code) == (false, 0)
            && !is_list(code, |_| true);
        if !is_wordy || self.is_unsearchable() {
            return self.text(code);
        }
        let letters = |text: &[u8]| -> Vec<u8> { text.iter().filter_map(|byte| normal(*byte)).collect() };
        let code_letters = letters(code.as_bytes());
        let holds_half = |secret: &&str| {
            let secret = Zeroizing::new(letters(without_labels(secret).as_bytes()));
            let half = secret.len().div_ceil(2).max(WINDOW).min(secret.len().max(1));
            code_letters.windows(half).any(|place| secret.windows(half).any(|other| other == place))
        };
        match self.secrets.iter().any(holds_half) {
            true => REDACTED.to_owned(),
            false => code.to_owned(),
        }
    }

    /// A server's identifier, such as a request id: shown whole if it has the form of an id and holds no echo, or else
    /// not at all.
    pub(crate) fn id(&self, id: &str) -> String {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@/|+=".contains(&byte);
        let is_good = id.len() <= LONGEST_ID
            && id.bytes().all(is_id)
            && !is_jwt_like(id)
            && !self.is_unsearchable()
            && !self.echoes(id).contains(&true);
        if is_good { id.to_owned() } else { REDACTED.to_owned() }
    }

    /// A returned value that `Debug` shows, such as a granted scope: whole except for echoes and tokens. `None` for a
    /// text that is too long.
    pub(crate) fn value(&self, value: &str) -> Option<String> {
        if value.len() > LONGEST_TEXT || self.is_unsearchable() {
            return None;
        }
        let mut marks = self.echoes(value);
        for (from, to) in runs(value, |_, byte| is_of_token(byte)) {
            if value.get(from..to).is_some_and(is_jwt_like) {
                mark(&mut marks, from, to);
            }
        }
        Some(rendered(value, &marks, usize::MAX))
    }

    /// An error of the transport; with an echo in it, its causes are dropped and its message is redacted. A user's own
    /// transport may put a server's text into its errors, such as the debug data of a GOAWAY in HTTP/2.
    pub(crate) fn error(&self, error: Error) -> Error {
        let mut chain = format!("{error:?}");
        let mut next = error.source();
        while let Some(cause) = next {
            chain.push_str(&format!(" {cause} {cause:?}"));
            next = cause.source();
        }
        let message = error.to_string();
        if !self.may_echo(&chain) && !self.may_echo(&message) {
            return error;
        }
        let message = match message.len() {
            0..=LONGEST_TEXT if !self.is_unsearchable() => {
                rendered(&message, &self.echoes(&message), usize::MAX)
            }
            length => format!("the connection failed ([redacted: {length} bytes])"),
        };
        error.redacted(message)
    }

    /// Whether the text may hold an echo; one that is too long to be searched may.
    pub(crate) fn may_echo(&self, text: &str) -> bool {
        !self.secrets.is_empty()
            && (text.len() > LONGEST_TEXT || self.is_unsearchable() || self.echoes(text).contains(&true))
    }

    fn is_unsearchable(&self) -> bool {
        self.secrets.iter().any(|secret| secret.len() > LONGEST_SECRET)
    }

    /// For each byte of the text, whether it belongs to an echo.
    fn echoes(&self, text: &str) -> Vec<bool> {
        if self.secrets.is_empty() {
            return vec![false; text.len()];
        }
        self.needles.get_or_init(|| Needles::of(&self.secrets)).echoes(&self.secrets, text)
    }

    /// Marks what is not prose; `false` if the whole text is not.
    fn mark_token_like(&self, text: &str, marks: &mut [bool]) -> bool {
        let mut judged = marks.to_vec();
        for public in &self.public {
            for (at, found) in text.match_indices(public) {
                mark(&mut judged, at, at + found.len());
            }
        }
        let mut tokens = Vec::new();
        let mut token_like_pieces = 0;
        let is_open = |at: usize| !judged.get(at).copied().unwrap_or_default();
        for (from, to) in runs(text, |at, byte| is_open(at) && is_of_token(byte)) {
            let (is_token, pieces) = token_likeness(text.get(from..to).unwrap_or_default());
            token_like_pieces += pieces;
            if is_token {
                tokens.push((from, to));
            }
        }
        for (from, to) in tokens {
            mark(marks, from, to);
            mark(&mut judged, from, to);
        }
        let is_open = |at: usize| !judged.get(at).copied().unwrap_or_default();
        token_like_pieces <= MOST_TOKEN_LIKE_PIECES && !is_list(text, is_open)
    }
}

impl fmt::Debug for Redactor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

/// A text of this crate for a message: on one line; a long text is cut off.
pub(crate) fn bounded(text: &str) -> String {
    rendered(text, &[], LONGEST)
}

/// The text on one line, with the marked parts replaced, and cut off after `longest` characters.
fn rendered(text: &str, marks: &[bool], longest: usize) -> String {
    let mut clean = String::new();
    let mut in_mark = false;
    let mut count = 0;
    for (at, next) in text.char_indices() {
        let is_marked = marks.get(at).copied().unwrap_or_default();
        if is_marked && in_mark {
            continue;
        }
        if count == longest {
            clean.push('…');
            break;
        }
        count += 1;
        in_mark = is_marked;
        match is_marked {
            true => clean.push_str(REDACTED),
            false if is_unfit_for_a_line(next) => clean.push(' '),
            false => clean.push(next),
        }
    }
    clean
}
