//! `CLIENT_SECRET_JWT`: an assertion with an HMAC under the secret.

use super::assertion::{Assertion, JWT_BEARER, has_type};
use super::{Credentials, Occasion, RegisteredClient};
use crate::refusal::Refusal;

/// It shares its type with `PRIVATE_KEY_JWT`; the algorithm tells them apart.
pub(super) fn is_presented(credentials: &Credentials<'_>) -> bool {
    let assertion = || Assertion::parse(credentials);
    has_type(credentials, JWT_BEARER) && assertion().is_ok_and(|it| it.algorithm().starts_with("HS"))
}

pub(super) fn verify(
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
