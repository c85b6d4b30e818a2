//! An IDaaS in this process.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;

use super::api::ProtectedApiBuilder;
use super::behaviour::Behaviour;
use super::builder::TestIdaasBuilder;
use super::certificates::{Authority, ServerCertificate, TlsOptions};
use super::ledger::ReceivedRequest;
use super::server::Server;
use super::service::IdaasService;
use crate::scope::Scope;
use crate::secret::Secret;

/// An IDaaS in this process that really verifies who asks and signs what it issues.
///
/// It speaks HTTPS (HTTP/2 and HTTP/1.1) on a free port of the loopback interface, with a certificate of
/// its own making. It stops, and its connections close, when it is dropped.
pub struct TestIdaas {
    server: Server,
    pub(super) service: Arc<IdaasService>,
    authority: Arc<Authority>,
    scope: Scope,
    /// Where a service account's token was written last.
    pub(super) token_file: Mutex<Option<PathBuf>>,
}

impl TestIdaas {
    pub(super) fn new(
        server: Server,
        service: Arc<IdaasService>,
        authority: Authority,
        scope: Scope,
    ) -> Self {
        Self { server, service, authority: Arc::new(authority), scope, token_file: Mutex::default() }
    }

    /// A test IDaaS with other than the default choices.
    pub fn builder() -> TestIdaasBuilder {
        TestIdaasBuilder::new()
    }

    /// Starts a test IDaaS with all defaults, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If no port or no certificate is to be had.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// The TLS side of another server of this IDaaS.
    pub(super) fn tls(&self) -> io::Result<Arc<ServerConfig>> {
        self.authority.server_config(ServerCertificate::Trusted, &TlsOptions::default())
    }

    /// An API that accepts only tokens of this IDaaS for the audience.
    pub fn api(&self, audience: impl Into<String>) -> ProtectedApiBuilder {
        ProtectedApiBuilder::new(Arc::clone(&self.service), Arc::clone(&self.authority), audience.into())
    }
}

/// What clients need to know.
impl TestIdaas {
    /// The issuer's URL: the claim `iss` of every token.
    pub fn issuer(&self) -> &str {
        self.service.endpoint.issuer.url()
    }

    /// Where tokens are asked for.
    pub fn token_endpoint(&self) -> String {
        format!("{}/token", self.issuer())
    }

    /// Where the public key is published, as a JSON Web Key Set (RFC 7517), for verifiers.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.issuer())
    }

    /// What is published there, for verifiers in this process.
    pub fn jwks(&self) -> String {
        self.service.endpoint.issuer.key_set().to_string()
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
    /// [`ProtectedApi`](super::ProtectedApi) of that audience, and to be exchanged. It lives as long as any other
    /// token of this server; the counts do not know of it.
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

/// What the server does.
impl TestIdaas {
    /// All requests to the token endpoint from now on meet this behaviour; what was planned before is
    /// forgotten. Requests that are held already stay so.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        let hangs = matches!(behaviour, Behaviour::HangHandshake);
        self.service.stage.set(behaviour);
        if hangs {
            self.server.close_connections();
        }
    }

    /// The next request meets this behaviour, after the ones planned before.
    pub fn behave_once(&self, behaviour: Behaviour) {
        self.behave_times(1, behaviour);
    }

    /// The next `times` requests meet this behaviour, after the ones planned before.
    pub fn behave_times(&self, times: usize, behaviour: Behaviour) {
        self.service.stage.plan(times, &behaviour);
        if matches!(behaviour, Behaviour::HangHandshake) {
            self.server.close_connections();
        }
    }

    /// Lets the requests that [`Behaviour::Hold`] parked go on as normal, and ends a standing `Hold`.
    pub fn release(&self) {
        self.release_with(Behaviour::Normal);
    }

    /// As [`release`](Self::release), but the parked requests meet this behaviour.
    pub fn release_with(&self, behaviour: Behaviour) {
        self.service.stage.release(behaviour);
    }

    /// Refuses connects from now on; when this returns, every connection is closed.
    pub async fn down(&self) {
        self.server.down().await;
    }

    /// Accepts connections again, on the same port. Nothing happens if it never went down.
    ///
    /// # Errors
    ///
    /// If the port is no longer to be had.
    pub async fn up(&self) -> io::Result<()> {
        self.server.up().await
    }
}

/// What happened.
impl TestIdaas {
    /// How many requests reached the token endpoint, whatever became of them.
    pub fn token_requests(&self) -> usize {
        self.service.ledger.read(|entries| entries.received.len())
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> usize {
        self.service.ledger.read(|entries| entries.issued)
    }

    /// How many token requests failed verification. Answers that a [`Behaviour`] made up do not count.
    pub fn rejected_requests(&self) -> usize {
        self.service.ledger.read(|entries| entries.rejected)
    }

    /// How many requests are parked by [`Behaviour::Hold`] now.
    pub fn held_requests(&self) -> usize {
        self.service.ledger.read(|entries| entries.held)
    }

    /// How many connections were accepted, those included that never got through the TLS handshake.
    pub fn connections(&self) -> usize {
        self.server.accepted()
    }

    /// The requests that reached the token endpoint, in order of arrival, without anything secret.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.service.ledger.read(|entries| entries.received.clone())
    }

    /// Sets all counts to zero and empties the log. Behaviours stay, and so does what is held.
    pub fn reset(&self) {
        self.service.ledger.reset();
        self.server.reset();
    }

    /// Returns when at least this many requests have reached the token endpoint.
    pub async fn wait_for_requests(&self, count: usize) {
        self.service.ledger.wait_for(|entries| entries.received.len() >= count).await;
    }

    /// Returns when at least this many requests are parked by [`Behaviour::Hold`] at once.
    pub async fn wait_for_held(&self, count: usize) {
        self.service.ledger.wait_for(|entries| entries.held >= count).await;
    }
}

impl fmt::Debug for TestIdaas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIdaas")
            .field("issuer", &self.issuer())
            .field("client_id", &self.client_id())
            .field("behaviour", &self.service.stage)
            .finish_non_exhaustive()
    }
}
