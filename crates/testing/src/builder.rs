//! Choices to make before a test IDaaS starts.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::certificates::{Authority, ServerCertificate, TlsOptions};
use crate::idaas::TestIdaas;
use crate::issuer::access_token::Issuer;
use crate::issuer::client_authentication::{ClientAuthentication, Federation, RegisteredClient};
use crate::issuer::client_keys::ClientKeys;
use crate::issuer::grants::{Grants, parse_scope};
use crate::issuer::service::{ISSUER_PATH, IdaasService};
use crate::issuer::token_endpoint::TokenEndpoint;
use crate::server::controls::Controls;
use crate::server::listener::Place;
use tower_idaas::Secret;
use tower_idaas::clock::Clock;
use tower_idaas::clock::ManualClock;

/// The scope in `client-config.json` when no scope was granted explicitly.
const DEFAULT_SCOPE: &str = "api://test|read";

/// Builds a [`TestIdaas`]; made by [`TestIdaas::builder`].
pub struct TestIdaasBuilder {
    port: u16,
    place: Place,
    client_id: String,
    secret: Secret,
    further_clients: Vec<(String, Secret)>,
    signing_clients: Vec<(String, String)>,
    names_actor: bool,
    allowed: Vec<ClientAuthentication>,
    public_keys: Vec<String>,
    scopes: Vec<String>,
    token_life: Duration,
    clock: Clock,
    certificate: ServerCertificate,
    tls: TlsOptions,
}

impl TestIdaas {
    /// A test IDaaS with other than the default choices.
    pub fn builder() -> TestIdaasBuilder {
        TestIdaasBuilder::new()
    }

    /// Starts a test IDaaS with all defaults, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If there is no free port or no certificate.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }
}

impl TestIdaasBuilder {
    fn new() -> Self {
        Self {
            port: 0,
            place: Place::default(),
            client_id: "app_test".into(),
            secret: Secret::new("not-a-real-secret"),
            further_clients: Vec::new(),
            signing_clients: Vec::new(),
            names_actor: false,
            allowed: Vec::new(),
            public_keys: Vec::new(),
            scopes: Vec::new(),
            token_life: Duration::from_secs(20 * 60),
            clock: Clock::System,
            certificate: ServerCertificate::default(),
            tls: TlsOptions::default(),
        }
    }

    /// The port of the loopback interface to listen on. Default: a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address to listen on, for this server, its [`api`](TestIdaas::api)s, OpenAPI, DeveloperAPI and metadata
    /// service: for clients on other machines, with a [`host`](Self::host) that they know. Default: that of the loopback
    /// interface.
    #[must_use]
    pub fn listen_on(mut self, address: IpAddr) -> Self {
        self.place.address = address;
        self
    }

