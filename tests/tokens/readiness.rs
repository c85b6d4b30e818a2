//! `poll_ready` is the inner service's, and what it promised is used or given back.

use std::task::{Context, Poll};

use http::{Request, Response};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};
use tower_idaas::{BoxError, ErrorKind, IdaasService, Scope};

use crate::handles::{Api, Body, Outcome, ScriptedSource, fed_by, get, ours, seconds, send, unavailable};

const URL: &str = "https://api.example.com/";

/// Insists, as many services do, that the instance which said it is ready is the one that is called.
#[derive(Debug, Default)]
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        std::future::ready(Ok(Response::new(())))
    }
}

#[tokio::test]
async fn the_instance_that_was_ready_is_the_one_called_whether_it_waits_for_a_token_or_not() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let mut client = idaas.layer().layer(Strict::default());
    for _ in 0..3 {
        for _ in 0..3 {
            send(&mut client, get(URL)).await?.await?;
        }
        clock.advance(seconds(2_000));
    }
    // Several on their way at once, all from one service.
    source.hold();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(send(&mut client, get(URL)).await?);
    }
    source.release();
    for response in waiting {
        response.await?;
    }
    Ok(())
}

#[tokio::test]
async fn readiness_is_that_of_the_inner_service_and_fetches_nothing() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<()>>();
    let mut client = task::spawn(idaas.layer().layer(service));
    handle.allow(0);
    let mut poll = || client.enter(|context, mut service| service.poll_ready(context));
    assert_pending!(poll());
    handle.allow(1);
    assert_ready_ok!(poll());
    tokio::task::yield_now().await;
    assert_eq!(source.fetches(), 0);
    handle.send_error("broken");
    assert_eq!(assert_ready!(poll()).unwrap_err().to_string(), "broken");
    Ok(())
}

type Limited = IdaasService<ConcurrencyLimit<Api>>;

/// A service of which one may be ready at a time, wrapped.
fn one_at_a_time(source: &ScriptedSource) -> Result<Limited, BoxError> {
    let (idaas, _clock) = fed_by(source)?;
    Ok(idaas.layer().layer(ConcurrencyLimit::new(Api::default(), 1)))
}

fn poll_ready(client: &mut Limited) -> Poll<Result<(), BoxError>> {
    task::spawn(()).enter(|context, _| Service::<Request<Body>>::poll_ready(client, context))
}

#[tokio::test]
async fn a_request_that_waits_for_a_token_holds_no_permit_and_takes_one_when_it_leaves() -> Outcome {
    let source = ScriptedSource::new();
    source.hold();
    let mut client = one_at_a_time(&source)?;
    let mut waiting = task::spawn(send(&mut client, get(URL)).await?);
    assert_pending!(waiting.poll());
    let mut other = client.clone();
    assert_ready_ok!(poll_ready(&mut other));
    source.wait_for_fetches(1).await;
    source.release();
    crate::handles::settle().await;
    assert_pending!(waiting.poll(), "the other one has the permit");
    drop(other);
    waiting.await?;
    assert_ready_ok!(poll_ready(&mut client));
    Ok(())
}

#[tokio::test]
async fn a_request_dropped_while_it_waits_for_a_permit_leaves_it_to_others() -> Outcome {
    let source = ScriptedSource::new();
    let mut client = one_at_a_time(&source)?;
    let waiting = send(&mut client, get(URL)).await?;
    let mut other = client.clone();
    assert_ready_ok!(poll_ready(&mut other));
    let mut waiting = task::spawn(waiting);
    while source.fetches() == 0 {
        assert_pending!(waiting.poll());
        tokio::task::yield_now().await;
    }
    crate::handles::settle().await;
    assert_pending!(waiting.poll());
    drop(waiting);
    drop(other);
    assert_ready_ok!(poll_ready(&mut client));
    Ok(())
}

/// Keeps callers waiting, once the test sets that, after their call.
#[derive(Clone, Debug)]
struct Slow {
    open: tokio::sync::watch::Receiver<bool>,
    api: Api,
}

impl Service<Request<Body>> for Slow {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if *self.open.borrow() {
            return Poll::Ready(Ok(()));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.api.call(request)
    }
}

