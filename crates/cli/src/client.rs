//! The client of IDaaS that a command works with.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use tower_idaas::clock::Clock;
use tower_idaas::{Idaas, IdaasBuilder};

use crate::failure::Failure;

/// Which configuration is used.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArguments {
    /// The client-config.json to use [default: the one that CLOUD_IDAAS_CONFIG_PATH names, else
    /// ~/.cloud_idaas/client-config.json]
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigArguments {
    /// A builder as the arguments say, or as a service here would find its configuration.
    pub(crate) fn builder(&self) -> IdaasBuilder {
        match &self.config {
            Some(path) => Idaas::builder().config_file(path),
            None => Idaas::builder().config_from_env(),
        }
    }

    /// # Errors
    ///
    /// When the configuration cannot be used.
    pub(crate) fn client(&self) -> Result<Idaas, Failure> {
        Ok(self.builder().build()?)
    }
}

/// The wall clock, as the library reads it.
pub(crate) fn now() -> SystemTime {
    Clock::System.now().system_time()
}