    /// The name or address in the URLs of these servers, for which their certificates are as well. Default:
    /// `localhost`.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.place.host = host.into();
        self
    }

    /// The client that configurations are written for. Default: `app_test` with `not-a-real-secret`.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.client_id = id.into();
        self.secret = Secret::new(secret);
        self
    }

    /// One more client that may ask for tokens, with a secret of its own; each call adds one. It has the methods, the
    /// granted scopes, the registered keys and the federated credential of the first one.
    ///
    /// ```
    /// # use tower_idaas_testing::TestIdaas;
    /// use tower_idaas::{SecretSource, authn::ClientSecretPost};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), tower_idaas::BoxError> {
    /// let server = TestIdaas::builder().add_client("app_billing", "another-secret").start().await?;
    /// let orders = server.handle().build()?;
    /// let secret = SecretSource::value("another-secret");
    /// let billing = server.handle().client_id("app_billing").authenticator(ClientSecretPost::new(secret));
    /// let billing = billing.build()?;
    /// tokio::try_join!(orders.token(), billing.token())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn add_client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.further_clients.push((id.into(), Secret::new(secret)));
        self
    }

    /// One more client, without a secret: it signs assertions (`PRIVATE_KEY_JWT`) with the private half of this key in
    /// PEM form (`-----BEGIN PUBLIC KEY-----`), and may not authenticate otherwise; each call adds one.
    ///
    /// A malformed key makes [`start`](Self::start) fail.
    #[must_use]
    pub fn add_signing_client(mut self, id: impl Into<String>, public_key_pem: impl Into<String>) -> Self {
        self.signing_clients.push((id.into(), public_key_pem.into()));
        self
    }

    /// Names the acting client in exchanged tokens, by the claim `act` (RFC 8693 section 4.1). Default: an exchanged token
    /// names the user alone, as those of the real service do.
    #[must_use]
    pub fn with_actor_claim(mut self) -> Self {
        self.names_actor = true;
        self
    }

    /// Lets clients authenticate by this method, and by no other that is not allowed likewise. Default: by all
    /// methods.
    #[must_use]
    pub fn allow(mut self, method: ClientAuthentication) -> Self {
        self.allowed.push(method);
        self
    }

    /// Registers the public half of a private key that clients may sign assertions with, as PEM
    /// (`-----BEGIN PUBLIC KEY-----`); each call adds one. Default: that of
    /// [`TestIdaas::private_key_pem`].
    ///
    /// A malformed key makes [`start`](Self::start) fail.
    #[must_use]
    pub fn public_key(mut self, pem: impl Into<String>) -> Self {
        self.public_keys.push(pem.into());
        self
    }

    /// Grants a scope, `audience|permission` items separated by spaces; each call adds to the
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
    /// Responses announce whole seconds, rounded down, and the token lives at least that long; a life under
    /// one second is announced as zero.
    #[must_use]
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// The clock that tokens are issued and judged by, and that the header `Date` of every response has, of this
    /// server's and of those that it starts. Default: the machine's.
    ///
    /// Behaviours that take time, as [`Behaviour::Slow`](crate::Behaviour::Slow), do not follow it.
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

    /// Starts the server, on the Tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// If a granted scope, a public key or the host is malformed or two clients have one id (kind `InvalidInput`), if the port is
    /// taken, or if there is no certificate.
    pub async fn start(mut self) -> io::Result<TestIdaas> {
        let parse = |scope: &str| {
            let fault = |fault| io::Error::new(io::ErrorKind::InvalidInput, format!("scope {fault}"));
            parse_scope(scope).map_err(fault)
        };
        let mut grants = Grants::default();
        for scope in &self.scopes {
            grants.add(parse(scope)?);
        }
        let scope = grants.first().cloned().map_or_else(|| parse(DEFAULT_SCOPE), Ok)?;
        let allowed = if self.allowed.is_empty() { ClientAuthentication::ALL.to_vec() } else { self.allowed };

        let keys = Arc::new(ClientKeys::generate(&self.public_keys)?);
        let authority = Authority::generate()?;
        self.tls.host_names.push(self.place.host.clone());
        let tls = authority.server_config(self.certificate, &self.tls)?;
        let socket = self.place.reserve(self.port)?;
        let port = socket.local_addr()?.port();
        let issuer = Issuer::new(format!("https://{}{ISSUER_PATH}", self.place.authority(port)))?;
        let federation = Arc::new(Federation::generate(issuer.url(), &self.clock)?);
        let client = |(id, secret)| {
            RegisteredClient::new(id, secret, allowed.clone(), Arc::clone(&keys), Arc::clone(&federation))
        };
        let further_ids = self.further_clients.iter().map(|(id, _)| id);
        let ids = further_ids.chain(self.signing_clients.iter().map(|(id, _)| id)).chain([&self.client_id]);
        if ids.clone().collect::<HashSet<_>>().len() < ids.count() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "two clients have the same id"));
        }
        let signing_client = |(id, pem): (String, String)| {
            let keys = Arc::new(ClientKeys::generate(&[pem])?);
            let (none, allowed) = (Secret::new(String::new()), vec![ClientAuthentication::PrivateKeyJwt]);
            Ok(RegisteredClient::new(id, none, allowed, keys, Arc::clone(&federation)))
        };
        let signing_clients: io::Result<Vec<_>> =
            self.signing_clients.into_iter().map(signing_client).collect();
        let further_clients = self.further_clients.into_iter().map(client);
        let service = Arc::new(IdaasService {
            place: self.place,
            endpoint: TokenEndpoint {
                issuer,
                client: client((self.client_id, self.secret)),
                further_clients: further_clients.chain(signing_clients?).collect(),
                grants,
                token_life: self.token_life,
                names_actor: self.names_actor,
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
