//! OIDC: a token of another issuer that IDaaS trusts, such as a Kubernetes service account's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::oidc_token_file::OidcTokenFile;
use super::{AssertionSource, Authenticator, TokenRequest, id_token};
use crate::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

const ASSERTION_TYPE: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer";

/// The OIDC token, and the federated credential that trusts its issuer.
#[derive(Debug)]
pub(crate) struct Oidc {
    credential_name: String,
    token: Arc<dyn AssertionSource>,
    /// Where the token comes from, for messages.
    origin: String,
}

impl Oidc {
    /// The token is in a file, and is read there at every token request.
    pub(crate) fn from_file(credential_name: String, path: PathBuf) -> Self {
        let origin = format!("of file {}", path.display());
        Self { credential_name, token: Arc::new(OidcTokenFile::new(path)), origin }
    }

    pub(crate) fn from_source(credential_name: String, token: Arc<dyn AssertionSource>) -> Self {
        Self { credential_name, token, origin: "of the program's own source".to_owned() }
    }

    /// The issuer may see it otherwise: its clock is the one that counts.
    fn warn_if_expired(&self, token: &Secret, now: SystemTime) {
        let seconds = id_token::expiry(token.expose_secret()).map(Duration::from_secs);
        if let Some(expiry) = seconds.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(seconds))
            && expiry <= now
        {
            let (origin, date) = (&self.origin, httpdate::fmt_http_date(expiry));
            tracing::warn!(
                "the OIDC token {origin} expired at {date} and is sent as it is; \
                 check what renews it, and the clock of this machine"
            );
        }
    }
}

impl Authenticator for Oidc {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let given = self.token.assertion(request).await?;
            let token = Secret::new(given.expose_secret().trim());
            if token.expose_secret().is_empty() {
                let message = format!("the OIDC token {} is empty; check what gives it", self.origin);
                return Err(Error::new(ErrorKind::Secret, message));
            }
            self.warn_if_expired(&token, request.now());
            request.note_secret(&token);
            request.add_field("application_federated_credential_name", self.credential_name.clone());
            request.add_field("client_assertion_type", ASSERTION_TYPE.to_owned());
            request.add_field("client_assertion", token);
            Ok(())
        })
    }
}
