//! The names that a client's configuration and the servers share.

/// The instance id.
pub(crate) const INSTANCE_ID: &str = "idaas_test";

/// The variable that holds the client's secret.
pub(crate) const SECRET_VARIABLE: &str = "IDAAS_CLIENT_SECRET";

/// The variable that holds the client's private key.
pub(crate) const PRIVATE_KEY_VARIABLE: &str = "IDAAS_PRIVATE_KEY";

/// The variable that holds the path of the service account's token.
pub(crate) const TOKEN_FILE_VARIABLE: &str = "IDAAS_OIDC_TOKEN_FILE";

/// The federated credential.
pub(crate) const FEDERATED_CREDENTIAL: &str = "test-credential";
