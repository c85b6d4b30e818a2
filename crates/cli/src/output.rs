//! What goes to stdout, and what goes to stderr.

use std::io::{self, Write, stderr, stdout};

/// Prints the text and flushes, so that a full disk is noticed.
///
/// # Errors
///
/// When stdout is closed or cannot take it.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| io::Error::new(error.kind(), format!("stdout cannot be written: {error}")))
}

/// Writes to stderr, where nothing that goes wrong can be reported any more.
pub(crate) fn note(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}
