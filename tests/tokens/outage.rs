//! The issuer is gone for long while the load stays.

use std::task::Poll;
use std::time::Duration;

use tokio_test::task;
use tower_idaas::{BoxError, Error, ErrorKind, Idaas, Scope};

use crate::handles::{Outcome, ScriptedSource, fed_by, seconds, settle, unavailable};

/// Requests that the issuer gets in each minute of an hour of failures, ten callers a step.
async fn requests_a_minute(failure: Error, step: Duration, minutes: u32) -> Result<Vec<u64>, Error> {
    let source = ScriptedSource::new();
    let (idaas, clock) =
        fed_by(&source).map_err(|error| Error::new(ErrorKind::Runtime, error.to_string()))?;
    source.fail_with(failure);
    let mut counts = Vec::new();
    let steps = 60_000 / step.as_millis();
    for _ in 0..minutes {
        let before = source.fetches();
        for _ in 0..steps {
            let mut callers: Vec<_> = (0..10).map(|_| task::spawn(idaas.token())).collect();
            for caller in &mut callers {
                // Now, all at once; whether refused already or waiting, the end is the same.
                if let Poll::Ready(token) = caller.poll() {
                    assert!(token.is_err());
                }
            }
            // One that came first waited for the fetch that it started, if any was due.
            assert!(idaas.token().await.is_err());
            clock.advance(step);
        }
        counts.push(source.fetches() - before);
    }
    Ok(counts)
}

#[tokio::test(start_paused = true)]
async fn a_dead_issuer_under_load_gets_twenty_requests_in_the_first_minute_and_then_four_a_minute() -> Outcome
{
    let counts = requests_a_minute(unavailable(), Duration::from_millis(100), 15).await?;
    assert!(counts[0] <= 20 && counts[0] >= 3, "{counts:?}");
    assert!(counts[1..].iter().all(|count| (1..=4).contains(count)), "{counts:?}");
    let counts = requests_a_minute(unavailable(), seconds(1), 60).await?;
    assert!(counts[0] <= 20, "{counts:?}");
    assert!(counts[1..].iter().all(|count| (1..=4).contains(count)), "{counts:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refusing_issuer_under_load_gets_one_request_in_two_and_a_half_seconds_at_most() -> Outcome {
    let refusal = Error::new(ErrorKind::Refused, "no, said the test");
    let counts = requests_a_minute(refusal, Duration::from_millis(100), 5).await?;
    assert!(counts.iter().all(|count| (12..=24).contains(count)), "{counts:?}");
    Ok(())
}

fn scopes(count: usize) -> Result<Vec<Scope>, BoxError> {
    (0..count).map(|number| Ok(format!("api://a{number}|read").parse()?)).collect()
}

/// All scopes at once; how many of the callers got a token.
async fn request_all(idaas: &Idaas, scopes: &[Scope]) -> usize {
    let callers = scopes.iter().cloned().map(|scope| {
        let idaas = idaas.clone();
        tokio::spawn(async move { idaas.token_for(&scope).await.is_ok() })
    });
    let mut served = 0;
    for caller in callers.collect::<Vec<_>>() {
        served += usize::from(caller.await.unwrap_or(false));
    }
    served
}

#[tokio::test(start_paused = true)]
async fn sixty_four_scopes_send_a_dead_issuer_no_more_requests_than_one_and_all_recover_within_a_step()
-> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let scopes = scopes(64)?;
    source.fail_with(unavailable());
    let mut counts = Vec::new();
    for _ in 0..5 {
        let before = source.fetches();
        for _ in 0..120 {
            assert_eq!(request_all(&idaas, &scopes).await, 0);
            clock.advance(Duration::from_millis(500));
        }
        counts.push(source.fetches() - before);
    }
    assert!(counts[0] <= 20 && counts[0] >= 3, "{counts:?}");
    assert!(counts[1..].iter().all(|count| (1..=4).contains(count)), "{counts:?}");

    source.recover();
    clock.advance(seconds(32));
    assert_eq!(request_all(&idaas, &scopes).await, scopes.len());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn scopes_requested_for_the_first_time_send_a_dead_issuer_no_more_requests() -> Outcome {
    for failure in [unavailable(), Error::new(ErrorKind::InvalidResponse, "a page of regrets")] {
        let source = ScriptedSource::new();
        let (idaas, clock) = fed_by(&source)?;
        source.fail_with(failure);
        let mut scopes = scopes(5 * 120)?.into_iter();
        let mut counts = Vec::new();
        for _ in 0..5 {
            let before = source.fetches();
            for scope in scopes.by_ref().take(120) {
                assert_eq!(request_all(&idaas, &[scope]).await, 0);
                clock.advance(Duration::from_millis(500));
            }
            counts.push(source.fetches() - before);
        }
        assert!(counts[0] <= 20 && counts[0] >= 3, "{counts:?}");
        assert!(counts[1..].iter().all(|count| (1..=4).contains(count)), "{counts:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hiccup_while_sixty_four_scopes_are_cold_fails_no_request() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let scopes = scopes(64)?;
    source.hold();
    let asking = {
        let (idaas, scopes) = (idaas.clone(), scopes.clone());
        tokio::spawn(async move { request_all(&idaas, &scopes).await })
    };
    source.wait_for_fetches(8).await;
    source.fail_with(unavailable());
    source.release();
    settle().await;
    source.recover();
    assert_eq!(asking.await?, scopes.len());
    assert!(source.fetches() <= 64 + 10, "{}", source.fetches());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_scopes_renewals_do_not_wait_for_the_trouble_of_another() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let scopes = scopes(2)?;
    let held = idaas.token_for(&scopes[0]).await?;
    source.fail_with(unavailable());
    assert!(idaas.token_for(&scopes[1]).await.is_err());
    clock.advance(seconds(900));
    assert_eq!(idaas.token_for(&scopes[0]).await?.expose_token(), held.expose_token());
    Ok(())
}
