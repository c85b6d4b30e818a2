//! A token grows old: who is served what, and who fetches the next one.

use std::time::Duration;

use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, ServiceExt};
use tower_idaas::clock::ManualClock;
use tower_idaas::{Error, ErrorKind, Idaas};
use tower_idaas_testing::Behaviour;

use crate::handles::{
    ADVISORY, Api, FRESH, LIFE, MANDATORY, Outcome, ScriptedSource, fed_by, get, seconds, send, settle, text,
    turned_by_hand, unavailable, until,
};

const URL: &str = "https://api.example.com/";

#[tokio::test]
async fn a_fresh_token_is_served_without_a_request() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    let first = text(idaas.token().await)?;
    clock.advance(FRESH);
    for _ in 0..100 {
        assert_eq!(text(idaas.token().await)?, first);
    }
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn when_due_all_are_served_at_once_and_one_refresh_runs_behind_them() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    let first = text(idaas.token().await)?;
    clock.advance(ADVISORY);
    issuer.set_behaviour(Behaviour::Hold);
    for _ in 0..100 {
        assert_eq!(text(assert_ready!(task::spawn(idaas.token()).poll()))?, first);
    }
    issuer.wait_for_held(1).await;
    for _ in 0..100 {
        assert_eq!(text(assert_ready!(task::spawn(idaas.token()).poll()))?, first);
    }
    assert_eq!(issuer.token_requests(), 2);
    issuer.release();
    until(|| idaas.peek().is_some_and(|token| token.expose_token() != first)).await;
    assert_ne!(text(idaas.token().await)?, first);
    assert_eq!(issuer.token_requests(), 2);
    Ok(())
}

#[tokio::test]
async fn a_layer_that_holds_on_to_the_old_token_gets_the_new_one_too() -> Outcome {
    let (_issuer, idaas, clock) = turned_by_hand().await?;
    let api = Api::default();
    let mut client = idaas.layer().layer(api.clone());
    for _ in 0..5 {
        send(&mut client, get(URL)).await?.await?;
    }
    let first = api.take().pop().flatten();
    let first_text = text(idaas.token().await)?;
    clock.advance(ADVISORY);
    send(&mut client, get(URL)).await?.await?;
    assert_eq!(api.take(), [first]);
    until(|| idaas.peek().is_some_and(|token| token.expose_token() != first_text)).await;
    send(&mut client, get(URL)).await?.await?;
    assert_eq!(api.take_token(), text(idaas.token().await)?);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn when_due_and_the_issuer_is_down_all_are_served_and_it_gets_one_request_per_step() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let first = text(idaas.token().await)?;
    clock.advance(ADVISORY);
    source.fail_with(unavailable());
    let mut requested_at = Vec::new();
    for tenth in 0..1_200 {
        let before = source.fetches();
        for _ in 0..5 {
            assert_eq!(text(assert_ready!(task::spawn(idaas.token()).poll()))?, first);
        }
        settle().await;
        match source.fetches() - before {
            0 => {}
            1 => requested_at.push(tenth),
            more => panic!("{more} requests at once"),
        }
        clock.advance(Duration::from_millis(100));
    }
    // In two minutes: after 0, 1, 3, 7, 15, 31, 63, 95 seconds, each pause shortened by half at most.
    assert!((7..=14).contains(&requested_at.len()), "{requested_at:?}");
    Ok(())
}

/// A token that is overdue, with its issuer's state to be chosen.
async fn overdue(source: &ScriptedSource) -> Result<(Idaas, ManualClock), Error> {
    let (idaas, clock) = fed_by(source).map_err(|error| Error::new(ErrorKind::Runtime, error.to_string()))?;
    idaas.prefetch().await?;
    clock.advance(MANDATORY);
    Ok((idaas, clock))
}

