//! Connections for the token traffic: DNS, TCP, proxy and TLS under one time-out.

use std::future::ready;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::{Service, service_fn};

use crate::error::{BoxError, BoxFuture};
use crate::transport::failure::{
    ConnectTimeout, HandshakeFailure, ProxyFailure, ResolveFailure, TcpFailure, UnusableProxy,
};
use crate::transport::proxy::{self, Proxies};
use crate::transport::silence::SilenceLimits;
use crate::transport::stream::{BoxIo, Stream};
use crate::transport::tcp;
use crate::transport::tls::Tls;
use crate::transport::tunnel::{self, MAX_SOCKS, TunnelError};

/// Opens connections, each with all its steps within one time-out.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    /// Without it, connections are plain HTTP and use no proxy.
    secure: Option<(Arc<Tls>, Arc<Proxies>)>,
    timeout: Duration,
    silence_limits: SilenceLimits,
}

impl Connector {
    /// `timeout` is that of a connection, `read_timeout` that of a response.
    pub(super) fn new(
        tls: Arc<Tls>,
        proxies: Arc<Proxies>,
        timeout: Duration,
        read_timeout: Duration,
    ) -> Self {
        Self { secure: Some((tls, proxies)), timeout, silence_limits: SilenceLimits::within(read_timeout) }
    }

    /// Plain HTTP to a service on the same host or link. It ignores the proxy variables: through a proxy, the service
    /// would describe the proxy's machine.
    pub(super) fn direct(timeout: Duration, read_timeout: Duration) -> Self {
        Self { secure: None, timeout, silence_limits: SilenceLimits::within(read_timeout) }
    }

    async fn connect(self, destination: Uri, proxy: Option<Intercept>) -> Result<BoxIo, BoxError> {
        let hop = proxy.as_ref().map_or(&destination, Intercept::uri).clone();
        let (timeout, name) = (self.timeout, proxy.as_ref().map(proxy::redacted));
        let way = Arc::new((self, destination, proxy));
        let over_tcp = move |stream| {
            let way = Arc::clone(&way);
            let io: BoxFuture<'static, Result<BoxIo, BoxError>> = Box::pin(async move {
                let (connector, destination, proxy) = &*way;
                connector.over_tcp(Box::new(stream), destination, proxy.as_ref()).await
            });
            io
        };
        let connected = tcp::connect(hop.host().unwrap_or_default(), port(&hop), timeout, over_tcp).await;
        // A proxy that cannot be reached is to blame itself.
        connected.map_err(|cause| match name {
            Some(proxy) if cause.is::<TcpFailure>() || cause.is::<ResolveFailure>() => {
                ProxyFailure { proxy, cause }.into()
            }
            _ => cause,
        })
    }

    /// The rest of the way to the destination: the tunnel through the proxy, if there is one, and TLS.
    async fn over_tcp(
        &self,
        mut io: BoxIo,
        destination: &Uri,
        proxy: Option<&Intercept>,
    ) -> Result<BoxIo, BoxError> {
        if let Some(proxy) = proxy {
            let opened = self.tunnel(io, proxy, destination).await;
            io = opened.map_err(|cause| ProxyFailure { proxy: proxy::redacted(proxy), cause })?;
        }
        match destination.scheme_str() {
            Some("https") => self.encrypt(io, destination).await,
            _ => Ok(io),
        }
    }

    /// A tunnel to the destination, over a connection to the proxy.
    pub(super) async fn tunnel(
        &self,
        mut io: BoxIo,
        proxy: &Intercept,
        destination: &Uri,
    ) -> Result<BoxIo, BoxError> {
        let to_proxy = proxy.uri();
        match to_proxy.scheme_str() {
            Some("socks5" | "socks5h") => return socks(io, proxy, destination).await,
            Some("https") => io = self.encrypt(io, to_proxy).await?,
            _ => {}
        }
        let host = destination.host().unwrap_or_default();
        let authority = format!("{host}:{}", port(destination));
        let opened = tunnel::open(&mut io, &authority, proxy.basic_auth()).await;
        opened.map_err(|error| match error {
            TunnelError::Io(kind) => TcpFailure(kind.into()).into(),
            error => BoxError::from(error),
        })?;
        Ok(io)
    }

    async fn encrypt(&self, io: BoxIo, destination: &Uri) -> Result<BoxIo, BoxError> {
        let Some((tls, _)) = &self.secure else {
            return Err("no TLS is set up for this connection".into());
        };
        match handshake(tls.config().await, io, destination).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                tls.check_soon();
                Err(error)
            }
        }
    }
}

/// TLS with the destination.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    io: BoxIo,
    destination: &Uri,
) -> Result<TlsStream<BoxIo>, BoxError> {
    let host = destination.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(host)?.to_owned();
    let connected = TlsConnector::from(config).connect(name, io).await;
    connected.map_err(|cause| HandshakeFailure(cause.into()).into())
}

/// A tunnel through a SOCKS5 proxy (RFC 1928), which resolves the name itself, because it opens the connection.
async fn socks(io: BoxIo, proxy: &Intercept, destination: &Uri) -> Result<BoxIo, BoxError> {
    let mut io = Some(TokioIo::new(io));
    let connected = service_fn(move |_: Uri| {
        ready(io.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let mut socks = SocksV5::new(proxy.uri().clone(), connected);
    let (user, password) = proxy.raw_auth().unwrap_or_default();
    if user.len() + password.len() + destination.host().unwrap_or_default().len() > MAX_SOCKS {
        return Err(TunnelError::TooLongForSocks.into());
    }
    if let Some((user, password)) = proxy.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    // Ready as soon as the connection is, which is open already.
    let connected = socks.call(destination.clone()).await;
    // Hyper-util's error can only be compared by its words.
    Ok(connected
        .map_err(|error| match error.to_string().contains("io error") {
            true => TunnelError::Closed.into(),
            false => BoxError::from(error),
        })?
        .into_inner())
}

/// The port of the URI, or the default of its scheme.
pub(super) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        Some("socks5" | "socks5h") => 1080,
        _ => 80,
    })
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let proxies = connector.secure.as_ref().map(|(_, proxies)| proxies);
            let proxy = match proxies.and_then(|proxies| proxies.proxy_for(&destination)) {
                Some(Err(fault)) => {
                    let host = destination.host().unwrap_or_default().to_owned();
                    return Err(UnusableProxy { host, fault }.into());
                }
                Some(Ok(proxy)) => Some(proxy),
                None => None,
            };
            let limit = connector.timeout;
            let redacted = proxy.as_ref().map(proxy::redacted);
            let silence_limit = connector.silence_limits.of(&destination);
            let connecting = connector.connect(destination, proxy);
            let Ok(connected) = tokio::time::timeout(limit, connecting).await else {
                return Err(ConnectTimeout { limit, proxy: redacted }.into());
            };
            Ok(TokioIo::new(Stream::new(connected?, silence_limit)))
        })
    }
}
