//! Environment variables for tests only.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

/// Environment variables for tests, in place of the process's own, which tests cannot change safely.
///
/// Clones share the variables. Give one to
/// [`IdaasBuilder::environment`](crate::IdaasBuilder::environment).
#[derive(Clone, Default)]
pub struct ManualEnvironment(Arc<Mutex<HashMap<String, OsString>>>);

impl ManualEnvironment {
    /// No variables at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable.
    pub fn set(&self, name: impl Into<String>, value: impl Into<OsString>) {
        self.variables().insert(name.into(), value.into());
    }

    /// Unsets a variable.
    pub fn remove(&self, name: &str) {
        self.variables().remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<OsString> {
        self.variables().get(name).cloned()
    }

    fn variables(&self) -> std::sync::MutexGuard<'_, HashMap<String, OsString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for ManualEnvironment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self(Arc::new(Mutex::new(variables)))
    }
}

impl std::fmt::Debug for ManualEnvironment {
    /// Shows names only: the values are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names: Vec<String> = self.variables().keys().cloned().collect();
        names.sort();
        f.debug_tuple("ManualEnvironment").field(&names).finish()
    }
}
