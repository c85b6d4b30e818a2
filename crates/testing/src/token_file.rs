//! A file that is rewritten in place, step by step: a reader meets it empty, then torn.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A file that is being rewritten in place, as careless sidecars do it; it is empty from the start.
///
/// Between the steps the test reads it, or has it read, in the state that a reader meets by bad luck otherwise. Dropped,
/// it leaves the file as it is.
///
/// ```
/// use tower_idaas_testing::TornFile;
///
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("tower-idaas-torn-{}", std::process::id()));
/// std::fs::write(&path, "the old token")?;
/// let mut file = TornFile::truncate(&path, "the new token")?;
/// assert_eq!(std::fs::read_to_string(&path)?, "");
/// file.write_half()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "the ne");
/// file.finish()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "the new token");
/// # std::fs::remove_file(path)
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the file stays empty until it is written"]
pub struct TornFile {
    file: File,
    rest: Rest,
}

/// What is still to be written: secrets, which `Debug` does not show.
struct Rest(Vec<u8>);

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl TornFile {
    /// Truncates the file, or makes an empty one; the content is still to come.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened for writing.
    pub fn truncate(path: impl AsRef<Path>, content: impl Into<Vec<u8>>) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, rest: Rest(content.into()) })
    }

    /// Writes half of what is still to come.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_half(&mut self) -> io::Result<()> {
        let half: Vec<u8> = self.rest.0.drain(..self.rest.0.len() / 2).collect();
        self.file.write_all(&half)
    }

    /// Writes the rest.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&self.rest.0)
    }
}
