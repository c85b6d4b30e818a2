//! The built-in client: hyper-util and rustls in a Tower stack of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::{Handle, Id};
use tower::{Service, ServiceBuilder};
use tower_http::set_header::SetRequestHeaderLayer;

use crate::environment::Environment;
use crate::error::ConfigFault;
use crate::transport::connector::Connector;
use crate::transport::proxy::Proxies;
use crate::transport::{Transport, roots};

const USER_AGENT_VALUE: HeaderValue =
    HeaderValue::from_static(concat!("tower-idaas/", env!("CARGO_PKG_VERSION")));

/// Idle connections are kept for the next token of another scope, not for the next life.
const IDLE: Duration = Duration::from_secs(60);

/// What the built-in client is made from.
#[derive(Debug)]
pub(crate) struct BuiltIn<'a> {
    pub(crate) environment: &'a Environment,
    /// PEM text of further certificate authorities.
    pub(crate) root_certificates: &'a [Vec<u8>],
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
}

impl BuiltIn<'_> {
    /// # Errors
    ///
    /// Every fault of the proxy variables and of the certificate authorities.
    pub(crate) fn transport(&self) -> Result<Transport, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let proxies = Proxies::load(self.environment).map_err(|fault| faults.push(fault)).ok();
        let roots = roots::load(self.environment, self.root_certificates);
        let roots = roots.map_err(|more| faults.extend(more)).ok();
        let (Some(proxies), Some(roots)) = (proxies, roots) else {
            return Err(faults);
        };
        let tls = trusting(roots).map_err(|fault| vec![fault])?;
        let connector = Connector::new(&tls, Arc::new(proxies), self.connect_timeout);
        let stack = ServiceBuilder::new()
            .layer(SetRequestHeaderLayer::if_not_present(USER_AGENT, USER_AGENT_VALUE))
            .service(PerRuntime { connector, current: Arc::default() });
        Ok(Transport::new(stack, self.connect_timeout, self.read_timeout))
    }
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, ConfigFault> {
    // The provider by name: the process-wide default is somebody else's to choose.
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| ConfigFault::new("", "TLS cannot be set up").with_source(cause))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

type HttpClient = Client<Connector, Full<Bytes>>;

/// A client that is built anew when the runtime changes: pooled connections live on the runtime that
/// opened them, and a handle may outlive it.
#[derive(Clone)]
struct PerRuntime {
    connector: Connector,
    current: Arc<Mutex<Option<(Id, HttpClient)>>>,
}

impl PerRuntime {
    fn client(&self) -> HttpClient {
        let runtime = Handle::current().id();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((owner, client)) if *owner == runtime => client.clone(),
            _ => {
                let client = Client::builder(TokioExecutor::new())
                    .pool_idle_timeout(IDLE)
                    .pool_timer(TokioTimer::new())
                    .build(self.connector.clone());
                *current = Some((runtime, client.clone()));
                client
            }
        }
    }
}

impl Service<Request<Full<Bytes>>> for PerRuntime {
    type Response = Response<Incoming>;
    type Error = hyper_util::client::legacy::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> ResponseFuture {
        self.client().request(request)
    }
}

impl fmt::Debug for PerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRuntime").finish_non_exhaustive()
    }
}
