//! Several scopes on one handle.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt};
use tower_idaas::clock::ManualClock;
use tower_idaas::{ConfigError, Error, ErrorKind, Idaas, Scope, Token};
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::handles::{Api, Outcome, ScriptedSource, client_of, fed_by, get, send, text};

const URL: &str = "https://api.example.com/";

/// A handle that keeps the tokens of so many scopes.
fn with_capacity(source: &ScriptedSource, scopes: usize) -> Result<(Idaas, ManualClock), ConfigError> {
    let clock = ManualClock::new();
    let idaas = Idaas::builder().scope("api://a|read").token_source(source.clone()).clock(clock.clone());
    Ok((idaas.scope_capacity(scopes).build()?, clock))
}

fn scope(number: usize) -> Result<Scope, tower_idaas::ConfigError> {
    format!("api://{number}|read").parse()
}

#[tokio::test]
async fn each_scope_has_its_token_and_its_request() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let idaas = client_of(&issuer).build()?;
    issuer.set_behaviour(Behaviour::Hold);
    let mut callers = JoinSet::new();
    for number in 0..200 {
        let (idaas, scope) = (idaas.clone(), scope(number % 4)?);
        callers.spawn(async move { idaas.token_for(&scope).await });
    }
    issuer.wait_for_held(4).await;
    issuer.release();
    let mut tokens: Vec<(String, String)> = Vec::new();
    while let Some(token) = callers.join_next().await {
        let token: Token = token??;
        assert_eq!(token.granted_scope(), Some(token.scope().as_str()));
        tokens.push((token.scope().to_string(), token.expose_token().to_owned()));
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!((tokens.len(), issuer.token_requests()), (4, 4));
    Ok(())
}

#[tokio::test]
async fn scopes_of_the_same_meaning_share_a_token() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    for text in ["api://b|x api://b|y", "api://b|y api://b|x", "  api://b|y   api://b|x api://b|y "] {
        idaas.token_for(&text.parse()?).await?;
    }
    assert_eq!(source.fetches(), 1);
    idaas.token_for(&"api://a|read".parse()?).await?;
    idaas.token().await?;
    assert_eq!(source.fetches(), 2, "the configured scope is the same by any way");
    Ok(())
}

#[tokio::test]
async fn a_failure_of_one_scope_is_none_of_another() -> Outcome {
    let issuer = TestIdaas::builder().scope("api://a|read").start().await?;
    let idaas = client_of(&issuer).build()?;
    let error = idaas.token_for(&"api://b|read".parse()?).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_scope"));
    assert!(error.to_string().contains("api://b|read"), "{error}");
    idaas.token().await?;
    Ok(())
}

#[tokio::test]
async fn more_scopes_than_the_cache_keeps_still_work() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = with_capacity(&source, 64)?;
    idaas.prefetch().await?;
    for number in 0..200 {
        clock.advance(Duration::from_millis(10));
        assert_eq!(*idaas.token_for(&scope(number)?).await?.scope(), scope(number)?);
    }
    let fetches = source.fetches();
    assert_eq!(fetches, 201);
    // The last ones are there still, and so is the configured one, however long ago.
    for number in 137..200 {
        idaas.token_for(&scope(number)?).await?;
    }
    assert_eq!(text(idaas.token().await)?, "token-1");
    assert_eq!(source.fetches(), fetches);
    Ok(())
}

#[tokio::test]
async fn a_scope_that_a_layer_uses_keeps_its_token_however_many_others_come() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = with_capacity(&source, 16)?;
    let api = Api::default();
    let client = idaas.layer().scope(&scope(0)?).layer(api.clone());
    client.clone().oneshot(get(URL)).await?;
    let first = api.take_token();
    for number in 1..200 {
        idaas.token_for(&scope(number)?).await?;
    }
    assert_eq!(text(idaas.token_for(&scope(0)?).await)?, first);
    client.oneshot(get(URL)).await?;
    assert_eq!(api.take_token(), first);
    Ok(())
}

