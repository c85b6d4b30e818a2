//! What a test does to a server, and what it reads of the server.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpSocket;

use crate::server::behaviour::Behaviour;
use crate::server::endpoint::{Endpoint, Record, Scripted};
use crate::server::listener::Server;
use crate::server::requests::ServiceRequest;
use crate::server::script::Script;
use tower_idaas::clock::Clock;

/// The controls of a server on the loopback interface, which [`TestIdaas`](crate::TestIdaas),
/// [`OpenApiService`](crate::OpenApiService), `DeveloperApi`, [`StsService`](crate::StsService),
/// [`CredentialsUriService`](crate::CredentialsUriService) and [`MetadataService`](crate::MetadataService) all
/// have: their methods are those servers' methods.
///
/// `Request` is what the server keeps of each request.
///
/// ```
/// use http::StatusCode;
/// use tower_idaas_testing::{Behaviour, TestIdaas};
///
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let idaas = TestIdaas::start().await?;
/// let open_api = idaas.start_open_api().await?;
/// idaas.set_behaviour(Behaviour::Hold);
/// open_api.behave_once(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
/// assert!(idaas.requests().is_empty() && open_api.requests().is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Controls<Request = ServiceRequest> {
    server: Server,
    script: Arc<Script<Request>>,
}

impl<Request> Controls<Request> {
    /// Starts a server on a port that [`reserve`](crate::server::listener::reserve) gave.
    pub(crate) fn start(
        socket: TcpSocket,
        endpoint: Arc<impl Endpoint>,
        clock: Clock,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self>
    where
        Request: Record,
    {
        let script = Arc::new(Script::new());
        let handler = Arc::new(Scripted { endpoint, script: Arc::clone(&script) });
        Ok(Self { server: Server::start(socket, handler, clock, tls)?, script })
    }

    /// The port of the loopback interface that the server listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// How many requests got what they requested.
    pub(crate) fn granted(&self) -> usize {
        self.script.log.read(|entries| entries.granted)
    }

    /// How many requests did not deserve what they requested.
    pub(crate) fn rejected(&self) -> usize {
        self.script.log.read(|entries| entries.rejected)
    }
}

/// What the server does.
impl<Request> Controls<Request> {
    /// All requests from now on meet this behaviour; what was planned before is forgotten. Requests that are
    /// held already stay so.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        let hangs = matches!(behaviour, Behaviour::HangHandshake);
        self.script.set(behaviour);
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
        self.script.add(times, &behaviour);
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
        self.script.release(behaviour);
    }

    /// Refuses connects from now on; when this returns, every connection is closed.
    pub async fn down(&self) {
        self.server.down().await;
    }

    /// Accepts connections again, on the same port. Nothing happens if it never went down.
    ///
    /// # Errors
    ///
    /// If the port is no longer free.
    pub async fn up(&self) -> io::Result<()> {
        self.server.up().await
    }
}

/// What happened.
impl<Request> Controls<Request> {
    /// The requests so far, in order of arrival, whatever became of them.
    pub fn requests(&self) -> Vec<Request>
    where
        Request: Clone,
    {
        self.script.log.read(|entries| entries.received.clone())
    }

    /// How many requests are parked by [`Behaviour::Hold`] now.
    pub fn held_requests(&self) -> usize {
        self.script.log.read(|entries| entries.held)
    }

    /// How many connections were accepted, those included that never got through the TLS handshake.
    pub fn connections(&self) -> usize {
        self.server.accepted()
    }

    /// Returns when at least this many requests have arrived.
    pub async fn wait_for_requests(&self, count: usize) {
        self.script.log.wait_for(|entries| entries.received.len() >= count).await;
    }

    /// Returns when at least this many requests are parked by [`Behaviour::Hold`] at once.
    pub async fn wait_for_held(&self, count: usize) {
        self.script.log.wait_for(|entries| entries.held >= count).await;
    }

    /// Sets all counts to zero and empties the log. Behaviours stay, and so does what is held.
    pub fn reset(&self) {
        self.script.log.reset();
        self.server.reset();
    }
}

impl<Request> fmt::Debug for Controls<Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls")
            .field("server", &self.server)
            .field("behaviour", &self.script)
            .finish_non_exhaustive()
    }
}
