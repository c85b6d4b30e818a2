//! What is measured: a service around one that does nothing, and one request that goes through it again and again.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tower::Service;

thread_local! {
    /// Where the inner service leaves the request, so that the next round can use it again.
    static SPARE: Cell<Option<Request<()>>> = const { Cell::new(None) };
}

/// The inner service: takes the request and does nothing with it.
#[derive(Clone)]
pub(crate) struct Nothing;

/// Makes the response when polled, as the future of a real client does.
pub(crate) struct Answering;

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

/// An inner service whose future carries its response: tower's own `ready`, mocks, a `service_fn` with a future that
/// is ready, most test stacks.
#[derive(Clone)]
pub(crate) struct Carrying;

impl Service<Request<()>> for Carrying {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        SPARE.set(Some(request));
        ready(Ok(Response::new(())))
    }
}

/// What is compared.
pub(crate) trait Contestant: Service<Request<()>, Response = Response<()>> + Clone + Send {}
impl<S> Contestant for S where S: Service<Request<()>, Response = Response<()>> + Clone + Send {}

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
pub(crate) enum Shape {
    /// One service, used again and again.
    Kept,
    /// A clone of the service for each request, the usual habit with Tower clients.
    Cloned,
}

pub(crate) const SHAPES: [(&str, Shape, usize); 4] = [
    ("one thread", Shape::Kept, 1),
    ("two threads", Shape::Kept, 2),
    ("a clone per request, one thread", Shape::Cloned, 1),
    ("a clone per request, two threads", Shape::Cloned, 2),
];

fn run<S: Contestant>(service: &mut S, request: &Request<()>, shape: Shape, rounds: u64) -> Duration {
    let mut request = request.clone();
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
pub(crate) fn run_on<S: Contestant>(
    service: &S,
    request: &Request<()>,
    (shape, threads): (Shape, usize),
    rounds: u64,
) -> Duration {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let mut service = service.clone();
                let barrier = &barrier;
                scope.spawn(move || {
                    keep_to_core(number);
                    run(&mut service, request, shape, 1_000);
                    barrier.wait();
                    run(&mut service, request, shape, rounds)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).max().unwrap_or_default()
    })
}

/// Keeps this thread to one core: two that take turns on one tell nothing of what they share.
#[cfg(target_os = "linux")]
fn keep_to_core(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None).unwrap();
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let mut one = CpuSet::new();
    one.set(cores[number % cores.len()]);
    sched_setaffinity(None, &one).unwrap();
}

#[cfg(not(target_os = "linux"))]
fn keep_to_core(_number: usize) {}

/// The middle one.
pub(crate) fn median<T: Copy + PartialOrd>(mut figures: Vec<T>) -> T {
    figures.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap());
    figures[figures.len() / 2]
}
