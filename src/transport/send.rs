//! One exchange with any Tower HTTP service, within its limits of time and size.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::ACCEPT_ENCODING;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use crate::error::{BoxError, BoxFuture, Error};
use crate::transport::error::explain;
use crate::transport::failure::{MAX_BODY, ReadTimeout};

type AnyBody = UnsyncBoxBody<Bytes, BoxError>;
type AnyService = BoxCloneSyncService<Request<Full<Bytes>>, Response<AnyBody>, BoxError>;

/// Any Tower HTTP service, with the limits that hold for all of them: time and size.
#[derive(Clone)]
pub(crate) struct Transport {
    service: AnyService,
    connect_timeout: Duration,
    read_timeout: Duration,
}

/// Marks a request that must not be sent twice, and records what became of it: the server accepts an assertion or a nonce
/// only once, or opens a session for each.
///
/// Where an idle connection turns out to be stale, the built-in client sends other requests again as they are, although
/// the server may be slow and have received the first: at worst a token is issued that is not used. This one it gives
/// up, and the caller makes a new one, with another assertion or nonce, [on a new connection](Self::on_new_connection).
/// A request that cannot be made anew goes on one from the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct SingleUse {
    was_stale: Arc<AtomicBool>,
    /// Whether the request gets a connection of its own, which cannot be stale.
    #[cfg_attr(not(feature = "transport"), allow(dead_code, reason = "read by the built-in client"))]
    needs_connection: bool,
}

impl SingleUse {
    pub(crate) fn on_new_connection() -> Self {
        Self { needs_connection: true, ..Self::default() }
    }

    pub(crate) fn mark<B>(&self, request: &mut Request<B>) {
        request.extensions_mut().insert(self.clone());
    }

    /// Whether the request was given up because its connection was stale.
    pub(crate) fn was_stale(&self) -> bool {
        self.was_stale.load(Ordering::Relaxed)
    }

    #[cfg(feature = "transport")]
    pub(super) fn give_up(&self) {
        self.was_stale.store(true, Ordering::Relaxed);
    }

    #[cfg(feature = "transport")]
    pub(super) fn needs_connection(&self) -> bool {
        self.needs_connection
    }
}

impl Transport {
    pub(crate) fn new<S, B>(service: S, connect_timeout: Duration, read_timeout: Duration) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = service.map_err(Into::into).map_response(|response: Response<B>| {
            response.map(|body| {
                body.map_frame(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                    .map_err(Into::into)
                    .boxed_unsync()
            })
        });
        Self { service: BoxCloneSyncService::new(service), connect_timeout, read_timeout }
    }

    /// The time-outs for a connection, and for a response.
    #[cfg(feature = "aliyun")]
    pub(crate) fn timeouts(&self) -> (Duration, Duration) {
        (self.connect_timeout, self.read_timeout)
    }

    /// Sends a request and reads the whole response. `endpoint` is the name of the other side in errors.
    ///
    /// # Errors
    ///
    /// The failure of the exchange, distinguished by cause: see [`explain`].
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        endpoint: &str,
    ) -> Result<Response<Bytes>, Error> {
        self.exchange(request).await.map_err(|cause| explain(cause, endpoint))
    }

    /// The read time-out covers headers and body, so that a response that arrives byte by byte ends too. It runs from
    /// when there is a connection; until then, the time-out of the connection counts as well.
    pub(crate) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, BoxError> {
        // No response is decoded here, so none is to be encoded (RFC 9110 section 12.5.3).
        let identity = HeaderValue::from_static("identity");
        request.headers_mut().entry(ACCEPT_ENCODING).or_insert(identity);
        let mut connected = pin!(connected(&mut request));
        let mut response = pin!(response(self.service.clone(), request));
        let mut limit = pin!(tokio::time::sleep(self.connect_timeout.saturating_add(self.read_timeout)));
        let mut reading = false;
        poll_fn(|context| {
            if let Poll::Ready(response) = response.as_mut().poll(context) {
                return Poll::Ready(response);
            }
            if !reading && connected.as_mut().poll(context).is_ready() {
                reading = true;
                limit.set(tokio::time::sleep(self.read_timeout));
            }
            limit.as_mut().poll(context).map(|()| Err(ReadTimeout(self.read_timeout).into()))
        })
        .await
    }
}

async fn response(service: AnyService, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, BoxError> {
    let (head, body) = service.oneshot(request).await?.into_parts();
    // Boxed, because the compiler cannot infer through the type that this future is `Send`.
    let collecting: BoxFuture<'static, Result<_, BoxError>> =
        Box::pin(Limited::new(body, MAX_BODY).collect());
    Ok(Response::from_parts(head, collecting.await?.to_bytes()))
}

/// Resolves when the request has a connection. Only hyper-util's clients report that; for any other service it resolves
/// when the service accepts the request, or never.
#[cfg(feature = "transport")]
fn connected(request: &mut Request<Full<Bytes>>) -> impl Future<Output = ()> + use<> {
    let mut connection = hyper_util::client::legacy::connect::capture_connection(request);
    async move {
        connection.wait_for_connection_metadata().await;
    }
}

#[cfg(not(feature = "transport"))]
fn connected(_request: &mut Request<Full<Bytes>>) -> impl Future<Output = ()> + use<> {
    std::future::pending()
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service: _, connect_timeout, read_timeout } = self;
        f.debug_struct("Transport")
            .field("connect_timeout", connect_timeout)
            .field("read_timeout", read_timeout)
            .finish_non_exhaustive()
    }
}