#[tokio::test]
async fn when_overdue_requests_wait_for_the_next_token() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = overdue(&source).await?;
    source.hold();
    let mut callers: Vec<_> = (0..100).map(|_| task::spawn(idaas.token())).collect();
    for caller in &mut callers {
        assert_pending!(caller.poll());
    }
    source.wait_for_fetches(2).await;
    source.release();
    for caller in callers {
        assert_eq!(text(caller.await)?, "token-2");
    }
    assert_eq!(source.fetches(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn when_overdue_and_the_fetch_fails_the_old_token_still_serves() -> Outcome {
    for failure in [unavailable(), Error::new(ErrorKind::Refused, "no, said the test")] {
        let source = ScriptedSource::new();
        let (idaas, clock) = overdue(&source).await?;
        source.fail_with(failure);
        assert_eq!(text(idaas.token().await)?, "token-1");
        // The circuit is open now: no request is sent, and no caller waits.
        let fetches = source.fetches();
        for _ in 0..100 {
            assert_eq!(text(assert_ready!(task::spawn(idaas.token()).poll()))?, "token-1");
        }
        assert_eq!(source.fetches(), fetches);
        clock.advance(seconds(10));
        source.recover();
        assert_ne!(text(idaas.token().await)?, "token-1");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn when_overdue_and_the_issuer_hangs_the_old_token_serves_within_two_seconds() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = overdue(&source).await?;
    source.hold();
    let start = tokio::time::Instant::now();
    assert_eq!(text(idaas.token().await)?, "token-1");
    assert!(start.elapsed() <= Duration::from_millis(2_001));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_overdue_token_dies_while_it_waits_goes_on_waiting_for_the_next() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = overdue(&source).await?;
    source.hold();
    let mut caller = task::spawn(idaas.token());
    assert_pending!(caller.poll());
    clock.advance(LIFE - MANDATORY);
    tokio::time::sleep(seconds(3)).await;
    assert_pending!(caller.poll());
    source.release();
    assert_eq!(text(caller.await)?, "token-2");
    Ok(())
}

#[tokio::test]
async fn an_expired_token_never_leaves_by_either_clock() -> Outcome {
    let expire: [fn(&ManualClock); 3] = [
        |clock| clock.advance(LIFE),
        // The machine was suspended, or its clock mended.
        |clock| clock.set_wall_ahead(LIFE),
        // The wall clock was set back: the monotonic one still counts.
        |clock| {
            clock.set_wall_back(2 * LIFE);
            clock.advance(LIFE);
        },
    ];
    for expire in expire {
        let source = ScriptedSource::new();
        let (idaas, clock) = fed_by(&source)?;
        let api = Api::default();
        let client = idaas.layer().layer(api.clone());
        client.clone().oneshot(get(URL)).await?;
        assert_eq!(api.take_token(), "token-1");
        expire(&clock);
        assert!(idaas.peek().is_none());
        client.clone().oneshot(get(URL)).await?;
        assert_eq!(api.take_token(), "token-2");
    }
    Ok(())
}

#[tokio::test]
async fn a_waiter_that_wakes_late_does_not_get_a_token_that_expired_meanwhile() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let mut caller = task::spawn(idaas.token());
    assert_pending!(caller.poll());
    until(|| idaas.peek().is_some()).await;
    clock.advance(LIFE);
    assert_eq!(text(caller.await)?, "token-2");
    Ok(())
}

#[tokio::test]
async fn a_token_once_found_dead_stays_dead_when_the_clock_is_set_back() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let api = Api::default();
    let mut client = idaas.layer().layer(api.clone());
    for _ in 0..5 {
        send(&mut client, get(URL)).await?.await?; // and so it holds on to the token
    }
    clock.set_wall_ahead(LIFE);
    assert_eq!(text(idaas.token().await)?, "token-2");
    clock.set_wall_back(LIFE);
    api.take();
    send(&mut client, get(URL)).await?.await?;
    assert_eq!(api.take_token(), "token-2");
    Ok(())
}

#[tokio::test]
async fn a_refresh_that_was_replaced_while_it_waited_for_its_turn_sends_nothing() -> Outcome {
    let (source, clock) = (ScriptedSource::new(), ManualClock::new());
    let builder = Idaas::builder().scope("api://a|read").token_source(source.clone()).clock(clock.clone());
    let idaas = builder.max_token_requests_in_flight(2).build()?;
    let first = idaas.token().await?;
    source.hold();
    let others = ["api://b|read", "api://c|read"].map(|scope| {
        let (idaas, scope) = (idaas.clone(), scope.parse().unwrap());
        tokio::spawn(async move { idaas.token_for(&scope).await })
    });
    // Both places are taken.
    source.wait_for_fetches(3).await;
    clock.advance(ADVISORY);
    assert_eq!(text(idaas.token().await)?, "token-1");
    settle().await;
    idaas.invalidate(&first);
    let mut replacing = task::spawn(idaas.token());
    assert_pending!(replacing.poll());
    settle().await;
    source.release();
    assert_eq!(text(replacing.await)?, "token-4");
    for other in others {
        other.await??;
    }
    assert_eq!(source.fetches(), 4);
    Ok(())
}
