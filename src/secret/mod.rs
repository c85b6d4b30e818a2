//! Secrets: wiped from memory when dropped, never shown, read again at each use.

pub(crate) mod bounded_read;
mod characters;
pub(crate) mod id_token;
pub(crate) mod off_worker;
pub(crate) mod path;
pub(crate) mod pem;
pub(crate) mod regular_file;
mod reloaded_file;
mod source;
pub(crate) mod text_file;
pub(crate) mod token_file;

use std::fmt;

use zeroize::Zeroizing;

#[cfg(feature = "aliyun")]
pub(crate) use self::characters::character_beyond_visible_ascii;
pub(crate) use self::characters::{is_unfit_for_a_line, odd_character, suspicious_ends};
pub(crate) use self::reloaded_file::{Content, Expected, FileKind, ReloadedFile};
pub use self::source::SecretSource;

/// A secret text: a client secret, a key, an assertion.
///
/// It is wiped from memory when dropped, and `Debug` shows a fixed marker. The one way to its text is
/// [`expose_secret`](Self::expose_secret), so a search for `expose_` finds every place where secrets get out.
///
/// ```
/// let secret = tower_idaas::Secret::new("correct horse");
/// assert_eq!(format!("{secret:?}"), "Secret(redacted)");
/// assert_eq!(secret.expose_secret(), "correct horse");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text; a `String` is not copied.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// The text without one final line break.
fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert!(!format!("{:#?}", Secret::from("hunter2")).contains("hunter2"));
    }
}
