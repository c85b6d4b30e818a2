//! What goes to stdout.

use std::io::{self, Write, stdout};

/// Prints the text and flushes, so that a full disk is noticed.
///
/// # Errors
///
/// When stdout is closed or cannot take it.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
