//! What attaches the header, row by row.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;
use tower::{Layer, Service};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxFuture, Error, Idaas, Scope, SubjectToken, TokenResponse, TokenSource};

use crate::service::{Carrying, Contestant, Nothing, Shape, run_on};

/// Scopes beside the configured one: as many as keep their tokens by default.
const SCOPES: usize = 1_000;

/// Subject tokens whose exchanged tokens are cached.
const SUBJECTS: usize = 1_000;

/// As long as a caller's token may be.
const SUBJECT_LENGTH: usize = 1_024;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    run: Box<dyn Fn((Shape, usize), u64) -> Duration>,
}

impl Row {
    fn new(name: &'static str, service: impl Contestant + Sync + 'static, request: Request<()>) -> Self {
        Self { name, run: Box::new(move |shape, rounds| run_on(&service, &request, shape, rounds)) }
    }

    /// How long that many rounds take.
    pub(crate) fn run(&self, shape: (Shape, usize), rounds: u64) -> Duration {
        (self.run)(shape, rounds)
    }
}

/// The rows, the one that the others are compared with first.
pub(crate) fn rows() -> Vec<Row> {
    let idaas = prefetched(Idaas::builder().token_source(Issuer::default()));
    let scopes: Vec<Scope> = (0..SCOPES).map(|n| format!("api://{n}|read").parse().unwrap()).collect();
    runtime().block_on(async {
        for scope in &scopes {
            idaas.token_for(scope).await.unwrap();
        }
        for number in 0..SUBJECTS {
            idaas.exchange(&subject(number)).await.unwrap();
        }
    });
    let mut scoped = request();
    scoped.extensions_mut().insert(scopes[SCOPES / 2].clone());
    let mut exchanged = request();
    exchanged.extensions_mut().insert(subject(SUBJECTS / 2));
    let listed = idaas.layer().allow_origins(["https://*.example.org", "https://api.example.com"]).unwrap();
    vec![
        Row::new("constant header", constant_layer().layer(Nothing), request()),
        Row::new("no layer", Nothing, request()),
        Row::new("live token", idaas.layer().layer(Nothing), request()),
        Row::new("live token, 1 of 1,000 scopes", idaas.layer().layer(Nothing), scoped),
        Row::new("exchanged token, 1 of 1,000", idaas.layer().layer(Nothing), exchanged),
        Row::new("the same for a caller's header", OnBehalf::new(idaas.layer().layer(Nothing)), request()),
        Row::new("live token, for listed origins", listed.layer(Nothing), request()),
        Row::new("by hand", ByHand::new(), request()),
    ]
}

/// The first hop of a request on a caller's behalf: the subject token comes from the header of the request that came
/// in, anew for each one, so its digest is computed anew. All other rows find it computed.
#[derive(Clone)]
struct OnBehalf<S> {
    inner: S,
    inbound: HeaderMap,
}

impl<S> OnBehalf<S> {
    fn new(inner: S) -> Self {
        let bearer = format!("Bearer {}", subject(SUBJECTS / 2).expose_token());
        Self {
            inner,
            inbound: HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(bearer).unwrap())]),
        }
    }
}

impl<S: Service<Request<()>>> Service<Request<()>> for OnBehalf<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        request.extensions_mut().insert(SubjectToken::from_bearer(&self.inbound).unwrap());
        self.inner.call(request)
    }
}

/// The same around an inner service whose future carries its response.
pub(crate) fn carrying() -> Vec<Row> {
    let idaas = prefetched(Idaas::builder().token_source(Issuer::default()));
    vec![
        Row::new("constant header, response carried", constant_layer().layer(Carrying), request()),
        Row::new("no layer, response carried", Carrying, request()),
        Row::new("live token, response carried", idaas.layer().layer(Carrying), request()),
    ]
}

/// A fresh token, and one whose refresh is in flight; by a clock that is set by hand.
pub(crate) fn states() -> Vec<Row> {
    let with_clock = |clock: &ManualClock| {
        let source = Issuer { tokens: AtomicUsize::new(1) };
        prefetched(Idaas::builder().token_source(source).clock(clock.clone()))
    };
    let fresh = with_clock(&ManualClock::new());
    let clock = ManualClock::new();
    let refreshing = with_clock(&clock);
    clock.advance(LIFE * 9 / 10);
    // Begins the refresh, which never ends; it would if its runtime did.
    let runtime = Box::leak(Box::new(runtime()));
    runtime.block_on(refreshing.token()).unwrap();
    vec![
        Row::new("fresh", fresh.layer().layer(Nothing), request()),
        Row::new("a refresh is in flight", refreshing.layer().layer(Nothing), request()),
    ]
}

const LIFE: Duration = Duration::from_secs(86_400);

/// Issues that many tokens, and then never responds.
#[derive(Debug)]
pub(crate) struct Issuer {
    tokens: AtomicUsize,
}

impl Default for Issuer {
    fn default() -> Self {
        Self { tokens: AtomicUsize::new(usize::MAX) }
    }
}

impl TokenSource for Issuer {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async {
            if self.tokens.fetch_sub(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(TokenResponse::bearer(&text())?.with_expires_in(LIFE))
        })
    }

    fn exchange<'a>(
        &'a self,
        _subject: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        self.fetch(scope)
    }
}

fn subject(number: usize) -> SubjectToken {
    SubjectToken::access_token(format!("{number:-<SUBJECT_LENGTH$}"))
}

/// As long as the access tokens of IDaaS are.
pub(crate) fn text() -> String {
    "t".repeat(900)
}

fn request() -> Request<()> {
    let mut request = Request::get("https://api.example.com/v1/orders?id=1");
    for (name, value) in [
        ("accept", "application/json"),
        ("user-agent", "bench/1.0"),
        ("x-request-id", "00000000-0000-0000-0000-000000000000"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("accept-encoding", "gzip"),
    ] {
        request = request.header(name, value);
    }
    request.body(()).unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

pub(crate) fn prefetched(builder: tower_idaas::IdaasBuilder) -> Idaas {
    let idaas = builder.scope("api://orders|.all").build().unwrap();
    runtime().block_on(idaas.prefetch()).unwrap();
    idaas
}

pub(crate) fn constant_layer() -> SetRequestHeaderLayer<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", text())).unwrap();
    value.set_sensitive(true);
    SetRequestHeaderLayer::overriding(AUTHORIZATION, value)
}

/// What people write: a lock, an expiry, a header made for each request.
#[derive(Clone)]
struct ByHand {
    inner: Nothing,
    token: Arc<RwLock<(String, Instant)>>,
}

impl ByHand {
    fn new() -> Self {
        Self { inner: Nothing, token: Arc::new(RwLock::new((text(), Instant::now() + LIFE))) }
    }
}

impl Service<Request<()>> for ByHand {
    type Response = http::Response<()>;
    type Error = tower_idaas::BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        let (token, mut inner) = (Arc::clone(&self.token), self.inner.clone());
        Box::pin(async move {
            let token = token.read().await;
            assert!(Instant::now() < token.1);
            let value = HeaderValue::from_str(&format!("Bearer {}", token.0))?;
            drop(token);
            request.headers_mut().insert(AUTHORIZATION, value);
            Ok(inner.call(request).await?)
        })
    }
}
