//! Faults of a configuration, all reported at once.

use std::fmt;
use std::sync::Arc;

use crate::error::BoxError;

/// A configuration that cannot be used, with every fault found in it.
///
/// `{}` gives one line; `{:#}` gives a line per fault. Neither shows a configured secret.
#[derive(Clone)]
pub struct ConfigError {
    origin: Option<String>,
    faults: Vec<ConfigFault>,
}

/// One fault of a configuration: its key or environment variable, and the expected value.
#[derive(Clone, Debug)]
pub struct ConfigFault {
    key: String,
    problem: String,
    line: Option<usize>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl ConfigError {
    pub(crate) fn one(fault: ConfigFault) -> Self {
        Self::all(None, vec![fault])
    }

    /// `origin` is the file. There is at least one fault.
    pub(crate) fn all(origin: Option<&str>, faults: Vec<ConfigFault>) -> Self {
        Self { origin: origin.map(str::to_owned), faults }
    }

    /// Adds further faults.
    #[must_use]
    pub fn and(mut self, more: impl IntoIterator<Item = ConfigFault>) -> Self {
        self.faults.extend(more);
        self
    }

    /// Every fault, in the order of the configuration's keys.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }
}

impl ConfigFault {
    /// A fault of a key, or of an option of a method of your own. `problem` follows the key: "is missing; expected …".
    /// Keep secrets out of both.
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), line: None, source: None }
    }

    pub(crate) fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// Chains the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Moves the fault to another key.
    pub(crate) fn moved_to(self, key: impl Into<String>, line: Option<usize>) -> Self {
        Self { key: key.into(), line, ..self }
    }

    /// The configuration key, such as `authnConfiguration.authnMethod`; empty for a fault of the whole file.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The problem, as it follows the key: "is missing; expected …".
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The line of the file, from 1, if the fault has one.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl From<ConfigFault> for ConfigError {
    fn from(fault: ConfigFault) -> Self {
        Self::one(fault)
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        f.write_str(&self.problem)?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "configuration {origin}")?,
            None => f.write_str("configuration")?,
        }
        if let [fault] = self.faults.as_slice() {
            return write!(f, ": {fault}");
        }
        write!(f, " has {} faults:", self.faults.len())?;
        for (index, fault) in self.faults.iter().enumerate() {
            match (f.alternate(), index) {
                (true, _) => write!(f, "\n  - {fault}")?,
                (false, 0) => write!(f, " {fault}")?,
                (false, _) => write!(f, "; {fault}")?,
            }
        }
        Ok(())
    }
}

/// The output of a `main` that returns the error: the faults as a list, and their causes.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")?;
        for fault in &self.faults {
            super::write_causes(f, fault)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {
    /// The cause of the first fault that has one.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.faults.iter().find_map(std::error::Error::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(faults: Vec<ConfigFault>) -> ConfigError {
        ConfigError::all(Some("/etc/client-config.json"), faults)
    }

    #[test]
    fn one_fault_is_one_line() {
        let fault = ConfigFault::new("clientId", "is missing; expected the application's id").at_line(3);
        assert_eq!(
            error(vec![fault]).to_string(),
            "configuration /etc/client-config.json: `clientId` is missing; expected the application's id (line 3)"
        );
    }

    #[test]
    fn several_faults_are_one_line_or_a_list() {
        let faults = || vec![ConfigFault::new("a", "is missing"), ConfigFault::new("b", "is blank")];
        assert_eq!(
            error(faults()).to_string(),
            "configuration /etc/client-config.json has 2 faults: `a` is missing; `b` is blank"
        );
        assert_eq!(
            format!("{:#}", error(faults())),
            "configuration /etc/client-config.json has 2 faults:\n  - `a` is missing\n  - `b` is blank"
        );
    }
}
