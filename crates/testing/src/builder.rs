//! Choices to make before a test IDaaS starts.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::access_token::Issuer;
use super::certificates::{Authority, ServerCertificate, TlsOptions};
use super::client_authentication::{ClientAuthentication, Federation, RegisteredClient};
use super::client_keys::ClientKeys;
use super::controls::Controls;
use super::grants::Grants;
use super::idaas::TestIdaas;
use super::server::reserve;
use super::service::{ISSUER_PATH, IdaasService};
use super::token_endpoint::TokenEndpoint;
use tower_idaas::Secret;
use tower_idaas::clock::Clock;
use tower_idaas::clock::ManualClock;

/// What `client-config.json` asks for when no scope was granted explicitly.
const DEFAULT_SCOPE: &str = "api://test|read";

/// Builds a [`TestIdaas`]; made by [`TestIdaas::builder`].
pub struct TestIdaasBuilder {
    client_id: String,
    secret: Secret,
    allowed: Vec<ClientAuthentication>,
    public_keys: Vec<String>,
    scopes: Vec<String>,
    token_life: Duration,
    clock: Clock,
    certificate: ServerCertificate,
    tls: TlsOptions,
}

impl TestIdaasBuilder {
    pub(super) fn new() -> Self {
        Self {
            client_id: "app_test".into(),
            secret: Secret::new("not-a-real-secret"),
            allowed: Vec::new(),
            public_keys: Vec::new(),
            scopes: Vec::new(),
            token_life: Duration::from_secs(20 * 60),
            clock: Clock::System,
            certificate: ServerCertificate::default(),
            tls: TlsOptions::default(),
        }
    }

    /// The one client that may ask for tokens. Default: `app_test` with `not-a-real-secret`.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.client_id = id.into();
        self.secret = Secret::new(secret);
        self
    }

    /// Lets the client prove itself in this way, and in no other that is not allowed likewise. Default: in
    /// all ways.
    #[must_use]
    pub fn allow(mut self, method: ClientAuthentication) -> Self {
        self.allowed.push(method);
        self
    }

    /// Registers the public half of a private key that the client may sign assertions with, as PEM
    /// (`-----BEGIN PUBLIC KEY-----`); each call adds one. Default: that of
    /// [`TestIdaas::private_key_pem`].
    ///
    /// A malformed key makes [`start`](Self::start) fail.
    #[must_use]
    pub fn public_key(mut self, pem: impl Into<String>) -> Self {
        self.public_keys.push(pem.into());
        self
    }

    /// Grants the client a scope, `audience|permission` items separated by spaces; each call adds to the
    /// ones before. Everything else is then refused with `invalid_scope`. Default: any well-formed scope is
    /// granted.
    ///
    /// A malformed scope makes [`start`](Self::start) fail.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// How long tokens live. Default: 20 minutes, as in the product.
    ///
    /// Answers announce whole seconds, rounded down, and the token lives at least that long; a life under
    /// one second is announced as zero.
    #[must_use]
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// The clock that tokens are issued and judged by, and that the header `Date` of every answer has, of this
    /// server's and of those that it starts. Default: the machine's.
    ///
    /// Behaviours that take time, as [`Behaviour::Slow`](super::Behaviour::Slow), do not follow it.
    #[must_use]
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Clock::Manual(clock);
        self
    }

    /// What the server shows in its TLS handshake. Default: a certificate that clients who trust
    /// [`TestIdaas::root_certificate_pem`] accept.
    #[must_use]
    pub fn certificate(mut self, certificate: ServerCertificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// A further name that the certificate is for, so that clients can reach the server as another host than
    /// the loopback interface, through a proxy that leads there.
    #[must_use]
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.tls.host_names.push(name.into());
        self
    }

    /// Speaks HTTP/1.1 only. Default: HTTP/2 as well.
    #[must_use]
    pub fn without_http2(mut self) -> Self {
        self.tls.without_http2 = true;
        self
    }

    /// Starts the server on a free port of the loopback interface, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If a granted scope or a public key is malformed (kind `InvalidInput`), or no port or no certificate is
    /// to be had.
    pub async fn start(self) -> io::Result<TestIdaas> {
        let parse = |scope: &str| {
            let fault = |fault| io::Error::new(io::ErrorKind::InvalidInput, format!("scope {fault}"));
            crate::scopes::parse(scope).map_err(fault)
        };
        let mut grants = Grants::default();
        for scope in &self.scopes {
            grants.add(parse(scope)?);
        }
        let scope = grants.first().cloned().map_or_else(|| parse(DEFAULT_SCOPE), Ok)?;
        let allowed = if self.allowed.is_empty() { ClientAuthentication::ALL.to_vec() } else { self.allowed };

        let keys = ClientKeys::generate(&self.public_keys)?;
        let authority = Authority::generate()?;
        let tls = authority.server_config(self.certificate, &self.tls)?;
        let socket = reserve()?;
        let port = socket.local_addr()?.port();
        let issuer = Issuer::generate(format!("https://localhost:{port}{ISSUER_PATH}"))?;
        let federation = Federation::generate(issuer.url(), &self.clock)?;
        let service = Arc::new(IdaasService {
            endpoint: TokenEndpoint {
                issuer,
                client: RegisteredClient::new(self.client_id, self.secret, allowed, keys, federation),
                grants,
                token_life: self.token_life,
                clock: self.clock.clone(),
            },
        });
        let controls = Controls::start(socket, Arc::clone(&service), self.clock, Some(tls))?;
        Ok(TestIdaas::new(controls, service, authority, scope))
    }
}

impl fmt::Debug for TestIdaasBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIdaasBuilder")
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .field("token_life", &self.token_life)
            .finish_non_exhaustive()
    }
}
