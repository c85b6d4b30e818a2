//! `CLIENT_SECRET_POST`: the secret in the form.

use super::{Credentials, RegisteredClient};
use crate::refusal::Refusal;

pub(super) const FIELDS: &[&str] = &["client_secret"];

pub(super) fn is_presented(credentials: &Credentials<'_>) -> bool {
    credentials.form.get("client_secret").is_some()
}

pub(super) fn verify(credentials: &Credentials<'_>, client: &RegisteredClient) -> Result<(), Refusal> {
    if client.has_secret(credentials.form.required("client_secret")?.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::invalid_client("the client_secret in the form is wrong"))
    }
}
