//! `OIDC` and `PKCS7`: proofs by others whom a federated credential trusts.

use std::io;
use std::sync::Arc;

use super::Credentials;
use crate::issuer::attestation::Attestation;
use crate::issuer::form::Form;
use crate::issuer::refusal::Refusal;
use crate::issuer::service_account::ServiceAccounts;
use crate::names::{FEDERATED_CREDENTIAL, TOKEN_FILE_VARIABLE};
use tower_idaas::clock::Clock;

/// The fields of the methods that go by a federated credential.
pub(super) const FIELDS: &[&str] =
    &["application_federated_credential_name", "client_assertion_type", "client_assertion"];

const ID_TOKEN_BEARER: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer";
const PKCS7_BEARER: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer";

pub(super) const OIDC_CONFIGURATION: &[(&str, &str)] = &[
    ("applicationFederatedCredentialName", FEDERATED_CREDENTIAL),
    ("clientDeployEnvironment", "KUBERNETES"),
    ("oidcTokenFilePathEnvVarName", TOKEN_FILE_VARIABLE),
];

pub(super) const PKCS7_CONFIGURATION: &[(&str, &str)] = &[
    ("applicationFederatedCredentialName", FEDERATED_CREDENTIAL),
    ("clientDeployEnvironment", "ALIBABA_CLOUD_ECS"),
];

/// The signers that federated credentials trust.
pub(crate) struct Federation {
    pub(crate) service_accounts: ServiceAccounts,
    pub(crate) attestation: Arc<Attestation>,
    pub(crate) clock: Clock,
}

impl Federation {
    /// Tokens of service accounts are for this audience.
    pub(crate) fn generate(audience: &str, clock: &Clock) -> io::Result<Self> {
        Ok(Self {
            service_accounts: ServiceAccounts::generate(audience.to_owned(), clock.clone())?,
            attestation: Arc::new(Attestation::generate()?),
            clock: clock.clone(),
        })
    }

    /// Verifies a token of a Kubernetes service account.
    pub(super) fn verify_oidc(&self, credentials: &Credentials<'_>) -> Result<(), Refusal> {
        let token = assertion(credentials.form)?;
        self.service_accounts.verify(token).map_err(Refusal::invalid_client)
    }

    /// Verifies a document that a metadata service signed for its machine.
    pub(super) fn verify_pkcs7(&self, credentials: &Credentials<'_>) -> Result<(), Refusal> {
        let document = assertion(credentials.form)?;
        let now = self.clock.now().unix_seconds();
        self.attestation.verify(document, now).map_err(Refusal::invalid_client)
    }
}

pub(super) fn is_oidc(credentials: &Credentials<'_>) -> bool {
    credentials.form.get("client_assertion_type") == Some(ID_TOKEN_BEARER)
}

pub(super) fn is_pkcs7(credentials: &Credentials<'_>) -> bool {
    credentials.form.get("client_assertion_type") == Some(PKCS7_BEARER)
}

/// The assertion, if it is for the credential that is registered.
fn assertion(form: &Form) -> Result<&str, Refusal> {
    check_credential(form)?;
    form.required("client_assertion")
}

/// Refuses another federated credential than the one that is registered.
pub(super) fn check_credential(form: &Form) -> Result<(), Refusal> {
    match form.required("application_federated_credential_name")? {
        FEDERATED_CREDENTIAL => Ok(()),
        _ => Err(Refusal::invalid_client("there is no federated credential of this name")),
    }
}
