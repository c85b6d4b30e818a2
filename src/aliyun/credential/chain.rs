//! The vendor's order of sources: the first that has an identity gives it.

use std::sync::Arc;

use super::lookup::{Miss, Plan};
use super::{Credential, CredentialSource, environment};
use crate::BoxFuture;
use crate::environment::Environment;
use crate::error::{ConfigFault, Error, ErrorKind};
use crate::token::Settings;
use crate::transport::Transport;

/// What the chain works with.
#[derive(Debug)]
pub(crate) struct Injected {
    pub(crate) environment: Environment,
    /// For STS, and for a credentials URI with https.
    pub(crate) transport: Transport,
    /// Of the caches of temporary credentials. A look at all sources takes no longer than one flight may.
    pub(crate) settings: Settings,
    /// The host of STS, `host[:port]`, instead of the one that the environment tells.
    pub(crate) sts_endpoint: Option<String>,
    /// Where the metadata service of ECS is, `http://host:port`, instead of where it always is.
    pub(crate) metadata_address: Option<String>,
}

/// The default chain of Alibaba Cloud's SDKs.
#[derive(Debug)]
pub(crate) struct DefaultChain {
    injected: Injected,
}

impl DefaultChain {
    /// Sends and reads nothing.
    ///
    /// # Errors
    ///
    /// When an address is none.
    pub(crate) fn new(injected: Injected) -> Result<Self, ConfigFault> {
        Ok(Self { injected })
    }

    async fn search(&self) -> Result<Arc<Credential>, Error> {
        match environment::plan(&self.injected.environment) {
            Ok(Plan::Key(key)) => Ok(Arc::new(key)),
            Err(Miss::Absent(reason)) => {
                let message = format!("no Alibaba Cloud credential: environment: {reason}");
                Err(Error::new(ErrorKind::Secret, message))
            }
            Err(Miss::Fault(error)) => Err(error),
        }
    }
}

impl CredentialSource for DefaultChain {
    fn credential(&self) -> BoxFuture<'_, Result<Arc<Credential>, Error>> {
        Box::pin(self.search())
    }
}
