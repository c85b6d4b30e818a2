//! A small HTTPS server on the loopback interface that can go down and come back on the same port.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::DATE;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::server::body::ResponseBody;
use crate::server::connection::{Connection, ScriptedStream};
use tower_idaas::BoxFuture;
use tower_idaas::clock::Clock;

/// From a connection that could not be accepted to the next one.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server serves.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Whether the connection that was just accepted is served at all, or left hanging in silence.
    fn serves_next_connection(&self) -> bool {
        true
    }

    /// Responds to one request.
    fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Connection,
    ) -> BoxFuture<'static, Response<ResponseBody>>;
}

/// A running server. Dropping it stops it and closes its connections.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct Shared {
    handler: Arc<dyn Handler>,
    clock: Clock,
    tls: Option<TlsAcceptor>,
    accepted: AtomicUsize,
    /// Tells the connections that live at that time to close.
    close_all: watch::Sender<()>,
}

enum State {
    Up {
        stop: oneshot::Sender<()>,
        accepting: JoinHandle<()>,
    },
    /// The port stays bound without listening: connects are refused, and no other program gets the port.
    Down(Option<TcpSocket>),
}

impl Server {
    /// Starts on a port that [`reserve`] gave. The header `Date` of every response goes by the clock.
    pub(crate) fn start(
        socket: TcpSocket,
        handler: Arc<dyn Handler>,
        clock: Clock,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            handler,
            clock,
            tls: tls.map(TlsAcceptor::from),
            accepted: AtomicUsize::new(0),
            close_all: watch::Sender::new(()),
        });
        let state = Mutex::new(listen(socket, &shared)?);
        Ok(Self { address, shared, state })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn reset(&self) {
        self.shared.accepted.store(0, Ordering::SeqCst);
    }

    /// Closes the connections that are open now, soon; new ones are accepted.
    pub(crate) fn close_connections(&self) {
        self.shared.close_all.send_replace(());
    }

    /// Refuses connects and has closed every connection when this returns.
    pub(crate) async fn down(&self) {
        let mut state = self.state.lock().await;
        if let State::Up { stop, accepting } = std::mem::replace(&mut *state, State::Down(None)) {
            // Both fail only when the task is gone already, with its runtime.
            let _ = stop.send(());
            let _ = accepting.await;
            *state = State::Down(bind(self.address).ok());
        }
    }

    /// Listens again on the same port.
    pub(crate) async fn up(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        if let State::Down(socket) = &mut *state {
            let socket = socket.take().map_or_else(|| bind(self.address), Ok)?;
            *state = listen(socket, &self.shared)?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Aborting works from any thread, and when the runtime is gone it does nothing.
        if let State::Up { accepting, .. } = self.state.get_mut() {
            accepting.abort();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A port of the loopback interface, not listening yet; a free one if it is 0.
pub(crate) fn reserve(port: u16) -> io::Result<TcpSocket> {
    Place::default().reserve(port)
}

/// Where a server listens, and under which name or address clients reach it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: IpAddr,
    pub(crate) host: String,
}

impl Default for Place {
    fn default() -> Self {
        Self { address: Ipv4Addr::LOCALHOST.into(), host: "localhost".to_owned() }
    }
}

impl Place {
    /// A port, not listening yet; a free one if it is 0.
    pub(crate) fn reserve(&self, port: u16) -> io::Result<TcpSocket> {
        bind(SocketAddr::from((self.address, port)))
    }

    /// Host and port, as URLs have them.
    pub(crate) fn authority(&self, port: u16) -> String {
        match self.host.parse() {
            Ok(address) => SocketAddr::new(address, port).to_string(),
            Err(_) => format!("{}:{port}", self.host),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that the port can be bound again while connections of its former life linger. On Windows the
    // option means something else, and is not needed.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(socket: TcpSocket, shared: &Arc<Shared>) -> io::Result<State> {
    let listener = socket.listen(1024)?;
    let (stop, stopped) = oneshot::channel();
    let accepting = tokio::spawn(accept(listener, Arc::clone(shared), stopped));
    Ok(State::Up { stop, accepting })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {} // frees what is left of a finished one
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Such as too many open files: they are fewer later.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, Arc::clone(&shared), shared.close_all.subscribe()));
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, mut close_all: watch::Receiver<()>) {
    let connection = Connection::default();
    let speak = async {
        if !shared.handler.serves_next_connection() {
            hang(&stream).await;
            return;
        }
        let _ = stream.set_nodelay(true);
        match &shared.tls {
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    speak_http(stream, &shared, &connection).await;
                }
            }
            None => speak_http(stream, &shared, &connection).await,
        }
    };
    tokio::select! {
        () = speak => {}
        () = connection.closing() => {}
        _ = close_all.changed() => {}
    }
}

async fn speak_http<S>(stream: S, shared: &Shared, connection: &Connection)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let responding = Arc::clone(&shared.handler).respond(request, connection.clone());
        let clock = shared.clock.clone();
        async move {
            let mut response = responding.await;
            // Without it, the HTTP library sets one by the machine's clock.
            if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(clock.now().system_time())) {
                response.headers_mut().entry(DATE).or_insert(date);
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    // What goes wrong on a connection is for the client to notice.
    let stream = TokioIo::new(ScriptedStream::new(stream, connection.clone()));
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
}

/// Listens without a word until the other side gives up.
async fn hang(stream: &TcpStream) {
    let mut ignored = [0; 1024];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut ignored) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
