//! `OIDC`: a token of a Kubernetes service account.

use super::Credentials;
use super::federation::{Federation, assertion};
use crate::TestIdaas;
use crate::refusal::Refusal;

pub(super) use super::federation::FIELDS;

const ASSERTION_TYPE: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer";

pub(super) const CONFIGURATION: &[(&str, &str)] = &[
    ("applicationFederatedCredentialName", TestIdaas::FEDERATED_CREDENTIAL),
    ("clientDeployEnvironment", "KUBERNETES"),
    ("oidcTokenFilePathEnvVarName", TestIdaas::TOKEN_FILE_VARIABLE),
];

pub(super) fn is_presented(credentials: &Credentials<'_>) -> bool {
    credentials.form.get("client_assertion_type") == Some(ASSERTION_TYPE)
}

pub(super) fn verify(credentials: &Credentials<'_>, federation: &Federation) -> Result<(), Refusal> {
    let token = assertion(credentials.form)?;
    federation.service_accounts.verify(token).map_err(Refusal::invalid_client)
}