#[tokio::test]
async fn a_scope_that_is_being_fetched_keeps_its_single_refresh_however_many_others_come() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = with_capacity(&source, 16)?;
    source.hold();
    let first = scope(0)?;
    let mut waiting = task::spawn(idaas.token_for(&first));
    assert_pending!(waiting.poll());
    source.wait_for_fetches(1).await;
    for number in 1..200 {
        let scope = scope(number)?;
        assert_pending!(task::spawn(idaas.token_for(&scope)).poll());
    }
    source.release();
    let (one, other) = (text(waiting.await)?, text(idaas.token_for(&first).await)?);
    assert_eq!((one.as_str(), other.as_str()), ("token-1", "token-1"));
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_kept_sees_scopes_come_and_go_and_their_tokens_invalidated() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = with_capacity(&source, 64)?;
    let api = Api::default();
    let mut client = idaas.layer().layer(api.clone());
    let mut call = async |number| {
        for _ in 0..5 {
            let mut request = get(URL);
            request.extensions_mut().insert(scope(number)?);
            send(&mut client, request).await?.await?;
        }
        let tokens: Vec<_> = api.take().into_iter().flatten().collect();
        let last = tokens.last().ok_or("no token")?.to_str()?.to_owned();
        Ok::<_, tower_idaas::BoxError>((tokens.iter().filter(|token| **token == last).count(), last))
    };
    assert_eq!(call(0).await?, (5, "Bearer token-1".to_owned()));
    assert_eq!(call(1).await?, (5, "Bearer token-2".to_owned()));
    idaas.invalidate(&idaas.token_for(&scope(0)?).await?);
    assert_eq!(call(0).await?, (5, "Bearer token-3".to_owned()));
    for number in 100..200 {
        idaas.token_for(&scope(number)?).await?;
    }
    // Evicted, as it was idle: fetched anew, once, and shared by all that ask.
    assert_eq!(call(0).await?, (5, "Bearer token-104".to_owned()));
    assert_eq!(text(idaas.token_for(&scope(0)?).await)?, "token-104");
    assert_eq!(source.fetches(), 104);
    Ok(())
}

#[tokio::test]
async fn the_configured_scope_is_one_of_a_layer_for_another() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let mut client = idaas.layer().scope(&scope(0)?).layer(api.clone());
    let configured: Scope = "api://a|read".parse()?;
    idaas.prefetch().await?;
    for _ in 0..4 {
        let mut request = get(URL);
        request.extensions_mut().insert(configured.clone());
        send(&mut client, request).await?.await?;
        assert_eq!(api.take_token(), "token-1");
        send(&mut client, get(URL)).await?.await?;
        assert_eq!(api.take_token(), "token-2");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_contention_no_scope_ever_gets_the_token_of_another() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let scopes: Arc<[Scope]> = (0..100).map(scope).collect::<Result<_, _>>()?;
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let (idaas, scopes) = (idaas.clone(), Arc::clone(&scopes));
        callers.spawn(async move {
            for step in 0..2_000 {
                let scope = &scopes[(caller * 13 + step * 7) % scopes.len()];
                assert_eq!(idaas.token_for(scope).await?.scope(), scope);
            }
            Ok::<_, tower_idaas::Error>(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(())
}

#[tokio::test]
async fn a_thousand_scopes_keep_their_tokens_by_default() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    for _ in 0..3 {
        for number in 0..1_000 {
            idaas.token_for(&scope(number)?).await?;
        }
    }
    assert_eq!(source.fetches(), 1_000);
    Ok(())
}

#[test]
fn a_layer_for_the_ten_thousandth_scope_costs_what_one_for_the_first_does() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let scopes: Vec<Scope> = (0..10_000).map(scope).collect::<Result<_, _>>()?;
    let mut layers = Vec::new();
    let times: Vec<Duration> = scopes
        .chunks(1_000)
        .map(|scopes| {
            let start = tokio::time::Instant::now();
            layers.extend(scopes.iter().map(|scope| idaas.layer().scope(scope)));
            start.elapsed()
        })
        .collect();
    // Copying the whole map made the last thousand twenty times as slow as the first.
    assert!(times[9] < times[0] * 5 + Duration::from_millis(20), "{times:?}");
    Ok(())
}

#[tokio::test]
async fn a_peek_at_scopes_that_are_not_cached_evicts_nothing() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = with_capacity(&source, 2)?;
    let refused = scope(0)?;
    source.fail_with(Error::new(ErrorKind::Refused, "not granted, said the test"));
    idaas.token_for(&refused).await.unwrap_err();
    for number in 1..100 {
        assert!(idaas.peek_for(&scope(number)?).is_none());
    }
    // The slot that remembers the failure is still there.
    idaas.token_for(&refused).await.unwrap_err();
    assert_eq!(source.fetches(), 1);
    Ok(())
}
