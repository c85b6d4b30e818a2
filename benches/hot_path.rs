//! What a request with a live token costs, beside tower-http's constant header on the same service.
//!
//! `cargo bench --bench hot_path` measures each row with criterion and then, in interleaved rounds, prints the
//! table of ratios that the README quotes. `cargo bench --bench hot_path -- ratios` prints the table alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::cell::Cell;
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::Criterion;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use tower::{Layer, Service};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_idaas::{BoxFuture, Error, Idaas, Scope, TokenResponse, TokenSource};

thread_local! {
    /// Where the inner service leaves the request, so that the next round can use it again.
    static SPARE: Cell<Option<Request<()>>> = const { Cell::new(None) };
}

/// The inner service: takes the request and does nothing with it.
#[derive(Clone)]
struct Nothing;

/// Makes the response when polled, as the future of a real client does.
struct Answering;

impl Future for Answering {
    type Output = Result<Response<()>, Infallible>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Response::new(())))
    }
}

impl Service<Request<()>> for Nothing {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        SPARE.set(Some(request));
        Answering
    }
}

#[derive(Debug)]
struct Issuer;

impl TokenSource for Issuer {
    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async { Ok(TokenResponse::bearer(&text())?.with_expires_in(Duration::from_secs(86_400))) })
    }
}

/// As long as the access tokens of IDaaS are.
fn text() -> String {
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

fn warm() -> Idaas {
    let idaas = Idaas::builder().token_source(Issuer).scope("api://orders|.all").build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(idaas.warm()).unwrap();
    idaas
}

/// What is compared.
trait Contestant: Service<Request<()>, Response = Response<()>> + Clone + Send {}
impl<S> Contestant for S where S: Service<Request<()>, Response = Response<()>> + Clone + Send {}

fn constant() -> impl Contestant {
    let mut value = HeaderValue::try_from(format!("Bearer {}", text())).unwrap();
    value.set_sensitive(true);
    SetRequestHeaderLayer::overriding(AUTHORIZATION, value).layer(Nothing)
}

/// One request through the service and back, ready for the next.
#[inline]
fn round<S: Contestant>(service: &mut S, request: Request<()>) -> Request<()> {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => black_box(response),
        _ => unreachable!("the inner service answers at once"),
    };
    let mut request = SPARE.take().unwrap();
    black_box(request.headers_mut().remove(AUTHORIZATION));
    request
}

/// How the service is used.
#[derive(Clone, Copy)]
enum Shape {
    /// One service, used again and again.
    Kept,
    /// A clone of the service for each request, the usual habit with Tower clients.
    Cloned,
}

fn run<S: Contestant>(service: &mut S, shape: Shape, rounds: u64) -> Duration {
    let mut request = request();
    let start = Instant::now();
    for _ in 0..rounds {
        request = match shape {
            Shape::Kept => round(service, request),
            Shape::Cloned => round(&mut service.clone(), request),
        };
    }
    start.elapsed()
}

/// The same on several threads at once, each with a clone of one service; the slowest counts.
fn run_on<S: Contestant>(service: &S, threads: usize, shape: Shape, rounds: u64) -> Duration {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let mut service = service.clone();
                let barrier = &barrier;
                scope.spawn(move || {
                    run(&mut service, shape, 1_000);
                    barrier.wait();
                    run(&mut service, shape, rounds)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).max().unwrap_or_default()
    })
}

const SHAPES: [(&str, Shape, usize); 4] = [
    ("one thread", Shape::Kept, 1),
    ("two threads", Shape::Kept, 2),
    ("a clone per request, one thread", Shape::Cloned, 1),
    ("a clone per request, two threads", Shape::Cloned, 2),
];

fn criterion(idaas: &Idaas) {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, shape, threads) in SHAPES {
        let mut group = criterion.benchmark_group(name);
        let mut bench = |name: &str, run: &dyn Fn(u64) -> Duration| {
            group.bench_function(name, |bencher| bencher.iter_custom(run));
        };
        bench("no layer", &|rounds| run_on(&Nothing, threads, shape, rounds));
        bench("constant header", &|rounds| run_on(&constant(), threads, shape, rounds));
        bench("live token", &|rounds| run_on(&idaas.layer().layer(Nothing), threads, shape, rounds));
    }
    criterion.final_summary();
}

/// Medians of interleaved rounds, so that a drift of the machine meets all rows alike.
fn ratios(idaas: &Idaas) {
    const INTERLEAVED: usize = 41;
    const ROUNDS: u64 = 50_000;
    println!("\n| shape | constant header | live token | ratio |\n|---|---|---|---|");
    for (name, shape, threads) in SHAPES {
        let (constant, token) = (constant(), idaas.layer().layer(Nothing));
        let mut measured = [Vec::new(), Vec::new()];
        for _ in 0..INTERLEAVED {
            measured[0].push(run_on(&constant, threads, shape, ROUNDS));
            measured[1].push(run_on(&token, threads, shape, ROUNDS));
        }
        let [constant, token] = measured.map(|mut times| {
            times.sort_unstable();
            times.get(INTERLEAVED / 2).map_or(f64::NAN, Duration::as_secs_f64) * 1e9 / ROUNDS as f64
        });
        println!("| {name} | {constant:.0} ns | {token:.0} ns | {:.2} |", token / constant);
    }
}

fn main() {
    let idaas = warm();
    let only_ratios = std::env::args().any(|argument| argument == "ratios");
    if !only_ratios {
        criterion(&idaas);
    }
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        ratios(&idaas);
    }
}
