//! CLIENT_SECRET_BASIC and CLIENT_SECRET_POST (RFC 6749 section 2.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::authn::{Authenticator, BuiltIn, CheckContext, TokenRequest, check, option};
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};
use crate::secret::{Expected, SecretSource};

/// CLIENT_SECRET_BASIC: client id and secret in an `Authorization: Basic` header.
#[derive(Clone, Debug)]
pub struct ClientSecretBasic {
    secret: SecretSource,
    raw: bool,
}

impl ClientSecretBasic {
    /// The secret is read at each attempt.
    pub fn new(secret: SecretSource) -> Self {
        Self { secret, raw: false }
    }

    /// Joins client id and secret unencoded, as the vendor's own clients do, instead of form-encoding each first, as
    /// RFC 6749 section 2.3.1 requires. For ids and secrets of letters and digits, such as IDaaS issues, the result is
    /// the same.
    #[must_use]
    pub fn raw_credentials(mut self) -> Self {
        self.raw = true;
        self
    }
}

impl Authenticator for ClientSecretBasic {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let secret = request.read_client_secret(&self.secret).await?;
            let pair = match self.raw {
                true => Zeroizing::new(format!("{}:{}", request.client_id(), secret.expose_secret())),
                false => {
                    let id = form_encoded(request.client_id());
                    let secret = form_encoded(secret.expose_secret());
                    Zeroizing::new(format!("{}:{}", *id, *secret))
                }
            };
            let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
            let header = Zeroizing::new(format!("Basic {}", *encoded));
            let value = HeaderValue::from_str(&header).map_err(|_| {
                Error::new(
                    ErrorKind::Credential,
                    "the client secret does not fit into a header; set a new one",
                )
            })?;
            request.set_authorization(value);
            Ok(())
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        secret_faults(&self.secret, context)
    }

    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        Some("CLIENT_SECRET_BASIC")
    }
}

/// The faults of the secret, if it cannot be read now.
pub(super) fn secret_faults(secret: &SecretSource, context: &CheckContext<'_>) -> Vec<ConfigFault> {
    let read = secret.read_expected_blocking(context.environment(), Expected::client_secret());
    read.err().map(|error| check::unusable(option::CLIENT_SECRET, error)).into_iter().collect()
}

fn form_encoded(text: &str) -> Zeroizing<String> {
    // Encoding triples the length at most; reallocation would leave a copy in memory.
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    encoded.extend(form_urlencoded::byte_serialize(text.as_bytes()));
    encoded
}

/// CLIENT_SECRET_POST: the client secret in a form field.
#[derive(Clone, Debug)]
pub struct ClientSecretPost {
    secret: SecretSource,
}

impl ClientSecretPost {
    /// The secret is read at each attempt.
    pub fn new(secret: SecretSource) -> Self {
        Self { secret }
    }
}

impl Authenticator for ClientSecretPost {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let secret = request.read_client_secret(&self.secret).await?;
            request.add_field("client_secret", secret);
            Ok(())
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        secret_faults(&self.secret, context)
    }

    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        Some("CLIENT_SECRET_POST")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;

    use super::*;
    use crate::authn::request::Client;
    use crate::clock::Clock;
    use crate::environment::Environment;
    use crate::secret::Secret;

    fn secret(text: &str) -> SecretSource {
        SecretSource::value(Secret::new(text))
    }

    fn authenticated(client_id: &str, authenticator: &dyn Authenticator) -> TokenRequest {
        let client = Client {
            instance_id: "idaas_test".into(),
            client_id: client_id.into(),
            token_endpoint: http::Uri::from_static("https://localhost/oauth2/token"),
        };
        let now = Clock::System.now();
        let mut request = TokenRequest::new(&client, &Environment::Process, now, &RandomState::new());
        tokio_test::block_on(authenticator.authenticate(&mut request)).unwrap();
        request
    }

    fn basic(client_id: &str, text: &str, raw: bool) -> String {
        let method = ClientSecretBasic::new(secret(text));
        let method = if raw { method.raw_credentials() } else { method };
        let request = authenticated(client_id, &method);
        let header = request.into_http().headers()[http::header::AUTHORIZATION].clone();
        assert!(header.is_sensitive());
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn basic_form_encodes_both_parts_and_raw_joins_them_as_they_are() {
        assert_eq!(basic("app:1", "a+b c%", false), "app%3A1:a%2Bb+c%25");
        assert_eq!(basic("app:1", "a+b c%", true), "app:1:a+b c%");
    }

    #[test]
    fn letters_and_digits_give_the_same_header_either_way() {
        assert_eq!(basic("app_1", "CSabc123", false), basic("app_1", "CSabc123", true));
    }

    #[test]
    fn a_request_shows_neither_its_secret_nor_its_header() {
        for authenticator in [
            &ClientSecretPost::new(secret("marker-secret")) as &dyn Authenticator,
            &ClientSecretBasic::new(secret("marker-secret")),
        ] {
            let request = authenticated("app_1", authenticator);
            let shown = format!("{request:?} {authenticator:?}");
            assert!(!shown.contains("marker-secret"), "{shown}");
            assert!(!shown.contains(&STANDARD.encode("app_1:marker-secret")), "{shown}");
            // An issuer may decode the header before it echoes the credentials.
            let secrets = request.secrets();
            assert!(secrets.iter().any(|secret| secret.expose_secret() == "marker-secret"));
        }
    }
}
