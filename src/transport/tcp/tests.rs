//! Which address a connection is made to, and what is reported when there is none.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::error::ErrorKind;
use crate::transport::error::explain;
use crate::transport::failure::HandshakeFailure;
use crate::transport::tunnel::TunnelError;

const WITHIN: Duration = Duration::from_secs(4);

/// An address that drops packets: the queue of its listener is full, so that the system ignores a SYN.
struct Blackhole {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    async fn dig() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
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
}

async fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// TCP and nothing else.
fn plain(stream: TcpStream) -> BoxFuture<'static, Result<TcpStream, BoxError>> {
    Box::pin(async { Ok(stream) })
}

/// As in a handshake: waits for the first byte of the server.
fn greeted(mut stream: TcpStream) -> BoxFuture<'static, Result<SocketAddr, BoxError>> {
    Box::pin(async move {
        stream.read_u8().await.map_err(|cause| HandshakeFailure(cause.into()))?;
        Ok(stream.peer_addr()?)
    })
}

/// A server that writes this to each connection and closes it, or keeps it and says nothing.
async fn server(greeting: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match greeting {
                Some(greeting) => stream.write_all(greeting).await.unwrap(),
                None => silent.push(stream),
            }
        }
    });
    address
}

fn kind(failure: &BoxError) -> io::ErrorKind {
    failure.downcast_ref::<TcpFailure>().unwrap().0.kind()
}

#[tokio::test]
async fn an_address_that_drops_packets_does_not_take_the_time_of_those_of_its_family() {
    let hole = Blackhole::dig().await;
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let good = server.local_addr().unwrap();
    for holes in [1, 2, 5] {
        let mut addresses = vec![hole.address; holes];
        addresses.push(good);
        let stream = tokio::time::timeout(WITHIN, race(&addresses, WITHIN, plain)).await.unwrap();
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
    }
}

#[tokio::test]
async fn an_address_that_accepts_and_stays_silent_does_not_take_the_time_of_the_others() {
    let (silent, good) = (server(None).await, server(Some(b"!")).await);
    for silent_ones in [1, 3] {
        let mut addresses = vec![silent; silent_ones];
        addresses.push(good);
        let greeted = tokio::time::timeout(WITHIN, race(&addresses, WITHIN, greeted)).await.unwrap();
        assert_eq!(greeted.unwrap(), good);
    }
}

#[tokio::test]
async fn an_address_that_is_slow_after_tcp_is_not_given_up_for_one_that_refuses() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let slow = listener.local_addr().unwrap();
    let (_taken, refused) = refusing().await;
    let within = Duration::from_secs(1);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::time::sleep(within * 2 / 3).await;
        stream.write_all(b"!").await.unwrap();
    });
    let greeted = tokio::time::timeout(WITHIN, race(&[slow, refused], within, greeted)).await.unwrap();
    assert_eq!(greeted.unwrap(), slow);
}

#[tokio::test]
async fn a_host_of_many_addresses_that_takes_several_round_trips_gets_one_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let other = tokio::time::timeout(2 * ATTEMPT_DELAY, listener.accept()).await;
        stream.write_all(b"!").await.unwrap();
        other.is_ok()
    });
    race(&[address; 16], WITHIN, greeted).await.unwrap();
    assert!(!serving.await.unwrap(), "another connection");
}

#[tokio::test]
async fn an_address_that_breaks_off_hands_over_at_once_and_is_what_is_reported_when_there_is_no_other() {
    let (broken, good) = (server(Some(b"")).await, server(Some(b"!")).await);
    let (_taken, refused) = refusing().await;
    let within = Duration::from_secs(60);
    let race = async |addresses: &[SocketAddr]| {
        tokio::time::timeout(WITHIN, race(addresses, within, greeted)).await.unwrap()
    };
    assert_eq!(race(&[broken, good]).await.unwrap(), good);
    for addresses in [[broken, refused], [refused, broken]] {
        assert!(race(&addresses).await.unwrap_err().is::<HandshakeFailure>());
    }
}

#[tokio::test]
async fn what_a_server_responds_is_requested_from_no_other_address() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    let refused = |_: TcpStream| -> BoxFuture<'static, Result<(), BoxError>> {
        Box::pin(async { Err(TunnelError::NotHttp.into()) })
    };
    race(&[address; 3], Duration::from_secs(60), refused).await.unwrap_err();
    let accepted = async {
        let mut connections = 0;
        while tokio::time::timeout(Duration::from_millis(50), server.accept()).await.is_ok() {
            connections += 1;
        }
        connections
    };
    assert_eq!(accepted.await, 1);
}

#[tokio::test]
async fn a_short_time_is_shared_among_many_addresses() {
    let hole = Blackhole::dig().await;
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut addresses = vec![hole.address; MAX_ADDRESSES - 1];
    addresses.push(server.local_addr().unwrap());
    let within = Duration::from_secs(1);
    tokio::time::timeout(within, race(&addresses, within, plain)).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_has_broken_off_makes_the_next_ones_wait_no_longer() {
    let (hole, broken, good) = (Blackhole::dig().await, server(Some(b"")).await, server(Some(b"!")).await);
    let addresses = [broken, hole.address, good];
    // A quarter of it is longer than the test waits.
    let within = Duration::from_secs(60);
    let greeted = tokio::time::timeout(WITHIN, race(&addresses, within, greeted)).await.unwrap();
    assert_eq!(greeted.unwrap(), good);
}

#[tokio::test]
async fn a_refused_address_hands_over_at_once_and_is_reported_when_there_is_no_other() {
    let (_taken, refused) = refusing().await;
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addresses = [refused, refused, server.local_addr().unwrap()];
    let within = Duration::from_secs(60);
    tokio::time::timeout(ATTEMPT_DELAY, race(&addresses, within, plain)).await.unwrap().unwrap();

    let error = race(&[refused, refused], within, plain).await.unwrap_err();
    assert_eq!(kind(&error), io::ErrorKind::ConnectionRefused);
    assert_eq!(kind(&race(&[], within, plain).await.unwrap_err()), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn a_runtime_that_cannot_open_connections_is_called_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cause = runtime.block_on(connect("127.0.0.1", 9, WITHIN, plain)).unwrap_err();
    let error = explain(cause, "https://idaas.example/token");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Runtime, false));
    let text = "no I/O driver; build it with `enable_io()` or `enable_all()`";
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn loopback_is_known_without_a_resolver_and_no_other_name_is() {
    let both = ["[::1]:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap()];
    assert_eq!(addresses("localhost", 80).await.unwrap(), both);
    assert_eq!(addresses("LocalHost", 80).await.unwrap(), both);
    assert_eq!(addresses("[::1]", 80).await.unwrap(), both[..1]);
    assert_eq!(addresses("127.0.0.1", 80).await.unwrap(), both[1..]);
}

#[test]
fn families_alternate_and_repeats_are_dropped() {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let [a, b, c, d] = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(address);
    assert_eq!(alternating(vec![a, b, a, c, d]), [a, d, b, c]);
    assert_eq!(alternating(vec![d, a, b]), [d, a, b]);
    assert_eq!(alternating(vec![]), []);
    let many = (0..=255).map(|last| SocketAddr::from(([10, 0, 0, last], 1))).collect();
    assert_eq!(alternating(many).len(), MAX_ADDRESSES);
    // Of both families, with a repeat, so that their number is odd where it is cut off.
    let more = (0..=255).map(|last| SocketAddr::from(([10, 0, 0, last], 1)));
    assert_eq!(alternating([a, a, b, c].into_iter().chain(more).collect()).len(), MAX_ADDRESSES);
}
