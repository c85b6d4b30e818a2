//! What the program finds around it: the environment of the process, or the one of a demo.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tower_idaas::IdaasBuilder;
use tower_idaas::environment::ManualEnvironment;

pub(crate) const PATH_VARIABLE: &str = "CLOUD_IDAAS_CONFIG_PATH";

#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// `None` stands for the process's own.
    variables: Option<BTreeMap<String, OsString>>,
    /// Where a demo has its metadata service.
    pub(crate) metadata_address: Option<String>,
}

impl Surroundings {
    pub(crate) fn of_process() -> Self {
        Self::default()
    }

    pub(crate) fn of_demo<N: Into<String>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: Some(variables.collect()), metadata_address: None }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.get_or_insert_default().insert(name.to_owned(), value.into());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.variables.get_or_insert_default().remove(name);
    }

    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        match &self.variables {
            Some(variables) => variables.get(name).cloned(),
            // A name with `=` or NUL cannot be set.
            None if name.is_empty() || name.contains(['=', '\0']) => None,
            None => std::env::var_os(name),
        }
    }

    /// The first of these variables that is set and not blank.
    pub(crate) fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, String)> {
        names.iter().find_map(|name| {
            let value = self.variable(name)?.into_string().ok()?;
            let value = value.trim();
            (!value.is_empty()).then(|| (*name, value.to_owned()))
        })
    }

    /// The path with a leading `~` replaced by the home directory.
    pub(crate) fn expand(&self, path: &Path) -> PathBuf {
        let home = match &self.variables {
            Some(variables) => variables.get("HOME").map(PathBuf::from),
            None => std::env::home_dir(),
        };
        match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_owned(),
        }
    }

    /// Puts the crate into the same surroundings.
    pub(crate) fn around(&self, mut builder: IdaasBuilder) -> IdaasBuilder {
        if let Some(variables) = &self.variables {
            builder = builder.environment(ManualEnvironment::from_iter(variables.clone()));
        }
        match &self.metadata_address {
            Some(address) => builder.metadata_address(address),
            None => builder,
        }
    }
}
