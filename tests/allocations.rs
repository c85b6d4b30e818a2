//! A request with a live token allocates nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tower::{Layer, Service};
use tower_idaas::clock::ManualClock;
use tower_idaas::{
    BoxFuture, Error, ErrorKind, Idaas, IdaasService, Scope, SubjectToken, TokenResponse, TokenSource,
};

/// Gives the request back as the response's body: allocates nothing itself.
#[derive(Clone)]
struct GiveBack;

impl<R> Service<R> for GiveBack {
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        ready(Ok(Response::new(request)))
    }
}

/// Issues a token for each scope once and never answers again.
#[derive(Debug, Default)]
struct Once(Mutex<Vec<Scope>>);

impl TokenSource for Once {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async {
            let served = self.0.lock().unwrap().contains(scope);
            if served {
                std::future::pending::<()>().await;
            }
            self.0.lock().unwrap().push(scope.clone());
            Ok(TokenResponse::bearer(&"t".repeat(900))?.with_expires_in(Duration::from_secs(1200)))
        })
    }
}

fn call(service: &mut IdaasService<GiveBack>, request: Request<()>) -> Request<()> {
    let mut context = Context::from_waker(Waker::noop());
    assert!(Service::<Request<()>>::poll_ready(service, &mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => {
            let mut request = response.into_body();
            assert!(request.headers_mut().remove(AUTHORIZATION).is_some(), "left without a token");
            request
        }
        _ => panic!("a hit is served at once"),
    }
}

fn request() -> Request<()> {
    let mut request = Request::get("https://api.example.com/orders");
    for name in ["accept", "user-agent", "x-request-id", "traceparent", "accept-encoding"] {
        request = request.header(name, "value");
    }
    request.body(()).unwrap()
}

/// A live token, with the clock to age it.
async fn prefetched() -> (IdaasService<GiveBack>, ManualClock, Idaas) {
    let clock = ManualClock::new();
    let source = Once::default();
    let idaas = Idaas::builder().token_source(source).scope("api://orders|.all").clock(clock.clone());
    let idaas = idaas.build().unwrap();
    idaas.prefetch().await.unwrap();
    (idaas.layer().layer(GiveBack), clock, idaas)
}

/// What a hundred calls in a row allocate.
fn allocations<R>(request: R, mut call: impl FnMut(R) -> R) -> u64 {
    // What a thread allocates once in its life is not a request's.
    let mut spare = Some(call(request));
    let calls = || (0..100).for_each(|_| spare = spare.take().map(&mut call));
    allocation_counter::measure(calls).count_total
}

#[tokio::test]
async fn a_hit_allocates_nothing_when_the_service_is_kept() {
    let (mut service, ..) = prefetched().await;
    assert_eq!(allocations(request(), |request| call(&mut service, request)), 0);
}

#[tokio::test]
async fn a_hit_allocates_nothing_when_the_service_is_cloned_for_each_request() {
    let (service, ..) = prefetched().await;
    assert_eq!(allocations(request(), |request| call(&mut service.clone(), request)), 0);
}

#[tokio::test]
async fn a_hit_allocates_nothing_while_a_refresh_is_under_way() {
    let (mut service, clock, _idaas) = prefetched().await;
    clock.advance(Duration::from_secs(900));
    // The first request starts the refresh, which never ends; the ones after it are as cheap as ever.
    assert_eq!(allocations(request(), |request| call(&mut service, request)), 0);
}

#[tokio::test]
async fn a_hit_allocates_nothing_on_two_threads_at_once() {
    let (service, ..) = prefetched().await;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut service = service.clone();
            scope.spawn(move || {
                assert_eq!(allocations(request(), |request| call(&mut service, request)), 0);
            });
        }
    });
}

#[tokio::test]
async fn a_hit_allocates_nothing_for_scopes_of_the_requests_own_as_many_as_keep_their_tokens() {
    let (mut service, _clock, idaas) = prefetched().await;
    let mut requests = Vec::new();
    for number in 0..1_000 {
        let scope: Scope = format!("api://{number}|read").parse().unwrap();
        idaas.token_for(&scope).await.unwrap();
        let mut scoped = request();
        // Parsed anew, so that it is not found by its address.
        scoped.extensions_mut().insert(scope.as_str().parse::<Scope>().unwrap());
        requests.push(scoped);
    }
    for scoped in requests {
        assert_eq!(allocations(scoped, |request| call(&mut service, request)), 0);
    }
}

