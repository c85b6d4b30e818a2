//! `--clients`: the clients that get tokens, in place of the one that is there by default.

use std::path::Path;

use serde_json::Value;
use tower_idaas::BoxError;
use tower_idaas_testing::TestIdaasBuilder;

use crate::input;

/// A client of the file, and what the emulator knows it by.
pub(super) struct Client {
    id: String,
    credential: Credential,
}

enum Credential {
    Secret(String),
    PublicKey(String),
}

/// Registers the clients. The first one with a secret is the one that configurations are written for.
pub(super) fn register(clients: Vec<Client>, mut builder: TestIdaasBuilder) -> TestIdaasBuilder {
    let mut has_first = false;
    for Client { id, credential } in clients {
        builder = match credential {
            Credential::Secret(secret) if !has_first => {
                has_first = true;
                builder.client(id, secret)
            }
            Credential::Secret(secret) => builder.add_client(id, secret),
            Credential::PublicKey(pem) => builder.add_signing_client(id, pem),
        };
    }
    builder
}

/// The clients in the file. An error holds none of their secrets.
pub(super) fn read(file: &Path) -> Result<Vec<Client>, BoxError> {
    let wrong = |problem: &str| BoxError::from(format!("{}: {problem}", file.display()));
    let expected = "expected a JSON array of objects with `id` and either `secret` or `public_key`";
    let text = input::text(file).map_err(|error| wrong(&error.to_string()))?;
    let clients: Value = serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("is not JSON (line {}); {expected}", error.line())))?;
    let clients = clients.as_array().filter(|clients| !clients.is_empty()).ok_or_else(|| wrong(expected))?;
    let client = |(index, client): (usize, &Value)| {
        let text = |key| client.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let is_more = client.as_object().is_some_and(|client| client.len() > 2);
        let credential = match (text("secret"), text("public_key")) {
            (Some(secret), None) => Some(Credential::Secret(secret.to_owned())),
            (None, Some(pem)) => Some(Credential::PublicKey(pem.to_owned())),
            _ => None,
        };
        match (text("id"), credential) {
            (Some(id), Some(credential)) if !is_more => Ok(Client { id: id.to_owned(), credential }),
            _ => Err(wrong(&format!("client {} is not understood; {expected}", index + 1))),
        }
    };
    let clients = clients.iter().enumerate().map(client).collect::<Result<Vec<_>, _>>()?;
    match clients.iter().any(|client| matches!(client.credential, Credential::Secret(_))) {
        true => Ok(clients),
        false => Err(wrong("no client has a secret; add one, which the configuration is written for")),
    }
}
