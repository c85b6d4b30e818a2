//! Secrets that a command is given in a file or on stdin.

use std::io::Read;
use std::path::Path;

use tower_idaas::environment::Environment;
use tower_idaas::{BoxError, Secret, SecretSource};

const LONGEST: u64 = 1 << 20;

/// The text in the file, or on stdin with `-`, without white space around it.
///
/// # Errors
///
/// When there is none. `expected` says what is to be written there.
pub(crate) async fn secret(file: &Path, expected: &str) -> Result<Secret, BoxError> {
    if !is_stdin(file) {
        return Ok(SecretSource::file(file).read(&Environment::Process).await?);
    }
    let mut text = String::new();
    std::io::stdin().take(LONGEST + 1).read_to_string(&mut text)?;
    let secret = Secret::new(text.trim());
    match text.len() as u64 {
        length if length > LONGEST => {
            Err(format!("stdin holds more than 1 MiB; write {expected} to it").into())
        }
        _ if secret.expose_secret().is_empty() => {
            Err(format!("stdin is blank; write {expected} to it").into())
        }
        _ => Ok(secret),
    }
}

/// For messages.
pub(crate) fn origin(file: &Path) -> String {
    if is_stdin(file) { "stdin".to_owned() } else { format!("file {}", file.display()) }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}
