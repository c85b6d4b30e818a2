//! `PCA`: an assertion signed with the key of a certificate that the authority for clients issued.

use super::assertion::{Assertion, has_type};
use super::{Credentials, Occasion, RegisteredClient};
use crate::TestIdaas;
use crate::refusal::Refusal;

const X509_JWT_BEARER: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer";

pub(super) const FIELDS: &[&str] = &[
    "application_federated_credential_name",
    "client_assertion_type",
    "client_assertion",
    "client_x509",
    "client_x509_chain",
];

pub(super) fn is_presented(credentials: &Credentials<'_>) -> bool {
    has_type(credentials, X509_JWT_BEARER)
}

pub(super) fn verify(
    credentials: &Credentials<'_>,
    client: &RegisteredClient,
    occasion: &Occasion<'_>,
) -> Result<(), Refusal> {
    let form = credentials.form;
    if form.required("application_federated_credential_name")? != TestIdaas::FEDERATED_CREDENTIAL {
        return Err(Refusal::invalid_client("there is no federated credential of that name"));
    }
    let chain = form.get("client_x509_chain").unwrap_or_default();
    let key = client.keys().certified(form.required("client_x509")?, chain, occasion.now);
    let key = key.map_err(Refusal::invalid_client)?;
    let assertion = Assertion::parse(credentials)?;
    if !assertion.is_signed_with(&key) {
        return Err(Refusal::invalid_client("the client_assertion is not signed with the certificate's key"));
    }
    assertion.check(client, occasion)
}
