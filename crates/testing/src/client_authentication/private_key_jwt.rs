//! `PRIVATE_KEY_JWT`: an assertion signed with a private key whose public half is registered.

use super::assertion::{Assertion, JWT_BEARER, has_type};
use super::{Credentials, Occasion, RegisteredClient, secret_jwt};
use crate::refusal::Refusal;

pub(super) fn is_presented(credentials: &Credentials<'_>) -> bool {
    has_type(credentials, JWT_BEARER) && !secret_jwt::is_presented(credentials)
}

pub(super) fn verify(
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