#[tokio::test]
async fn a_hit_allocates_nothing_with_a_list_of_origins_wherever_the_request_goes() {
    let (_service, _clock, idaas) = prefetched().await;
    let origins = ["https://*.example.org", "https://[::1]:8443", "https://api.example.com"];
    let layer = idaas.layer().allow_origins(origins).unwrap();
    let mut service = layer.layer(GiveBack);
    assert_eq!(allocations(request(), |request| call(&mut service, request)), 0);

    let mut service = layer.without_token_elsewhere().layer(GiveBack);
    let mut elsewhere = request();
    *elsewhere.uri_mut() = http::Uri::from_static("https://other.example.com/orders");
    let without_token = |request| {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(response)) => response.into_body(),
            _ => panic!("it is served at once"),
        }
    };
    assert_eq!(allocations(elsewhere, without_token), 0);
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_hit_allocates_nothing_on_a_request_of_reqwests_with_or_without_a_list_of_origins() {
    let (_service, _clock, idaas) = prefetched().await;
    let origins = ["https://*.example.org", "https://[::1]:8443", "https://api.example.com"];
    for layer in [idaas.layer(), idaas.layer().allow_origins(origins).unwrap()] {
        let mut service = layer.layer(GiveBack);
        let call = |request: reqwest::Request| {
            let mut context = Context::from_waker(Waker::noop());
            let mut request = match pin!(service.call(request)).poll(&mut context) {
                Poll::Ready(Ok(response)) => response.into_body(),
                _ => panic!("a hit is served at once"),
            };
            assert!(request.headers_mut().remove(AUTHORIZATION).is_some(), "left without a token");
            request
        };
        let request = reqwest::Request::try_from(request().map(|()| reqwest::Body::default())).unwrap();
        assert_eq!(allocations(request, call), 0);
    }
}

/// A gateway has a client for each tenant. What they have in common, such as the authorities, they share.
#[cfg(feature = "transport")]
#[test]
fn one_more_handle_takes_little_memory() {
    const AUTHORITIES: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("roots.pem");
    std::fs::write(&bundle, (0..AUTHORITIES).map(authority).collect::<String>()).unwrap();
    let environment = tower_idaas::environment::ManualEnvironment::from_iter([("SSL_CERT_FILE", &bundle)]);
    let build = |number: usize| {
        Idaas::builder()
            .instance_id("idaas_1")
            .client_id(format!("app_{number}"))
            .issuer("https://issuer.example")
            .token_endpoint("https://issuer.example/token")
            .scope("api://x|read")
            .authenticator(tower_idaas::authn::ClientSecretPost::new(tower_idaas::SecretSource::value(
                "not-a-real-secret".to_owned(),
            )))
            .environment(environment.clone())
            .build()
            .unwrap()
    };
    let mut handles = vec![build(0), build(1)];
    let one_more = allocation_counter::measure(|| handles.push(build(2)));
    assert!(one_more.bytes_current < 20 * 1024, "{one_more:?}");
    // With authorities of its own it would allocate for each of them.
    assert!(one_more.count_total < 5 * AUTHORITIES as u64, "{one_more:?}");
}

#[cfg(feature = "transport")]
fn authority(number: usize) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new([format!("authority {number}")]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().pem()
}

/// Exchanges each `good…` token for one of this length, and refuses the rest.
#[derive(Debug)]
struct Exchanger {
    length: usize,
}

impl TokenSource for Exchanger {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async { Ok(TokenResponse::bearer("own")?.with_expires_in(Duration::from_secs(1200))) })
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        _scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async {
            if !subject.expose_token().starts_with("good") {
                return Err(Error::new(ErrorKind::Refused, "no, said the test"));
            }
            Ok(TokenResponse::bearer(&"t".repeat(self.length))?.with_expires_in(Duration::from_secs(1200)))
        })
    }
}

fn exchanging(length: usize) -> Idaas {
    Idaas::builder().token_source(Exchanger { length }).scope("api://orders|.all").build().unwrap()
}

/// A subject token of this length.
fn subject(kind: &str, number: usize, length: usize) -> SubjectToken {
    SubjectToken::access_token(format!("{kind}-{number}-{}", "s".repeat(length)))
}

#[tokio::test]
async fn a_hit_of_an_exchange_allocates_nothing_among_a_thousand() {
    let idaas = exchanging(900);
    let mut service = idaas.layer().layer(GiveBack);
    let mut requests = Vec::new();
    for number in 0..1_000 {
        idaas.exchange(&subject("good", number, 1024)).await.unwrap();
        let mut exchanged = request();
        // Made anew, as for each request that comes in.
        exchanged.extensions_mut().insert(subject("good", number, 1024));
        requests.push(exchanged);
    }
    for exchanged in requests {
        assert_eq!(allocations(exchanged, |request| call(&mut service, request)), 0);
    }
}

/// The bytes that are held when these exchanges have been made, and what came of them.
fn held_after(idaas: &Idaas, subjects: impl Iterator<Item = SubjectToken>) -> (i64, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut good = 0;
    let held = allocation_counter::measure(|| {
        runtime.block_on(async {
            for subject in subjects {
                good += usize::from(idaas.exchange(&subject).await.is_ok());
            }
        });
    });
    (held.bytes_current, good)
}

#[test]
fn ten_thousand_refused_subject_tokens_hold_less_than_32_mib_though_they_have_more_than_300() {
    let idaas = exchanging(900);
    let longest = SubjectToken::MAX_LENGTH - 20;
    let (held, good) = held_after(&idaas, (0..10_000).map(|number| subject("bad", number, longest)));
    assert_eq!(good, 0);
    assert!(held < 32 << 20, "{} KiB", held >> 10);
}

#[test]
fn ten_thousand_exchanged_tokens_of_4_kib_hold_no_more_than_the_bytes_allowed_and_no_subject_token() {
    let idaas = exchanging(4096);
    let (held, good) = held_after(&idaas, (0..10_000).map(|number| subject("good", number, 8192)));
    assert_eq!(good, 10_000);
    let (held, allowed) = (held >> 20, 64);
    assert!((allowed / 2..allowed * 5 / 4).contains(&held), "{held} MiB");
}
