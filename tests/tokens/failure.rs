//! No token is to be had: who learns of it, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, ServiceExt};
use tower_idaas::authn::{Authenticator, ClientSecretPost, TokenRequest};
use tower_idaas::{BoxFuture, Error, ErrorKind, SecretSource};
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::handles::{
    ADVISORY, Api, MANDATORY, Outcome, ScriptedSource, client_of, fed_by, get, ours, seconds, settle, text,
    turned_by_hand, unavailable,
};

#[tokio::test]
async fn all_who_waited_share_one_error_of_one_fetch() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    issuer.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    let mut callers: Vec<_> = (0..100).map(|_| task::spawn(idaas.token())).collect();
    for caller in &mut callers {
        assert_pending!(caller.poll());
    }
    let mut messages = Vec::new();
    for caller in callers {
        let error = caller.await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
        assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
        messages.push(error.to_string());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1);
    let requests = issuer.token_requests();
    assert_eq!(requests, 3, "one fetch, with its attempts");

    // Remembered, not requested again.
    for _ in 0..100 {
        assert!(assert_ready!(task::spawn(idaas.token()).poll()).is_err());
    }
    assert_eq!(issuer.token_requests(), requests);

    // It passes, and nothing needs to be rebuilt.
    issuer.set_behaviour(Behaviour::Normal);
    clock.advance(seconds(1));
    idaas.token().await?;
    assert_eq!(issuer.token_requests(), requests + 1);
    Ok(())
}

#[tokio::test]
async fn a_token_that_dies_while_the_issuer_is_gone_is_replaced_when_it_is_back() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    let api = Api::default();
    let client = idaas.layer().layer(api.clone());
    client.clone().oneshot(get("https://api.example.com/")).await?;
    issuer.down().await;
    clock.advance(2 * MANDATORY);
    for _ in 0..3 {
        let error = client.clone().oneshot(get("https://api.example.com/")).await.unwrap_err();
        assert_eq!((ours(&error).kind(), ours(&error).is_transient()), (ErrorKind::Connect, true));
        clock.advance(seconds(40));
    }
    issuer.up().await?;
    client.oneshot(get("https://api.example.com/")).await?;
    assert_eq!(api.take().len(), 2);
    Ok(())
}

#[tokio::test]
async fn prefetch_fails_fast_and_leaves_the_handle_usable() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    issuer.down().await;
    assert_eq!(idaas.prefetch().await.unwrap_err().kind(), ErrorKind::Connect);
    assert!(idaas.peek().is_none());
    issuer.up().await?;
    clock.advance(seconds(2));
    idaas.prefetch().await?;
    assert!(idaas.peek().is_some());
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn peek_never_fetches() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    assert!(idaas.peek().is_none());
    idaas.prefetch().await?;
    clock.advance(ADVISORY);
    assert!(idaas.peek().is_some());
    clock.advance(ADVISORY);
    assert!(idaas.peek().is_none());
    settle().await;
    assert_eq!(issuer.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn a_definitive_refusal_is_remembered_for_five_seconds_at_most() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    let refusal = Behaviour::code(StatusCode::UNAUTHORIZED, "invalid_client");
    issuer.behave_once(refusal.with_header(RETRY_AFTER, HeaderValue::from_static("300")));
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    assert_eq!(error.code(), Some("invalid_client"));
    clock.advance(seconds(2));
    assert!(idaas.token().await.is_err(), "no less than half of that");
    assert_eq!(issuer.token_requests(), 1);
    clock.advance(seconds(3));
    idaas.token().await?;
    assert_eq!(issuer.token_requests(), 2);
    Ok(())
}

fn throttled(seconds: &'static str) -> Behaviour {
    let answer = Behaviour::status(StatusCode::TOO_MANY_REQUESTS);
    answer.with_header(RETRY_AFTER, HeaderValue::from_static(seconds))
}

#[tokio::test]
async fn retry_after_is_honoured_to_the_second() -> Outcome {
    let (issuer, idaas, clock) = turned_by_hand().await?;
    issuer.behave_once(throttled("60"));
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.retry_after(), error.is_transient()), (Some(seconds(60)), true));
    for _ in 0..59 {
        clock.advance(seconds(1));
        assert!(idaas.token().await.is_err());
    }
    assert_eq!(issuer.token_requests(), 1);
    clock.advance(seconds(1));
    idaas.token().await?;
    assert_eq!(issuer.token_requests(), 2);
    Ok(())
}

#[tokio::test]
async fn retry_after_counts_for_five_minutes_at_most() -> Outcome {
    for long in ["86400", "18446744073709551615"] {
        let (issuer, idaas, clock) = turned_by_hand().await?;
        issuer.behave_once(throttled(long));
        assert!(idaas.token().await.is_err());
        clock.advance(seconds(299));
        assert!(idaas.token().await.is_err());
        clock.advance(seconds(1));
        idaas.token().await?;
        assert_eq!(issuer.token_requests(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn a_live_token_is_served_throughout_retry_after() -> Outcome {
    for age in [ADVISORY, MANDATORY] {
        let source = ScriptedSource::new();
        let (idaas, clock) = fed_by(&source)?;
        idaas.prefetch().await?;
        clock.advance(age);
        source.fail_with(unavailable().with_retry_after(seconds(40)));
        assert_eq!(text(idaas.token().await)?, "token-1");
        settle().await;
        for _ in 0..39 {
            clock.advance(seconds(1));
            assert_eq!(text(assert_ready!(task::spawn(idaas.token()).poll()))?, "token-1");
            settle().await;
        }
        assert_eq!(source.fetches(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn a_rotated_secret_is_found_without_a_rebuild() -> Outcome {
    let clock = tower_idaas::clock::ManualClock::new();
    let issuer = TestIdaas::builder().clock(clock.clone()).start().await?;
    let environment = issuer.environment();
    let idaas = client_of(&issuer).clock(clock.clone()).environment(environment.clone()).build()?;
    issuer.set_secret("another-not-real-secret");
    let error: Error = idaas.token().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"));
    environment.set(TestIdaas::SECRET_VARIABLE, "another-not-real-secret");
    clock.advance(seconds(5));
    idaas.token().await?;
    Ok(())
}

/// Needs something from a metadata service, which is busy at first.
#[derive(Debug)]
struct OverMetadata {
    method: ClientSecretPost,
    is_busy: Arc<AtomicBool>,
}

impl Authenticator for OverMetadata {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        if self.is_busy.load(Ordering::SeqCst) {
            let busy = Error::new(ErrorKind::Unavailable, "the metadata service is busy, said the test");
            return Box::pin(async { Err(busy.with_retry_after(seconds(300))) });
        }
        self.method.authenticate(request)
    }
}

#[tokio::test]
async fn a_busy_metadata_service_keeps_no_other_scope_from_the_issuer() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let is_busy = Arc::new(AtomicBool::new(true));
    let method = ClientSecretPost::new(SecretSource::variable(TestIdaas::SECRET_VARIABLE));
    let method = OverMetadata { method, is_busy: Arc::clone(&is_busy) };
    let idaas = client_of(&issuer).authenticator(method).build()?;
    let other = "api://other|read".parse()?;
    assert_eq!(idaas.token_for(&other).await.unwrap_err().retry_after(), Some(seconds(300)));
    is_busy.store(false, Ordering::SeqCst);
    idaas.token().await?;
    assert!(idaas.token_for(&other).await.is_err(), "its own pause lasts");
    assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (1, 0));
    Ok(())
}
