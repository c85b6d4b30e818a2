//! `CLIENT_SECRET_BASIC` and `CLIENT_SECRET_POST`: the secret itself, in the `Authorization` header or in the form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;

use super::{Credentials, RegisteredClient};
use crate::issuer::refusal::Refusal;

/// The form fields of `CLIENT_SECRET_POST`.
pub(super) const POST_FIELDS: &[&str] = &["client_secret"];

pub(super) fn is_basic(credentials: &Credentials<'_>) -> bool {
    credentials.headers.contains_key(AUTHORIZATION)
}

pub(super) fn verify_basic(credentials: &Credentials<'_>, client: &RegisteredClient) -> Result<(), Refusal> {
    let pair = pair(credentials)?;
    let Some((id, secret)) = pair.split_once(':') else {
        return Err(Refusal::invalid_request("the Basic credentials lack a colon"));
    };
    // RFC 6749 section 2.3.1 has both parts form-encoded; the vendor's own clients send them raw.
    let raw = id == client.id() && client.has_secret(secret.as_bytes());
    let encoded = match (decode(id), decode(secret)) {
        (Some(id), Some(secret)) => id == client.id() && client.has_secret(secret.as_bytes()),
        _ => false,
    };
    if raw || encoded {
        Ok(())
    } else {
        Err(Refusal::invalid_client("the id or the secret in the Authorization header is wrong"))
    }
}

pub(super) fn is_post(credentials: &Credentials<'_>) -> bool {
    credentials.form.get("client_secret").is_some()
}

pub(super) fn verify_post(credentials: &Credentials<'_>, client: &RegisteredClient) -> Result<(), Refusal> {
    match client.has_secret(credentials.form.required("client_secret")?.as_bytes()) {
        true => Ok(()),
        false => Err(Refusal::invalid_client("the client_secret in the form is wrong")),
    }
}

/// What the header holds, decoded from base64.
fn pair(credentials: &Credentials<'_>) -> Result<String, Refusal> {
    let mut headers = credentials.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(Refusal::invalid_request("there is more than one Authorization header"));
    };
    let encoded = match header.to_str().unwrap_or_default().split_once(' ') {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => encoded,
        _ => return Err(Refusal::invalid_client("the Authorization header is not of the Basic scheme")),
    };
    STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Refusal::invalid_request("the Basic credentials are not base64 of UTF-8 text"))
}

/// Undoes form-encoding; `None` if the text cannot be the encoding of one value.
fn decode(part: &str) -> Option<String> {
    if part.contains('&') {
        return None;
    }
    let field = format!("={part}");
    form_urlencoded::parse(field.as_bytes()).next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ClientAuthentication;
    use crate::issuer::client_authentication::{Federation, Occasion};
    use crate::issuer::client_keys::ClientKeys;
    use crate::issuer::form::Form;
    use tower_idaas::Secret;
    use tower_idaas::clock::Clock;
    use tower_idaas::clock::ManualClock;

    fn verify_pair(pair: &str) -> Result<(), Refusal> {
        let client = RegisteredClient::new(
            "app".into(),
            Secret::new("a+b%41&=: ü"),
            vec![ClientAuthentication::SecretBasic],
            Arc::new(ClientKeys::generate(&[]).unwrap()),
            Arc::new(Federation::generate("", &Clock::System).unwrap()),
        );
        let mut headers = http::HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)).parse().unwrap());
        let form = Form::parse(b"client_id=app").unwrap();
        let occasion = Occasion { audience: "https://idaas.test/token", now: ManualClock::new().now() };
        client.authenticate(&Credentials { headers: &headers, form: &form }, &occasion)
    }

    #[test]
    fn the_pair_may_be_form_encoded_or_raw() {
        verify_pair("app:a%2Bb%2541%26%3D%3A+%C3%BC").unwrap();
        verify_pair("app:a%2bb%2541%26%3d%3a%20%c3%bc").unwrap();
        verify_pair("app:a+b%41&=: ü").unwrap();
    }

    #[test]
    fn any_other_pair_is_refused() {
        for pair in ["app:a b%41&=: ü", "app:a+bA&=: ü", "other:a+b%41&=: ü", "app:", ":", "app"] {
            verify_pair(pair).unwrap_err();
        }
    }
}
