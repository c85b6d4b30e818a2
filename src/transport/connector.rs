//! Connections for the token traffic: DNS, TCP, proxy and TLS under one time-out.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::util::MapErr;
use tower::{Service, ServiceExt};

use crate::error::BoxError;
use crate::error::BoxFuture;
use crate::transport::fault::{ConnectTimeout, HandshakeFailure, ProxyFailure, ResolveFailure};
use crate::transport::proxy::{Proxies, shown};

type Resolver = MapErr<GaiResolver, fn(std::io::Error) -> ResolveFailure>;
type Tcp = HttpConnector<Resolver>;
/// A way to the other side before its own TLS: plain, or inside TLS to a proxy.
type Way = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects straight or through a proxy.
#[derive(Clone, Debug)]
pub(super) struct Router {
    tcp: Tcp,
    to_proxy: HttpsConnector<Tcp>,
    proxies: Arc<Proxies>,
}

/// Everything a connection takes, within one time-out.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    inner: HttpsConnector<Router>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(tls: &ClientConfig, proxies: Arc<Proxies>, timeout: Duration) -> Self {
        let resolver: Resolver = GaiResolver::new().map_err(|cause| ResolveFailure(cause.into()));
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp.clone());
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            // HTTP/1.1 only: a GOAWAY of HTTP/2 carries text of the server's choice, such as an echo of our secret,
            // into errors and logs of `h2`. For a few requests an hour there is nothing to gain from it.
            .enable_http1()
            .wrap_connector(Router { tcp, to_proxy, proxies });
        Self { inner, timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Way>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connecting = self.inner.call(destination);
        let timeout = self.timeout;
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                // The way below has errors of its own types; those of TLS itself come as this one.
                Ok(Err(cause)) if cause.is::<io::Error>() => Err(HandshakeFailure(cause).into()),
                Ok(result) => result,
                Err(_elapsed) => Err(ConnectTimeout(timeout).into()),
            }
        })
    }
}

impl Service<Uri> for Router {
    type Response = Way;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Way, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let Self { tcp, to_proxy, proxies } = self.clone();
        Box::pin(async move {
            match proxies.proxy_for(&destination) {
                None => Ok(tcp.oneshot(destination).await?.into()),
                Some(proxy) => through(&proxy, to_proxy, destination)
                    .await
                    .map_err(|cause| ProxyFailure { proxy: shown(&proxy), cause }.into()),
            }
        })
    }
}

/// A tunnel to the destination (`CONNECT`, RFC 9110 section 9.3.6).
async fn through(
    proxy: &Intercept,
    to_proxy: HttpsConnector<Tcp>,
    destination: Uri,
) -> Result<Way, BoxError> {
    let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
    if let Some(authorization) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(authorization.clone());
    }
    Ok(tunnel.oneshot(destination).await?)
}
