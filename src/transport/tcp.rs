//! TCP to a host by any of its addresses (RFC 8305): one address that drops packets does not take the time of the
//! others.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

use crate::error::BoxError;
use crate::transport::failure::{NoIoDriver, ResolveFailure};

/// A further address is tried after this time, or as soon as an attempt has failed (RFC 8305 section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A DNS response may hold hundreds of addresses; each attempt takes a socket.
const MAX_ADDRESSES: usize = 32;

/// Connects to the host, as [`http::Uri::host`] returns it. `within` is the time after which the caller gives up: each
/// address gets a share of it.
///
/// # Errors
///
/// [`ResolveFailure`], or the I/O error that best explains why no address accepts connections.
pub(super) async fn connect(host: &str, port: u16, within: Duration) -> Result<TcpStream, BoxError> {
    let addresses = addresses(host, port).await?;
    let stream = race(&alternating(addresses), within).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Address literals and `localhost` bypass the resolver, which could lead them to another machine: requests to them
/// carry credentials in plain text.
pub(super) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveFailure> {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()]);
    }
    match lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(cause) => Err(ResolveFailure(cause.into())),
    }
}

/// The addresses without repeats, their families in turn (RFC 8305 section 4).
pub(super) fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let leading_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (leading, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == leading_is_ipv6);
    let (mut leading, mut other) = (leading.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    while ordered.len() < MAX_ADDRESSES {
        let next = [leading.next(), other.next()];
        if next == [None, None] {
            break;
        }
        for address in next.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
    ordered.truncate(MAX_ADDRESSES);
    ordered
}

/// The first connection that is made. Attempts run side by side; the others are dropped with it.
pub(super) async fn race(addresses: &[SocketAddr], within: Duration) -> io::Result<TcpStream> {
    // The last address of a long list keeps half of the time.
    let share = within / u32::try_from(2 * addresses.len()).unwrap_or(u32::MAX).max(1);
    let delay = ATTEMPT_DELAY.min(share);
    let mut attempts = JoinSet::new();
    let mut failure: Option<io::Error> = None;
    let mut left = addresses.iter().copied();
    loop {
        if let Some(address) = left.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let next_attempt = async {
            match left.len() {
                0 => pending().await,
                _ => tokio::time::sleep(delay).await,
            }
        };
        let ended = first_of(attempts.join_next(), next_attempt).await;
        match ended {
            Some(Some(Ok(Ok(stream)))) => return Ok(stream),
            // A refusal comes from the host itself; most other failures concern one network.
            Some(Some(Ok(Err(cause)))) => {
                if failure.is_none() || cause.kind() == io::ErrorKind::ConnectionRefused {
                    failure = Some(cause);
                }
            }
            // With an I/O driver, no attempt panics. Tokio offers no query for it.
            Some(Some(Err(cause))) if cause.is_panic() => return Err(io::Error::other(NoIoDriver)),
            Some(Some(Err(_))) | None => {}
            Some(None) => return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())),
        }
    }
}

/// The output of the first future, unless the second one ends before.
pub(super) async fn first_of<T>(
    first: impl Future<Output = T>,
    second: impl Future<Output = ()>,
) -> Option<T> {
    let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
    std::future::poll_fn(|context| {
        if let std::task::Poll::Ready(value) = first.as_mut().poll(context) {
            return std::task::Poll::Ready(Some(value));
        }
        second.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::error::ErrorKind;
    use crate::transport::error::explain;

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

    #[tokio::test]
    async fn an_address_that_drops_packets_does_not_take_the_time_of_those_of_its_family() {
        let hole = Blackhole::dig().await;
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let good = server.local_addr().unwrap();
        for holes in [1, 2, 5] {
            let mut addresses = vec![hole.address; holes];
            addresses.push(good);
            let stream = tokio::time::timeout(WITHIN, race(&addresses, WITHIN)).await.unwrap().unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
        }
    }

    #[tokio::test]
    async fn a_short_time_is_shared_among_many_addresses() {
        let hole = Blackhole::dig().await;
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut addresses = vec![hole.address; MAX_ADDRESSES - 1];
        addresses.push(server.local_addr().unwrap());
        let within = Duration::from_secs(1);
        tokio::time::timeout(within, race(&addresses, within)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_refused_address_hands_over_at_once_and_is_reported_when_there_is_no_other() {
        let (_taken, refused) = refusing().await;
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addresses = [refused, refused, server.local_addr().unwrap()];
        let within = Duration::from_secs(60);
        tokio::time::timeout(ATTEMPT_DELAY, race(&addresses, within)).await.unwrap().unwrap();

        let error = race(&[refused, refused], within).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(race(&[], within).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn a_runtime_that_cannot_open_connections_is_called_so() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cause = runtime.block_on(connect("127.0.0.1", 9, WITHIN)).unwrap_err();
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
}
