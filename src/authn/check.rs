//! The context in which a method is checked when the handle is built.

use std::error::Error as _;
use std::time::SystemTime;

use crate::environment::Environment;
use crate::error::{ConfigFault, Error};
use crate::secret::{Expected, Secret, SecretSource};

/// The names of the methods' options in faults. The configuration file has its own keys for them.
pub(crate) mod option {
    pub(crate) const CLIENT_SECRET: &str = "client_secret";
    pub(crate) const PRIVATE_KEY: &str = "private_key";
    pub(crate) const KEY_ID: &str = "key_id";
    pub(crate) const CREDENTIAL_NAME: &str = "credential_name";
    pub(crate) const CERTIFICATES: &str = "certificates";
    pub(crate) const CERTIFICATE_CHAIN: &str = "certificate_chain";
    pub(crate) const TOKEN_FILE: &str = "token_file";
}

/// The inputs of [`Authenticator::check`](crate::authn::Authenticator::check): the environment and the clock of the
/// handle that is being built.
#[derive(Debug)]
pub struct CheckContext<'a> {
    environment: &'a Environment,
    now: SystemTime,
}

impl<'a> CheckContext<'a> {
    pub(crate) fn new(environment: &'a Environment, now: SystemTime) -> Self {
        Self { environment, now }
    }

    /// The environment variables.
    pub fn environment(&self) -> &Environment {
        self.environment
    }

    /// The time by this machine's clock, which may be wrong: a reason for warnings, not for faults.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Reads a secret; `None` for a source that is a function, which is called at run time only.
    ///
    /// # Errors
    ///
    /// When the variable is not set or blank, or the file cannot be read; the message names it.
    pub fn read_secret(&self, source: &SecretSource) -> Result<Option<Secret>, Error> {
        self.read_expected(source, Expected::secret())
    }

    pub(crate) fn read_expected(
        &self,
        source: &SecretSource,
        expected: Expected<'_>,
    ) -> Result<Option<Secret>, Error> {
        source.read_expected_blocking(self.environment, expected)
    }
}

/// A type that other crates cannot name, so that they cannot override
/// [`Authenticator::vendor_name`](crate::authn::Authenticator::vendor_name).
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn(());

impl BuiltIn {
    pub(super) const PROOF: Self = Self(());
}

/// The fault of an unusable option: the error is its text, and the error's cause is chained.
pub(super) fn unusable(option: &str, error: Error) -> ConfigFault {
    let fault = ConfigFault::new(option, format!("cannot be used: {error}"));
    match error.source() {
        Some(_) => fault.with_source(error),
        None => fault,
    }
}

/// The fault of a federated credential's name, if it is invalid.
pub(super) fn credential_name(name: &str) -> Option<ConfigFault> {
    let problem = "is blank; expected the federated credential's name";
    name.trim().is_empty().then(|| ConfigFault::new(option::CREDENTIAL_NAME, problem))
}
