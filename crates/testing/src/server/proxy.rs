//! An HTTP proxy that tunnels to one port of the loopback interface, whatever host is requested.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::server::listener::ACCEPT_PAUSE;

/// No honest request for a tunnel is larger.
const LARGEST_HEAD: u64 = 64 * 1024;

/// A proxy that responds to `CONNECT` (RFC 9110 section 9.3.6) with any status, for `HTTPS_PROXY` in a client's environment.
///
/// With a status of 2xx the tunnel leads to the one port that [`start`](Self::start) was given, so that clients can reach
/// a server here by a host name of the real service (see [`TestIdaasBuilder::host_name`](crate::TestIdaasBuilder::host_name)).
/// It stops, and its tunnels close, when it is dropped.
///
/// ```
/// # use tower_idaas_testing::{TestIdaas, TestProxy};
/// # #[tokio::main]
/// # async fn main() -> Result<(), tower_idaas::BoxError> {
/// let server = TestIdaas::builder().host_name("idaas.example.com").start().await?;
/// let proxy = TestProxy::start(server.port()).await?;
/// let environment = server.environment();
/// environment.set("HTTPS_PROXY", proxy.url());
/// let endpoint = server.token_endpoint().replace("localhost", "idaas.example.com");
/// let idaas = server.handle().environment(environment).token_endpoint(endpoint).build()?;
///
/// proxy.respond_with("503 Busy", &[("retry-after", "0")]);
/// assert!(idaas.token().await.is_err());
/// assert_eq!(server.token_requests(), 0);
/// # Ok(())
/// # }
/// ```
pub struct TestProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    /// Where tunnels lead.
    port: u16,
    /// The head of each response, to the end of its last line.
    head: Mutex<String>,
    tunnels: Mutex<Vec<Tunnel>>,
}

/// A tunnel that a client requested of a [`TestProxy`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tunnel {
    /// Host and port, as they came; the request line if it was no `CONNECT`.
    pub target: String,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

impl fmt::Debug for Tunnel {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("target", &self.target)
            .field("authorized", &self.authorization.is_some())
            .finish()
    }
}

impl TestProxy {
    /// Starts a proxy on a free port of the loopback interface, on the Tokio runtime of the caller. Its tunnels lead to
    /// this port.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub async fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { port, head: Mutex::default(), tunnels: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        let proxy = Self { address, shared, accepting };
        proxy.respond_with("200 OK", &[]);
        Ok(proxy)
    }

    /// Responds to each `CONNECT` from now on with this status and reason, `"407 Proxy Authentication Required"` for
    /// example, and these headers. Default: `200 OK`.
    pub fn respond_with(&self, status: &str, headers: &[(&str, &str)]) {
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        *lock(&self.shared.head) = format!("HTTP/1.1 {status}\r\n{}\r\n", lines.collect::<String>());
    }

    /// `http://127.0.0.1:port`, for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same with a user and a password in it.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    /// The tunnels that were requested, in order, whatever became of them.
    pub fn tunnels(&self) -> Vec<Tunnel> {
        lock(&self.shared.tunnels).clone()
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for TestProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestProxy").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the tunnels with it.
    let mut tunnels = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = tunnels.join_next() => {} // frees what is left of a finished one
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                tunnels.spawn(tunnel(client, Arc::clone(&shared)));
            }
        }
    }
}

/// What goes wrong in a tunnel is for the client to notice.
async fn tunnel(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let left = LARGEST_HEAD.saturating_sub(head.len() as u64);
        if (&mut client).take(left).read_until(b'\n', &mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let request = lines.next().unwrap_or_default();
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let authorization = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim().to_owned())
    });
    let tunnel = Tunnel { target: target.unwrap_or(request).to_owned(), authorization };
    lock(&shared.tunnels).push(tunnel);
    let response = lock(&shared.head).clone();
    client.write_all(response.as_bytes()).await?;
    if response.starts_with("HTTP/1.1 2") {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.port)).await?;
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
