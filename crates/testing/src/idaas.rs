//! An IDaaS in this process.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;

use crate::certificates::{Authority, ServerCertificate, TlsOptions};
use crate::issuer::request::ReceivedRequest;
use crate::issuer::service::IdaasService;
use crate::server::controls::Controls;
use tower_idaas::Scope;
use tower_idaas::Secret;

/// An IDaaS in this process that really verifies its clients and signs what it issues.
///
/// It speaks HTTPS (HTTP/2 and HTTP/1.1) on the loopback interface, with a certificate of its own making. It stops, and
/// its connections close, when it is dropped.
///
/// Its access tokens are what the real service's are: JWTs signed with RS256, with a `kid` that leads to the key at
/// [`jwks_url`](Self::jwks_url); `aud` is the audience and `scope` the permissions without it; an exchanged token names
/// the user alone.
///
/// Its [`Controls`] script the token endpoint, and have the log of the requests to it.
pub struct TestIdaas {
    controls: Controls<ReceivedRequest>,
    pub(crate) service: Arc<IdaasService>,
    authority: Arc<Authority>,
    scope: Scope,
    /// Where a service account's token was written last.
    pub(crate) token_file: Mutex<Option<PathBuf>>,
}

impl TestIdaas {
    pub(crate) fn new(
        controls: Controls<ReceivedRequest>,
        service: Arc<IdaasService>,
        authority: Authority,
        scope: Scope,
    ) -> Self {
        Self { controls, service, authority: Arc::new(authority), scope, token_file: Mutex::default() }
    }

    /// The TLS side of another server of this IDaaS.
    pub(crate) fn tls(&self) -> io::Result<Arc<ServerConfig>> {
        let options =
            TlsOptions { host_names: vec![self.service.place.host.clone()], ..TlsOptions::default() };
        self.authority.server_config(ServerCertificate::Trusted, &options)
    }

    pub(crate) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }
}

/// What clients need to know.
impl TestIdaas {
    /// The issuer's URL: the claim `iss` of every token.
    pub fn issuer(&self) -> &str {
        self.service.endpoint.issuer.url()
    }

    /// Where tokens are requested.
    pub fn token_endpoint(&self) -> String {
        format!("{}/token", self.issuer())
    }

    /// Where the public keys are published, as a JSON Web Key Set (RFC 7517), for verifiers.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.issuer())
    }

    /// What is published there, for verifiers in this process.
    pub fn jwks(&self) -> String {
        self.service.endpoint.issuer.key_set().to_string()
    }

    /// Signs tokens with a new key from now on, which is published beside the old one: a verifier has to read
    /// [`jwks_url`](Self::jwks_url) again. Making the key takes about a tenth of a second.
    ///
    /// # Errors
    ///
    /// If no key can be made.
    pub fn rotate_signing_key(&self) -> io::Result<()> {
        self.service.endpoint.issuer.rotate_key()
    }

    /// Where the issuer describes itself (OpenID Connect Discovery 1.0): endpoints, methods, algorithms.
    pub fn metadata_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer())
    }

    /// The client's id.
    pub fn client_id(&self) -> &str {
        self.service.endpoint.client.id()
    }

    /// The client's present secret.
    pub fn secret(&self) -> Secret {
        self.service.endpoint.client.secret()
    }

    /// Rotates the client's secret: the old one is refused at once. Environments made before keep it.
    pub fn set_secret(&self, secret: impl Into<String>) {
        self.service.endpoint.client.set_secret(Secret::new(secret));
    }

    /// The scope in [`client_config`](Self::client_config): the first that was granted, else
    /// `api://test|read`.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// An access token of a user's, as one would arrive at a service: to be accepted by a
    /// [`ProtectedApi`](crate::ProtectedApi) of that audience, and to be exchanged. It lives as long as any other
    /// token of this server; no count includes it.
    ///
    /// # Errors
    ///
    /// If the token cannot be signed.
    pub fn user_token(&self, user: &str, scope: &Scope) -> io::Result<Secret> {
        self.service.endpoint.user_token(user, scope).map(Secret::new)
    }

    /// The certificate of the authority that signs this server and its [`api`](Self::api)s, as PEM.
    pub fn root_certificate_pem(&self) -> &str {
        self.authority.root_pem()
    }

    /// Writes [`root_certificate_pem`](Self::root_certificate_pem) to `root-certificate.pem` in the
    /// directory, and says where that is: the path for `SSL_CERT_FILE`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_root_certificate(&self, directory: impl AsRef<Path>) -> io::Result<PathBuf> {
        let path = directory.as_ref().join("root-certificate.pem");
        std::fs::write(&path, self.root_certificate_pem())?;
        Ok(path)
    }
}

/// What happened at the token endpoint.
impl TestIdaas {
    /// How many requests reached the token endpoint, whatever became of them.
    pub fn token_requests(&self) -> usize {
        self.requests().len()
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> usize {
        self.controls.granted()
    }

    /// How many token requests failed verification. Responses that a [`Behaviour`](crate::Behaviour) makes up do not
    /// count.
    pub fn rejected_requests(&self) -> usize {
        self.controls.rejected()
    }
}

/// Behaviours and requests are those of the token endpoint.
impl Deref for TestIdaas {
    type Target = Controls<ReceivedRequest>;

    fn deref(&self) -> &Self::Target {
        &self.controls
    }
}

impl fmt::Debug for TestIdaas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIdaas")
            .field("issuer", &self.issuer())
            .field("client_id", &self.client_id())
            .field("controls", &self.controls)
            .finish_non_exhaustive()
    }
}
