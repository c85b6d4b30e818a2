//! What clients need to authenticate with a federated credential.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::TestIdaas;
use super::client_authentication::Federation;
use super::metadata_service::MetadataService;
use super::service_account::ServiceAccountToken;

/// Federated credentials: OIDC and PKCS7.
impl TestIdaas {
    /// The name of the federated credential that the token endpoint knows.
    pub const FEDERATED_CREDENTIAL: &str = "test-credential";

    /// The name of the environment variable that holds the path of the service account's token, in
    /// [`client_config`](Self::client_config) and [`environment`](Self::environment).
    pub const TOKEN_FILE_VARIABLE: &str = "IDAAS_OIDC_TOKEN_FILE";

    /// A token of a Kubernetes service account that this IDaaS trusts, to be minted.
    pub fn service_account_token(&self) -> ServiceAccountToken<'_> {
        self.federation().service_accounts.token()
    }

    /// Writes a [`service_account_token`](Self::service_account_token) to `service-account-token` in the
    /// directory, and says where that is. Environments made from now on name the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_service_account_token(&self, directory: impl AsRef<Path>) -> io::Result<PathBuf> {
        let path = directory.as_ref().join("service-account-token");
        self.service_account_token().write_to(&path)?;
        *self.token_file.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.clone());
        Ok(path)
    }

    /// Starts a metadata service whose documents this IDaaS trusts, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port is to be had.
    pub async fn start_metadata_service(&self) -> io::Result<MetadataService> {
        let federation = self.federation();
        MetadataService::start(Arc::clone(&federation.attestation), federation.clock.clone())
    }

    fn federation(&self) -> &Federation {
        self.service.endpoint.client.federation()
    }
}
