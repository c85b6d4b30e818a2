//! PKCS7: a document that the cloud's metadata service signs for the machine this program runs on.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::authn::{AssertionSource, Authenticator, TokenRequest};
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

const ASSERTION_TYPE: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer";

/// The attested document, and the federated credential that trusts its signer.
#[derive(Debug)]
pub(crate) struct Pkcs7 {
    credential_name: String,
    document: Arc<dyn AssertionSource>,
}

impl Pkcs7 {
    pub(crate) fn new(credential_name: String, document: Arc<dyn AssertionSource>) -> Self {
        Self { credential_name, document }
    }
}

impl Authenticator for Pkcs7 {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let given = self.document.assertion(request).await?;
            let document = compact(given.expose_secret()).ok_or_else(|| {
                Error::new(
                    ErrorKind::Credential,
                    "the attested document is not base64 text; check what gives it",
                )
            })?;
            request.note_secret(&document);
            request.add_field("application_federated_credential_name", self.credential_name.clone());
            request.add_field("client_assertion_type", ASSERTION_TYPE.to_owned());
            request.add_field("client_assertion", document);
            Ok(())
        })
    }
}

/// The document in one piece: metadata services wrap their base64. `None` if it is nothing of the kind.
pub(super) fn compact(document: &str) -> Option<Secret> {
    let mut compact = Zeroizing::new(String::with_capacity(document.len()));
    compact.extend(document.split_ascii_whitespace());
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    (!compact.is_empty() && compact.bytes().all(is_base64)).then(|| Secret::new(compact.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_removed_and_anything_but_base64_is_refused() {
        let compacted = |text| compact(text).map(|document: Secret| document.expose_secret().to_owned());
        assert_eq!(compacted("MIIB+/==").unwrap(), "MIIB+/==");
        assert_eq!(compacted(" MIIB\r\n+/\n==\n").unwrap(), "MIIB+/==");
        for text in ["", " \n", "<html>", "-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----", "MIIB\u{e9}"] {
            assert_eq!(compacted(text), None, "{text}");
        }
    }
}
