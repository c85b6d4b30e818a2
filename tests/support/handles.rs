//! What the tests share: a handle for a test IDaaS, one for a scripted source, and clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::Service;
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxError, Error, ErrorKind, Idaas, IdaasBuilder, Token};
pub use tower_idaas_testing::ScriptedSource;
use tower_idaas_testing::TestIdaas;

pub type Outcome = Result<(), BoxError>;

pub const LIFE: Duration = Duration::from_secs(1200);
/// Ages of a token of that life, jitter considered.
pub const FRESH: Duration = Duration::from_secs(600);
pub const ADVISORY: Duration = Duration::from_secs(900);
pub const MANDATORY: Duration = Duration::from_secs(1150);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A handle's builder with everything it needs to get tokens from the issuer.
pub fn client_of(issuer: &TestIdaas) -> IdaasBuilder {
    issuer.handle()
}

/// An issuer and a handle that follow one clock.
pub async fn turned_by_hand() -> Result<(TestIdaas, Idaas, ManualClock), BoxError> {
    let clock = ManualClock::new();
    let issuer = TestIdaas::builder().clock(clock.clone()).token_life(LIFE).start().await?;
    let idaas = client_of(&issuer).clock(clock.clone()).build()?;
    Ok((issuer, idaas, clock))
}

/// A handle whose tokens come from the scripted source, with a clock to turn.
pub fn fed_by(source: &ScriptedSource) -> Result<(Idaas, ManualClock), BoxError> {
    let clock = ManualClock::new();
    let idaas = Idaas::builder().scope("api://a|read").token_source(source.clone()).clock(clock.clone());
    Ok((idaas.build()?, clock))
}

/// A failure that passes.
pub fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "busy, said the test")
}

/// Returns once the condition holds: for what ends behind the scenes, with no event of its own.
pub async fn until(condition: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("in vain");
}

/// Lets tasks that are ready to run do so, on a runtime of one thread.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub type Body = Empty<Bytes>;
pub type Http = Client<HttpConnector, Body>;

/// A real client; requests share one connection, so that a thousand of them do not need a thousand sockets.
pub fn http() -> Http {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

pub fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::new()).unwrap()
}

/// Our error in a boxed one.
pub fn ours(error: &BoxError) -> &Error {
    error.downcast_ref().unwrap()
}

/// An inner service that notes each `Authorization` header and responds as the test sets it.
#[derive(Clone, Debug, Default)]
pub struct Api(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    authorizations: Vec<Option<HeaderValue>>,
    status: StatusCode,
}

impl Api {
    pub fn respond_with(&self, status: StatusCode) {
        self.0.lock().unwrap().status = status;
    }

    /// What the requests carried, in order, and forgets it.
    pub fn take(&self) -> Vec<Option<HeaderValue>> {
        std::mem::take(&mut self.0.lock().unwrap().authorizations)
    }

    /// The one token that came since the last look.
    pub fn take_token(&self) -> String {
        match self.take().as_slice() {
            [Some(header)] => header.to_str().unwrap().trim_start_matches("Bearer ").to_owned(),
            other => format!("not one token but {other:?}"),
        }
    }
}

impl Service<Request<Body>> for Api {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut seen = self.0.lock().unwrap();
        seen.authorizations.push(request.headers().get(AUTHORIZATION).cloned());
        let mut response = Response::new(());
        *response.status_mut() = seen.status;
        std::future::ready(Ok(response))
    }
}

pub fn text(token: Result<Token, Error>) -> Result<String, Error> {
    token.map(|token| token.expose_token().to_owned())
}

/// Waits until the service is ready and calls it: the response to come.
pub async fn send<S: Service<Request<Body>>>(
    client: &mut S,
    request: Request<Body>,
) -> Result<S::Future, S::Error> {
    std::future::poll_fn(|context| client.poll_ready(context)).await?;
    Ok(client.call(request))
}
