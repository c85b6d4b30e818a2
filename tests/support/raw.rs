//! A plain TCP server on the loopback interface, for answers that no HTTP library would give.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with each connection.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Never says a word.
    Silent,
    /// Reads the request, then writes this and closes.
    Says(&'static str),
    /// The same with what may be no text.
    SaysBytes(&'static [u8]),
    /// Writes this at the first byte of the request, and resets the connection without reading more of it.
    SaysUnasked(&'static [u8]),
    /// Reads the request, then writes this with the request's body in place of each `$`, and closes.
    Echoes(&'static str),
    /// Reads the request, then writes the first, and this piece again and again with this pause.
    Drips(&'static str, &'static str, Duration),
    /// Answers the first request of each connection with this, and nothing else that comes on it.
    SaysOnce(&'static str),
    /// The same, and closes the connection when another request comes.
    SaysOnceAndCloses(&'static str),
    /// Reads the request, then resets the connection after half an answer.
    Resets,
}

#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
    cut_off: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl RawServer {
    pub async fn start(manner: Manner) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), manner).await
    }

    pub async fn start_at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let [connections, written, cut_off] = std::array::from_fn(|_| Arc::<AtomicUsize>::default());
        let counts = [&connections, &written, &cut_off].map(Arc::clone);
        let accepting = tokio::spawn(async move {
            let [connections, written, cut_off] = counts;
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, manner, Arc::clone(&written), Arc::clone(&cut_off)));
            }
        });
        Self { address, connections, written, cut_off, accepting }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Gives the address back, and says how many connections there were.
    pub async fn stop(mut self) -> usize {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        self.connections()
    }

    /// The bytes that the other sides took, or their systems for them.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }

    /// Returns when this many connections were closed by the other side in mid-answer; panics if they never are.
    pub async fn wait_for_cut_offs(&self, count: usize) {
        let waiting = async {
            while self.cut_off.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let cut_off = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        assert!(
            cut_off.is_ok(),
            "{} of {count} connections were cut off",
            self.cut_off.load(Ordering::SeqCst)
        );
    }
}

/// A port of the loopback interface that refuses every connection, and that no other socket gets while this lives:
/// it is bound, and does not listen.
#[derive(Debug)]
pub struct RefusingPort(tokio::net::TcpSocket);

impl RefusingPort {
    pub fn take() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self(socket)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

/// An address that drops packets: the queue of its listener is full, so that the system ignores who connects.
#[derive(Debug)]
pub struct Blackhole {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    pub async fn dig(address: SocketAddr) -> Self {
        let socket = match address.is_ipv6() {
            true => tokio::net::TcpSocket::new_v6().unwrap(),
            false => tokio::net::TcpSocket::new_v4().unwrap(),
        };
        socket.bind(address).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            queued.push(stream.unwrap());
        }
        Self { address, _listener: listener, _queued: queued }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn say(stream: &mut TcpStream, answer: &[u8]) {
    let mut request = [0; 16 * 1024];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}

async fn serve(mut stream: TcpStream, manner: Manner, written: Arc<AtomicUsize>, cut_off: Arc<AtomicUsize>) {
    let mut request = [0; 16 * 1024];
    match manner {
        Manner::Silent => while matches!(stream.read(&mut request).await, Ok(1..)) {},
        Manner::Says(answer) => say(&mut stream, answer.as_bytes()).await,
        Manner::SaysBytes(answer) => say(&mut stream, answer).await,
        Manner::SaysUnasked(answer) => {
            let _ = stream.readable().await;
            let _ = stream.write_all(answer).await;
            // Time for it to arrive; with a request unread, closing resets.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Manner::SaysOnce(answer) => {
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            while matches!(stream.read(&mut request).await, Ok(1..)) {}
        }
        Manner::SaysOnceAndCloses(answer) => {
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read(&mut request).await;
        }
        Manner::Echoes(answer) => {
            let mut text = String::new();
            while !text.contains("\r\n\r\n") || text.ends_with("\r\n\r\n") {
                let Ok(length @ 1..) = stream.read(&mut request).await else { break };
                text.push_str(&String::from_utf8_lossy(&request[..length]));
            }
            let body = text.rsplit("\r\n\r\n").next().unwrap_or_default();
            let _ = stream.write_all(answer.replace('$', body).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Manner::Drips(first, piece, pause) => {
            let _ = stream.read(&mut request).await;
            let mut next = first;
            while stream.write_all(next.as_bytes()).await.is_ok() {
                written.fetch_add(next.len(), Ordering::SeqCst);
                next = piece;
                match pause {
                    Duration::ZERO => tokio::task::yield_now().await,
                    pause => tokio::time::sleep(pause).await,
                }
            }
            cut_off.fetch_add(1, Ordering::SeqCst);
        }
        Manner::Resets => {
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access").await;
            // Time for the half to arrive; without lingering, closing resets.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = stream.set_zero_linger();
        }
    }
}
