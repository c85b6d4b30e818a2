//! `PKCS7`: a document that a metadata service signed for its machine.

use super::Credentials;
use super::federation::{Federation, assertion};
use crate::TestIdaas;
use crate::refusal::Refusal;

pub(super) use super::federation::FIELDS;

const ASSERTION_TYPE: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer";

pub(super) const CONFIGURATION: &[(&str, &str)] = &[
    ("applicationFederatedCredentialName", TestIdaas::FEDERATED_CREDENTIAL),
    ("clientDeployEnvironment", "ALIBABA_CLOUD_ECS"),
];

pub(super) fn is_presented(credentials: &Credentials<'_>) -> bool {
    credentials.form.get("client_assertion_type") == Some(ASSERTION_TYPE)
}

pub(super) fn verify(credentials: &Credentials<'_>, federation: &Federation) -> Result<(), Refusal> {
    let document = assertion(credentials.form)?;
    let now = federation.clock.now().unix_seconds();
    federation.attestation.verify(document, now).map_err(Refusal::invalid_client)
}
