//! Lives that issuers announce, sane and otherwise.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_test::{assert_pending, task};
use tower_idaas::clock::ManualClock;
use tower_idaas::{ErrorKind, Idaas};
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::handles::{
    LIFE, MANDATORY, Outcome, ScriptedSource, client_of, fed_by, settle, text, turned_by_hand,
};

/// Answers announce this life and nothing else about it.
fn announcing(life: Value) -> Behaviour {
    Behaviour::change(move |answer| {
        answer.remove("expires_at");
        answer.insert("expires_in".into(), life.clone());
    })
}

#[tokio::test]
async fn tokens_that_live_for_seconds_or_minutes_are_cached() -> Outcome {
    for life in [json!(5), json!(300), json!("300"), json!(1e18)] {
        let (issuer, idaas, clock) = turned_by_hand().await?;
        issuer.set_behaviour(announcing(life.clone()));
        for _ in 0..20 {
            idaas.token().await?;
            clock.advance(Duration::from_millis(100));
        }
        assert_eq!(issuer.token_requests(), 1, "expires_in: {life}");
    }
    Ok(())
}

/// Such a token serves the requests that waited for it; another would be like it.
#[tokio::test]
async fn a_request_that_waits_for_a_token_without_a_life_is_sent_with_it_and_ends() -> Outcome {
    let source = ScriptedSource::new();
    source.set_life(Duration::ZERO);
    let (idaas, _clock) = fed_by(&source)?;
    let api = tower::service_fn(|request: http::Request<String>| async move {
        let sent = request.headers().get(http::header::AUTHORIZATION).cloned();
        Ok::<_, tower_idaas::BoxError>(http::Response::new(sent))
    });
    let client = tower::Layer::layer(&idaas.layer(), api);
    let request = http::Request::get("https://api.example.com/").body(String::new())?;
    let sent =
        tokio::time::timeout(Duration::from_secs(5), tower::ServiceExt::oneshot(client, request)).await??;
    assert_eq!(sent.into_body().ok_or("no header")?, "Bearer token-1");
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[tokio::test]
async fn a_token_of_unknown_life_is_cached_for_a_minute() -> Outcome {
    for change in [announcing(Value::Null), announcing(json!("soon"))] {
        let (issuer, idaas, clock) = turned_by_hand().await?;
        issuer.set_behaviour(change);
        idaas.token().await?;
        clock.advance(Duration::from_secs(30));
        idaas.token().await?;
        assert_eq!(issuer.token_requests(), 1);
        clock.advance(Duration::from_secs(30));
        idaas.token().await?;
        assert_eq!(issuer.token_requests(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_arrives_expired_serves_its_waiters_and_no_other_request() -> Outcome {
    for life in [json!(0), json!(-1), json!(-1e300)] {
        let issuer = TestIdaas::start().await?;
        let idaas = client_of(&issuer).build()?;
        issuer.set_behaviour(Behaviour::Hold);
        let mut callers: Vec<_> = (0..10).map(|_| task::spawn(idaas.token())).collect();
        for caller in &mut callers {
            assert_pending!(caller.poll());
        }
        issuer.wait_for_held(1).await;
        issuer.release_with(announcing(life.clone()));
        let mut tokens = Vec::new();
        for caller in callers {
            tokens.push(text(caller.await)?);
        }
        tokens.dedup();
        assert_eq!((tokens.len(), issuer.token_requests()), (1, 1), "expires_in: {life}");
        assert!(idaas.peek().is_none());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_always_dead_on_arrival_make_no_fetch_loop() -> Outcome {
    let source = ScriptedSource::new();
    source.set_life(Duration::ZERO);
    let (idaas, _clock) = fed_by(&source)?;
    idaas.token().await?;
    let mut callers: Vec<_> = (0..50).map(|_| task::spawn(idaas.token())).collect();
    for _ in 0..100 {
        for caller in &mut callers {
            assert_pending!(caller.poll());
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(source.fetches(), 1, "the next one is due in a second");
    for caller in callers {
        caller.await?;
    }
    assert_eq!(source.fetches(), 2);
    Ok(())
}

#[tokio::test]
async fn tokens_shorter_than_a_second_are_fetched_once_a_second_at_most() -> Outcome {
    let source = ScriptedSource::new();
    source.set_life(Duration::from_millis(5));
    let idaas = Idaas::builder().scope("api://a|read").token_source(source.clone()).build()?;
    let eager = async {
        while idaas.token().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(200), eager).await.is_err());
    // One, and one more for each second that a busy machine makes of it.
    assert!(source.fetches() <= 5, "{} requests", source.fetches());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_token_dead_on_arrival_does_not_displace_a_live_one() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    idaas.prefetch().await?;
    clock.advance(MANDATORY);
    source.set_life(Duration::ZERO);
    assert_eq!(text(idaas.token().await)?, "token-1");
    assert!(idaas.peek().is_some());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_while_it_is_fetched_goes_to_no_request_and_another_is_fetched() -> Outcome {
    let suspended = |clock: &ManualClock| clock.set_wall_ahead(2 * LIFE);
    let slow = |clock: &ManualClock| clock.advance(2 * LIFE);
    for meanwhile in [suspended, slow] as [fn(&ManualClock); 2] {
        let source = ScriptedSource::new();
        let (idaas, clock) = fed_by(&source)?;
        source.hold();
        let mut callers: Vec<_> = (0..10).map(|_| task::spawn(idaas.token())).collect();
        for caller in &mut callers {
            assert_pending!(caller.poll());
        }
        source.wait_for_fetches(1).await;
        meanwhile(&clock);
        source.release();
        for caller in callers {
            assert_eq!(text(caller.await)?, "token-2");
        }
        assert_eq!(source.fetches(), 2);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_slower_than_its_tokens_live_makes_an_error_and_no_fetch_loop() -> Outcome {
    let source = ScriptedSource::new();
    source.set_life(Duration::from_secs(3));
    let (idaas, clock) = fed_by(&source)?;
    let asking = tokio::spawn({
        let idaas = idaas.clone();
        async move { text(idaas.token().await) }
    });
    for fetches in 1..=2 {
        source.hold();
        tokio::time::timeout(Duration::from_secs(10), source.wait_for_fetches(fetches)).await?;
        clock.advance(Duration::from_secs(4));
        source.release();
        settle().await;
    }
    let error = asking.await?.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    assert!(error.to_string().contains("expired on the way"), "{error}");
    assert_eq!(source.fetches(), 2);
    Ok(())
}