#[tokio::test]
async fn a_token_that_dies_while_the_inner_service_gets_ready_is_not_sent() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let (gate, open) = tokio::sync::watch::channel(true);
    let api = Api::default();
    let mut client = idaas.layer().layer(Slow { open, api: api.clone() });
    let mut waiting = task::spawn(send(&mut client, get(URL)).await?);
    gate.send_replace(false);
    while idaas.peek().is_none() {
        assert_pending!(waiting.poll());
        tokio::task::yield_now().await;
    }
    assert_pending!(waiting.poll());
    clock.advance(seconds(2_000));
    gate.send_replace(true);
    waiting.await?;
    assert_eq!(api.take_token(), "token-2");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_for_want_of_a_token_gives_its_permit_back() -> Outcome {
    let source = ScriptedSource::new();
    source.fail_with(unavailable());
    let mut client = one_at_a_time(&source)?;
    // First the fetch fails, then the failure is remembered: two ways, one promise.
    for _ in 0..2 {
        let mut response = task::spawn(send(&mut client, get(URL)).await?);
        let error = (&mut response).await.unwrap_err();
        assert_eq!(ours(&error).kind(), ErrorKind::Unavailable);
        // Neither the finished future nor the service that was called holds on to anything.
        let mut other = client.clone();
        assert_ready_ok!(poll_ready(&mut other));
        drop(response);
    }
    Ok(())
}

#[tokio::test]
async fn a_request_refused_for_its_destination_gives_its_permit_back() -> Outcome {
    let mut client = one_at_a_time(&ScriptedSource::new())?;
    let error = send(&mut client, get("http://api.example.com/")).await?.await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Destination);
    assert_ready_ok!(poll_ready(&mut client.clone()));
    Ok(())
}

#[tokio::test]
async fn a_buffer_works_inside_and_outside_and_a_dropped_request_frees_its_place() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.hold();
    let inside = idaas.layer().layer(Buffer::new(Strict::default(), 1));
    let mut waiting = task::spawn(inside.clone().oneshot(get(URL)));
    assert_pending!(waiting.poll());
    drop(waiting);
    let served = tokio::spawn(inside.oneshot(get(URL)));
    source.wait_for_fetches(1).await;
    source.release();
    served.await??;
    let outside = Buffer::new(idaas.layer().layer(Strict::default()), 1);
    for _ in 0..5 {
        outside.clone().oneshot(get(URL)).await?;
    }
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[tokio::test]
async fn a_probe_alone_makes_an_idle_handle_ready_again_and_never_waits() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    for night in 1..=3 {
        source.hold();
        for _ in 0..5 {
            assert!(!idaas.is_ready(), "nothing has come yet");
        }
        source.wait_for_fetches(night).await;
        source.release();
        crate::handles::settle().await;
        assert!(idaas.is_ready());
        clock.advance(seconds(100_000));
    }
    assert_eq!(source.fetches(), 3);
    // A token that is due is renewed behind the probe.
    idaas.prefetch().await?;
    clock.advance(crate::handles::ADVISORY);
    assert!(idaas.is_ready());
    source.wait_for_fetches(5).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn probes_reach_a_failing_issuer_no_more_often_than_requests_would() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    source.fail_with(unavailable());
    for _ in 0..600 {
        assert!(!idaas.is_ready());
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        clock.advance(std::time::Duration::from_millis(100));
    }
    assert!((3..=20).contains(&source.fetches()), "{}", source.fetches());
    Ok(())
}

#[test]
fn a_probe_outside_a_runtime_starts_nothing() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    assert!(!idaas.is_ready());
    assert_eq!(source.fetches(), 0);
    Ok(())
}

#[tokio::test]
async fn a_probe_of_another_scope_reports_that_scope_alone_and_makes_it_ready() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let stock: Scope = "api://stock|read".parse()?;
    idaas.prefetch().await?;
    assert!(idaas.is_ready());
    source.hold();
    for _ in 0..5 {
        assert!(!idaas.is_ready_for(&stock), "nothing has come yet");
    }
    source.wait_for_fetches(2).await;
    source.release();
    crate::handles::settle().await;
    assert!(idaas.is_ready_for(&stock));
    assert_eq!(source.fetches(), 2);
    clock.advance(seconds(100_000));
    source.fail_with(unavailable());
    assert!(!idaas.is_ready_for(&stock));
    Ok(())
}
