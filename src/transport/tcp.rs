//! Connections to a host by any of its addresses (RFC 8305): one that drops packets, stays silent or breaks connections
//! off does not take the time of the others.

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::error::{BoxError, BoxFuture};
use crate::secret::off_worker::off_worker;
use crate::transport::error::may_differ_by_address;
use crate::transport::failure::{NoIoDriver, ResolveFailure, TcpFailure};

/// A further address is tried after this time, or as soon as an attempt has failed (RFC 8305 section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A DNS response may hold hundreds of addresses; each attempt takes a socket.
const MAX_ADDRESSES: usize = 32;

/// Connects to the host, as [`http::Uri::host`] returns it, and does the rest of what makes a connection: a tunnel, TLS.
/// `within` is the time after which the caller gives up: each address gets a share of it.
///
/// # Errors
///
/// [`ResolveFailure`], or the failure that best explains why no address serves: that of the rest, or [`TcpFailure`].
pub(super) async fn connect<T: Send + 'static>(
    host: &str,
    port: u16,
    within: Duration,
    rest: impl Rest<T>,
) -> Result<T, BoxError> {
    let addresses = addresses(host, port).await?;
    race(&alternating(addresses), within, rest).await
}

/// What follows TCP.
pub(super) trait Rest<T>:
    Fn(TcpStream) -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync + 'static
{
}

impl<T, F> Rest<T> for F where
    F: Fn(TcpStream) -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync + 'static
{
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
    // A resolver that does not respond takes its time, which must not delay the shutdown of the runtime.
    let name = host.to_owned();
    match off_worker(move || (&*name, port).to_socket_addrs()).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(cause)) | Err(cause) => Err(ResolveFailure(cause.into())),
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
///
/// The rest takes several round trips, and a server should get no connection in vain: while an address that has accepted
/// is at it, the next one is tried after a quarter of the time.
pub(super) async fn race<T: Send + 'static>(
    addresses: &[SocketAddr],
    within: Duration,
    rest: impl Rest<T>,
) -> Result<T, BoxError> {
    // The last address of a long list keeps half of the time.
    let share = within / u32::try_from(2 * addresses.len()).unwrap_or(u32::MAX).max(1);
    let delay = ATTEMPT_DELAY.min(share);
    let rest = Arc::new(rest);
    // How many have accepted and have not ended.
    let accepted = Arc::new(AtomicUsize::new(0));
    let mut attempts = JoinSet::new();
    let mut failure: Option<BoxError> = None;
    let mut left = addresses.iter().copied();
    loop {
        if let Some(address) = left.next() {
            let (rest, accepted) = (Arc::clone(&rest), Arc::clone(&accepted));
            attempts.spawn(async move {
                let stream = TcpStream::connect(address).await.map_err(TcpFailure)?;
                stream.set_nodelay(true).map_err(TcpFailure)?;
                accepted.fetch_add(1, Ordering::Relaxed);
                let result = rest(stream).await;
                accepted.fetch_sub(1, Ordering::Relaxed);
                result
            });
        }
        let next_attempt = async {
            if left.len() == 0 {
                return pending().await;
            }
            tokio::time::sleep(delay).await;
            if accepted.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep((within / 4).saturating_sub(delay)).await;
            }
        };
        let ended = first_of(attempts.join_next(), next_attempt).await;
        match ended {
            Some(Some(Ok(Ok(connection)))) => return Ok(connection),
            Some(Some(Ok(Err(cause)))) if !may_differ_by_address(&*cause) => return Err(cause),
            Some(Some(Ok(Err(cause)))) => {
                if failure.as_deref().is_none_or(|known| weight(known) < weight(&*cause)) {
                    failure = Some(cause);
                }
            }
            // What follows TCP holds code of the program, such as its provider of cryptography.
            Some(Some(Err(cause))) if cause.is_panic() && accepted.load(Ordering::Relaxed) > 0 => {
                std::panic::resume_unwind(cause.into_panic());
            }
            // With an I/O driver, TCP does not panic. Tokio offers no query for it.
            Some(Some(Err(cause))) if cause.is_panic() => {
                return Err(TcpFailure(io::Error::other(NoIoDriver)).into());
            }
            Some(Some(Err(_))) | None => {}
            Some(None) => {
                let none = || TcpFailure(io::ErrorKind::AddrNotAvailable.into()).into();
                return Err(failure.unwrap_or_else(none));
            }
        }
    }
}

/// How much a failure explains. What comes after TCP concerns the server itself, and so does a refusal; most other
/// failures concern one network.
fn weight(failure: &(dyn StdError + 'static)) -> u8 {
    match failure.downcast_ref::<TcpFailure>() {
        None => 2,
        Some(TcpFailure(cause)) if cause.kind() == io::ErrorKind::ConnectionRefused => 1,
        Some(_) => 0,
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
