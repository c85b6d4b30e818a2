//! Tokens kept fresh without requests.

use tokio::runtime::Handle;
use tower_idaas::{ErrorKind, Idaas};

use crate::handles::{
    ADVISORY, MANDATORY, Outcome, ScriptedSource, fed_by, seconds, settle, unavailable, until,
};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn held(idaas: &Idaas) -> Option<String> {
    idaas.peek().map(|token| token.expose_token().to_owned())
}

#[tokio::test]
async fn a_guarded_token_is_refreshed_without_requests() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let _guard = idaas.keep_fresh()?;
    until(|| held(&idaas).as_deref() == Some("token-1")).await;
    for renewal in 2..5 {
        settle().await;
        clock.advance(ADVISORY);
        until(|| held(&idaas) == Some(format!("token-{renewal}"))).await;
    }
    assert_eq!(source.fetches(), 4);
    Ok(())
}

#[tokio::test]
async fn another_scope_is_kept_fresh_by_itself() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let _guard = idaas.keep_fresh_for(&"api://b|read".parse()?)?;
    source.wait_for_fetches(1).await;
    settle().await;
    clock.advance(ADVISORY);
    source.wait_for_fetches(2).await;
    assert!(idaas.peek().is_none());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failing_issuer_gets_requests_at_the_pace_of_its_circuit_breaker_and_the_token_is_back_when_it_is()
-> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let _guard = idaas.keep_fresh()?;
    until(|| idaas.peek().is_some()).await;
    source.fail_with(unavailable());
    settle().await;
    clock.advance(MANDATORY);
    let before = source.fetches();
    for _ in 0..600 {
        // Time for the attempts of one fetch.
        tokio::time::sleep(seconds(2)).await;
        clock.advance(seconds(1));
    }
    let requests = source.fetches() - before;
    assert!((20..=60).contains(&requests), "{requests} in ten minutes");
    source.recover();
    for _ in 0..40 {
        // Time for the attempts of one fetch.
        tokio::time::sleep(seconds(2)).await;
        clock.advance(seconds(1));
    }
    until(|| idaas.peek().is_some()).await;
    Ok(())
}

#[tokio::test]
async fn dropping_the_guard_stops_it() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let guard = idaas.keep_fresh()?;
    until(|| idaas.peek().is_some()).await;
    drop(guard);
    until(|| tasks() == 0).await;
    clock.advance(ADVISORY);
    settle().await;
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[tokio::test]
async fn dropping_the_handle_stops_it_too() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let _guard = idaas.keep_fresh()?;
    until(|| idaas.peek().is_some()).await;
    settle().await;
    drop(idaas);
    clock.advance(seconds(30));
    until(|| tasks() == 0).await;
    Ok(())
}

#[tokio::test]
async fn an_invalidated_token_is_replaced_within_half_a_minute() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let _guard = idaas.keep_fresh()?;
    until(|| idaas.peek().is_some()).await;
    settle().await;
    idaas.invalidate(&idaas.token().await?);
    clock.advance(seconds(30));
    until(|| held(&idaas).as_deref() == Some("token-2")).await;
    Ok(())
}

#[test]
fn outside_a_runtime_it_is_an_error_and_the_guard_may_be_dropped_anywhere() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    assert_eq!(idaas.keep_fresh().unwrap_err().kind(), ErrorKind::Runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.block_on(async { idaas.keep_fresh() })?;
    drop(runtime);
    drop(guard);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn tokens_without_a_life_are_fetched_twice_a_minute_by_a_guard() -> Outcome {
    let source = ScriptedSource::new();
    source.set_life(seconds(0));
    let (idaas, clock) = fed_by(&source)?;
    let _guard = idaas.keep_fresh()?;
    for _ in 0..1_200 {
        settle().await;
        tokio::time::sleep(seconds(1)).await;
        clock.advance(seconds(1));
    }
    let fetches = source.fetches();
    assert!((30..=41).contains(&fetches), "{fetches} in twenty minutes");
    Ok(())
}
