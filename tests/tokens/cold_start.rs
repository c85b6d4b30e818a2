//! No token yet, and many requests that need one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use http::StatusCode;
use tokio::task::{JoinSet, unconstrained};
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt};
use tower_idaas::ErrorKind;
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::handles::{Api, Outcome, ScriptedSource, client_of, fed_by, get, http, send, settle, text, until};

const URL: &str = "https://api.example.com/";

#[tokio::test]
async fn a_thousand_cold_requests_make_one_token_request() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let api = issuer.api("api://test").plain_http().start().await?;
    let client = client_of(&issuer).build()?.layer().layer(http());
    issuer.set_behaviour(Behaviour::Hold);
    let mut requests = JoinSet::new();
    for _ in 0..1_000 {
        requests.spawn(client.clone().oneshot(get(api.url())));
    }
    issuer.wait_for_held(1).await;
    issuer.release();
    while let Some(response) = requests.join_next().await {
        assert_eq!(response??.status(), StatusCode::OK);
    }
    assert_eq!((api.accepted(), issuer.token_requests()), (1_000, 1));
    Ok(())
}

#[tokio::test]
async fn a_thousand_cold_callers_get_the_same_token_from_one_request() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).build()?;
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let idaas = idaas.clone();
        callers.spawn(async move { text(idaas.token().await) });
    }
    let mut tokens = Vec::new();
    while let Some(token) = callers.join_next().await {
        tokens.push(token??);
    }
    tokens.dedup();
    assert_eq!((tokens.len(), issuer.token_requests()), (1, 1));
    Ok(())
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_thousand_cold_requests_are_each_woken_once_and_served_at_the_first_poll_after_it() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    source.hold();
    let mut client = idaas.layer().layer(Api::default());
    let mut waiting = Vec::new();
    for _ in 0..1_000 {
        // Each is a task of its own in a program, with a budget of its own.
        let mut response = Box::pin(unconstrained(send(&mut client, get(URL)).await?));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        assert!(response.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        waiting.push((response, wakes, waker));
    }
    source.wait_for_fetches(1).await;
    settle().await;
    assert!(
        waiting.iter().all(|(_, wakes, _)| wakes.0.load(Ordering::Relaxed) == 0),
        "no waiter is woken for nothing"
    );
    source.release();
    settle().await;
    for (mut response, wakes, waker) in waiting {
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        let Poll::Ready(answer) = response.as_mut().poll(&mut Context::from_waker(&waker)) else {
            return Err("one poll was not enough".into());
        };
        assert_eq!(answer?.status(), StatusCode::OK);
    }
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[tokio::test]
async fn five_hundred_cancelled_callers_neither_restart_nor_starve_the_fetch() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).build()?;
    issuer.set_behaviour(Behaviour::Hold);
    let mut callers: Vec<_> = (0..1_000).map(|_| task::spawn(idaas.token())).collect();
    for caller in &mut callers {
        assert_pending!(caller.poll());
    }
    issuer.wait_for_held(1).await;
    // The first of them is the one that started it all.
    callers.drain(..500);
    issuer.release();
    for caller in callers {
        caller.await?;
    }
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn five_hundred_cancelled_requests_neither_restart_nor_starve_the_fetch() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let api = issuer.api("api://test").plain_http().start().await?;
    let client = client_of(&issuer).build()?.layer().layer(http());
    issuer.set_behaviour(Behaviour::Hold);
    let mut requests: Vec<_> =
        (0..1_000).map(|_| task::spawn(client.clone().oneshot(get(api.url())))).collect();
    for request in &mut requests {
        assert_pending!(request.poll());
    }
    issuer.wait_for_held(1).await;
    requests.drain(..500);
    issuer.release();
    for request in requests {
        assert_eq!(request.await?.status(), StatusCode::OK);
    }
    assert_eq!((api.accepted(), issuer.token_requests()), (500, 1));
    Ok(())
}

#[tokio::test]
async fn callers_less_patient_than_the_issuer_is_slow_do_not_starve() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).build()?;
    issuer.set_behaviour(Behaviour::Hold);
    for _ in 0..5 {
        let impatient = tokio::time::timeout(Duration::from_millis(10), idaas.token()).await;
        assert!(impatient.is_err(), "the issuer has not responded yet");
    }
    issuer.wait_for_held(1).await;
    issuer.release();
    // No request waits now, and the token comes all the same.
    until(|| idaas.peek().is_some()).await;
    idaas.token().await?;
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn a_wait_that_runs_out_is_an_error_of_its_own_and_leaves_the_fetch_going() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).wait_timeout(Duration::from_millis(20)).build()?;
    issuer.set_behaviour(Behaviour::Hold);
    for _ in 0..3 {
        let error = idaas.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    }
    issuer.wait_for_held(1).await;
    issuer.release();
    until(|| idaas.peek().is_some()).await;
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_never_polled_fetches_nothing() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    drop(idaas.token());
    assert!(idaas.peek().is_none());
    tokio::task::yield_now().await;
    assert_eq!(source.fetches(), 0);
    Ok(())
}

#[tokio::test]
async fn a_hiccup_of_the_issuer_fails_no_request() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).build()?;
    issuer.behave_once(Behaviour::status(StatusCode::BAD_GATEWAY));
    issuer.behave_once(Behaviour::CutMidBody);
    idaas.prefetch().await?;
    assert_eq!(issuer.token_requests(), 3);
    Ok(())
}
