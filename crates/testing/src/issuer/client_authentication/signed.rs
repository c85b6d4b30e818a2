//! `CLIENT_SECRET_JWT`, `PRIVATE_KEY_JWT` and `PCA`: assertions that the client signs itself.

use super::assertion::Assertion;
use super::federated::check_credential;
use super::{Credentials, Occasion, RegisteredClient};
use crate::issuer::refusal::Refusal;

/// Shared by the first two; the algorithm tells them apart.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const X509_JWT_BEARER: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer";

pub(super) const FIELDS: &[&str] = &["client_assertion_type", "client_assertion"];

pub(super) const PCA_FIELDS: &[&str] = &[
    "application_federated_credential_name",
    "client_assertion_type",
    "client_assertion",
    "client_x509",
    "client_x509_chain",
];

fn has_type(credentials: &Credentials<'_>, expected: &str) -> bool {
    credentials.form.get("client_assertion_type") == Some(expected)
}

pub(super) fn is_secret_jwt(credentials: &Credentials<'_>) -> bool {
    let assertion = || Assertion::parse(credentials);
    has_type(credentials, JWT_BEARER) && assertion().is_ok_and(|it| it.algorithm().starts_with("HS"))
}

pub(super) fn is_private_key_jwt(credentials: &Credentials<'_>) -> bool {
    has_type(credentials, JWT_BEARER) && !is_secret_jwt(credentials)
}

pub(super) fn is_pca(credentials: &Credentials<'_>) -> bool {
    has_type(credentials, X509_JWT_BEARER)
}

/// Verifies an assertion with an HMAC under the secret.
pub(super) fn verify_secret_jwt(
    credentials: &Credentials<'_>,
    client: &RegisteredClient,
    occasion: &Occasion<'_>,
) -> Result<(), Refusal> {
    let assertion = Assertion::parse(credentials)?;
    if !assertion.is_under_secret(client.secret().expose_secret().as_bytes()) {
        return Err(Refusal::invalid_client("the client_assertion is not HS256 under the client's secret"));
    }
    assertion.check(client, occasion)
}

/// Verifies an assertion signed with a private key whose public half is registered.
pub(super) fn verify_private_key_jwt(
    credentials: &Credentials<'_>,
    client: &RegisteredClient,
    occasion: &Occasion<'_>,
) -> Result<(), Refusal> {
    let assertion = Assertion::parse(credentials)?;
    if !client.keys().registered().iter().any(|key| assertion.is_signed_with(key)) {
        return Err(Refusal::invalid_client("the client_assertion is not signed with a registered key"));
    }
    assertion.check(client, occasion)
}

/// Verifies an assertion signed with the key of a certificate that the authority for clients issued.
pub(super) fn verify_pca(
    credentials: &Credentials<'_>,
    client: &RegisteredClient,
    occasion: &Occasion<'_>,
) -> Result<(), Refusal> {
    let form = credentials.form;
    check_credential(form)?;
    let chain = form.get("client_x509_chain").unwrap_or_default();
    let key = client.keys().certified(form.required("client_x509")?, chain, occasion.now);
    let key = key.map_err(Refusal::invalid_client)?;
    let assertion = Assertion::parse(credentials)?;
    if !assertion.is_signed_with(&key) {
        return Err(Refusal::invalid_client("the client_assertion is not signed with the certificate's key"));
    }
    assertion.check(client, occasion)
}
