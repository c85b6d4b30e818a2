//! The built-in client: hyper-util in a Tower service of its own.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;
use tower::Service;

use crate::environment::Environment;
use crate::error::{BoxError, BoxFuture, ConfigFault};
use crate::transport::connector::Connector;
use crate::transport::error::is_stale;
use crate::transport::failure::{MAX_INTERIM, TooManyInterim};
use crate::transport::proxy::Proxies;
use crate::transport::send::{SingleUse, Transport};
use crate::transport::tls::Tls;

pub(super) const USER_AGENT_VALUE: HeaderValue =
    HeaderValue::from_static(concat!("tower-idaas/", env!("CARGO_PKG_VERSION")));

/// Connections are kept for the tokens of other scopes and subjects, not for the next refresh: by then a gateway or a
/// firewall may have dropped one.
const IDLE: Duration = Duration::from_secs(5);

/// The most header fields of a response, and the most bytes of its head.
const MAX_FIELDS: usize = 1024;
const MAX_HEAD: usize = 256 * 1024;

/// What the built-in client is made from.
#[derive(Debug)]
pub(crate) struct BuiltIn<'a> {
    pub(crate) environment: &'a Environment,
    /// PEM text of further certificate authorities.
    pub(crate) root_certificates: &'a [Vec<u8>],
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    /// Where the first requests go, if known.
    pub(crate) destination: Option<&'a Uri>,
}

impl BuiltIn<'_> {
    /// # Errors
    ///
    /// Every fault of the certificate authorities and of TLS, and of a proxy variable if the destination needs it.
    pub(crate) fn transport(&self) -> Result<Transport, Vec<ConfigFault>> {
        let proxies = Proxies::load(self.environment);
        let mut faults = Vec::new();
        if let Some(Err(fault)) = self.destination.and_then(|destination| proxies.proxy_for(destination)) {
            faults.push(fault);
        }
        let tls = Tls::load(self.environment, self.root_certificates);
        let Some(tls) = tls.map_err(|more| faults.extend(more)).ok().filter(|_| faults.is_empty()) else {
            return Err(faults);
        };
        let connector = Connector::new(tls, Arc::new(proxies), self.connect_timeout, self.read_timeout);
        let service = PerRuntime { connector, current: Arc::default() };
        Ok(Transport::new(service, self.connect_timeout, self.read_timeout))
    }
}

/// A transport for the metadata services of clouds: plain HTTP, never through a proxy, and no connection is kept.
pub(crate) fn direct(connect_timeout: Duration, read_timeout: Duration) -> Transport {
    let connector = Connector::direct(connect_timeout, read_timeout);
    Transport::new(Direct(connector), connect_timeout, read_timeout)
}

type HttpClient = Client<Connector, Full<Bytes>>;

/// The clients of one runtime.
#[derive(Clone)]
struct Clients {
    pooled: HttpClient,
    /// Opens a connection for each request.
    unpooled: HttpClient,
}

fn client(connector: Connector, connections_kept: usize) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(connections_kept)
        .http1_max_headers(MAX_FIELDS)
        .http1_max_buf_size(MAX_HEAD)
        // RFC 9112 sections 5.1 and 5.2 say how clients read what old servers send.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .build(connector)
}

/// A client that is built anew when the runtime changes: pooled connections live on the runtime that
/// opened them, and a handle may outlive it.
#[derive(Clone)]
struct PerRuntime {
    connector: Connector,
    current: Arc<Mutex<Option<(Id, Clients)>>>,
}

impl PerRuntime {
    fn clients(&self) -> Clients {
        let runtime = Handle::current().id();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((owner, clients)) if *owner == runtime => clients.clone(),
            _ => {
                let clients = Clients {
                    pooled: client(self.connector.clone(), usize::MAX),
                    unpooled: client(self.connector.clone(), 0),
                };
                *current = Some((runtime, clients.clone()));
                clients
            }
        }
    }
}

impl Service<Request<Full<Bytes>>> for PerRuntime {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        request.headers_mut().entry(USER_AGENT).or_insert(USER_AGENT_VALUE);
        let clients = self.clients();
        let single_use = request.extensions_mut().remove::<SingleUse>();
        Box::pin(until_flooded(request, move |request| async move {
            match &single_use {
                None => {
                    let again = request.clone();
                    match clients.pooled.request(request).await {
                        Err(cause) if is_stale(&cause) => Ok(clients.unpooled.request(again).await?),
                        response => Ok(response?),
                    }
                }
                Some(single_use) if single_use.needs_connection() => {
                    Ok(clients.unpooled.request(request).await?)
                }
                Some(single_use) => {
                    let response = clients.pooled.request(request).await;
                    if response.as_ref().is_err_and(|cause| is_stale(cause)) {
                        single_use.give_up();
                    }
                    Ok(response?)
                }
            }
        }))
    }
}

/// A client that keeps no connection: the next request may come an hour later, and on another runtime.
#[derive(Clone, Debug)]
struct Direct(Connector);

impl Service<Request<Full<Bytes>>> for Direct {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let client = client(self.0.clone(), 0);
        Box::pin(until_flooded(request, move |request| async move { Ok(client.request(request).await?) }))
    }
}

/// The response, unless too many interim ones come before it: hyper itself skips any number of them.
async fn until_flooded<F>(
    mut request: Request<Full<Bytes>>,
    send: impl FnOnce(Request<Full<Bytes>>) -> F,
) -> Result<Response<Incoming>, BoxError>
where
    F: Future<Output = Result<Response<Incoming>, BoxError>>,
{
    let flooded = Arc::new(Notify::new());
    let (seen, flood) = (AtomicUsize::new(0), Arc::clone(&flooded));
    hyper::ext::on_informational(&mut request, move |_| {
        if seen.fetch_add(1, Ordering::Relaxed) == MAX_INTERIM {
            flood.notify_one();
        }
    });
    let (mut response, mut flooded) = (pin!(send(request)), pin!(flooded.notified()));
    poll_fn(|context| match response.as_mut().poll(context) {
        Poll::Ready(response) => Poll::Ready(response),
        Poll::Pending => flooded.as_mut().poll(context).map(|()| Err(TooManyInterim.into())),
    })
    .await
}

impl fmt::Debug for PerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRuntime").finish_non_exhaustive()
    }
}
