//! OIDC: a token of another issuer that IDaaS trusts, such as a Kubernetes service account's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::authn::oidc_token_file::OidcTokenFile;
use crate::authn::{AssertionSource, Authenticator, BuiltIn, CheckContext, TokenRequest, check};
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};
use crate::secret::path::redacted_path;
use crate::secret::{Secret, id_token};

const ASSERTION_TYPE: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer";

/// OIDC: a token of another issuer, and the federated credential that trusts that issuer.
///
/// ```
/// use tower_idaas::authn::Oidc;
///
/// let method = Oidc::from_file("orders-on-k8s", "/var/run/secrets/kubernetes.io/serviceaccount/token");
/// # drop(method);
/// ```
#[derive(Clone, Debug)]
pub struct Oidc {
    credential_name: String,
    token: Arc<dyn AssertionSource>,
    /// The place of the token, for messages.
    origin: String,
}

/// `credential_name` is the name of the application's federated credential.
impl Oidc {
    /// Reads the token from a file that another program keeps up to date, such as the token of a Kubernetes service
    /// account. A leading `~` is the home directory.
    ///
    /// The file is read at every token request, and white space around the token is removed. While the file cannot be
    /// read, the last token is used until it expires; one without a readable expiry, for a minute. An expired token is
    /// sent with a warning.
    pub fn from_file(credential_name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        let (credential_name, path) = (credential_name.into(), path.into());
        let origin = format!("of file {}", redacted_path(&path));
        Self { credential_name, token: Arc::new(OidcTokenFile::new(path)), origin }
    }

    /// Takes the token from a source of your own.
    pub fn from_source(credential_name: impl Into<String>, source: impl AssertionSource) -> Self {
        let credential_name = credential_name.into();
        Self { credential_name, token: Arc::new(source), origin: "of the program's own source".to_owned() }
    }

    /// Takes the token from the metadata service of Google Cloud, as the configuration may say.
    #[cfg(feature = "transport")]
    pub(crate) fn from_google_cloud(
        credential_name: impl Into<String>,
        source: crate::authn::GoogleCloudIdentity,
    ) -> Self {
        let origin = "of the Google Cloud metadata service".to_owned();
        Self { origin, ..Self::from_source(credential_name, source) }
    }

    /// Warns only, because the issuer's clock decides.
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
            let assertion = self.token.assertion(request).await?;
            let token = Secret::new(assertion.expose_secret().trim());
            if token.expose_secret().is_empty() {
                let message = format!("the OIDC token {} is empty; check what gives it", self.origin);
                return Err(Error::new(ErrorKind::Credential, message));
            }
            self.warn_if_expired(&token, request.issued_at());
            request.note_secret(&token);
            request.add_field("application_federated_credential_name", self.credential_name.clone());
            request.add_field("client_assertion_type", ASSERTION_TYPE.to_owned());
            request.add_field("client_assertion", token);
            Ok(())
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let name = check::credential_name(&self.credential_name);
        name.into_iter().chain(self.token.check(context)).collect()
    }

    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        Some("OIDC")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::sync::Mutex;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::authn::request::Client;
    use crate::clock::Timestamp;
    use crate::environment::Environment;

    const NOW: u64 = 1_800_000_000;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The log while a token with this expiry is sent.
    fn log_of(expiry: u64) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sa-token");
        let token = format!("e30.{}.hunter2", URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{expiry}}}")));
        std::fs::write(&path, format!("{token}\n")).unwrap();
        let client = Client {
            instance_id: "idaas_test".into(),
            client_id: "app_test".into(),
            token_endpoint: http::Uri::from_static("https://localhost/oauth2/token"),
        };
        let now = Timestamp { monotonic: 0, wall: NOW * 1_000_000_000 };
        let mut request = TokenRequest::new(&client, &Environment::Process, now, &RandomState::new());
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let oidc = Oidc::from_file("federated", path);
            tokio_test::block_on(oidc.authenticate(&mut request)).unwrap();
        });
        assert!(request.secrets().iter().any(|secret| secret.expose_secret() == token), "sent as it is");
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn an_expired_token_is_sent_with_a_warning_that_names_file_and_expiry() {
        let text = log_of(NOW);
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["WARN", "sa-token", "expired at Fri, 15 Jan 2027 08:00:00 GMT"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
        assert!(log_of(0).contains("Thu, 01 Jan 1970"));
    }

    #[test]
    fn a_living_token_is_sent_in_silence() {
        assert_eq!(log_of(NOW + 1), "");
        assert_eq!(log_of(u64::MAX), "");
    }
}
