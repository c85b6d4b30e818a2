//! A request that waits for a token, and then for its inner service.

use http::{HeaderValue, Request};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};
use tower_idaas::{ErrorKind, TokenResponse};

use crate::handles::{Api, Body, LIFE, Outcome, ScriptedSource, fed_by, get, ours, seconds};
use crate::slow_to_be_ready::SlowToBeReady;

const URL: &str = "https://api.example.com/";

#[tokio::test]
async fn a_token_that_expires_while_the_inner_service_becomes_ready_is_replaced_thrice_and_no_more() -> Outcome
{
    for (times, fetches) in [(1, Some(2)), (2, Some(3)), (usize::MAX, None)] {
        let source = ScriptedSource::new();
        let (idaas, clock) = fed_by(&source)?;
        let inner = SlowToBeReady::new(&clock, LIFE);
        let mut client = idaas.layer().layer(inner.clone());
        ServiceExt::<Request<Body>>::ready(&mut client).await?;
        inner.be_slow(times);
        let sent = client.call(get(URL)).await;
        match fetches {
            Some(fetches) => {
                sent?;
                assert_eq!((source.fetches(), inner.sent()), (fetches, 1), "{times}");
            }
            None => {
                let error = sent.unwrap_err();
                let error = ours(&error);
                assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
                assert!(error.to_string().contains("before the inner service was ready"), "{error}");
                assert_eq!((source.fetches(), inner.sent()), (3, 0));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_token_without_a_life_serves_the_request_that_waited_for_it_however_long_that_took() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, clock) = fed_by(&source)?;
    let inner = SlowToBeReady::new(&clock, LIFE);
    let mut client = idaas.layer().layer(inner.clone());
    ServiceExt::<Request<Body>>::ready(&mut client).await?;
    inner.be_slow(1);
    source.then(TokenResponse::bearer("brief")?.with_expires_in(std::time::Duration::ZERO));
    client.call(get(URL)).await?;
    assert_eq!((source.fetches(), inner.sent()), (1, 1));
    // It served no other.
    let api = Api::default();
    idaas.layer().layer(api.clone()).oneshot(get(URL)).await?;
    assert_eq!(api.take_token(), "token-2");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_second_wait_has_what_the_first_has_left_of_the_requests_own_limit() -> Outcome {
    let source = ScriptedSource::new();
    source.set_life(seconds(40));
    let (idaas, clock) = fed_by(&source)?;
    // The first token expires while the inner service becomes ready, which takes most of the limit.
    let inner = SlowToBeReady::new(&clock, seconds(40));
    let mut client = idaas.layer().layer(inner.clone());
    ServiceExt::<Request<Body>>::ready(&mut client).await?;
    inner.be_slow(1);
    let mut request = get(URL);
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("42S"));
    let mut sending = tokio_test::task::spawn(client.call(request));
    while source.fetches() == 0 {
        assert!(sending.poll().is_pending());
        tokio::task::yield_now().await;
    }
    source.hold();
    let began = tokio::time::Instant::now();
    let error = sending.await.unwrap_err();
    let error = ours(&error);
    assert_eq!((error.kind(), source.fetches(), inner.sent()), (ErrorKind::Timeout, 2, 0));
    assert!(error.to_string().contains("the request's own time limit of 42s"), "{error}");
    let waited = began.elapsed();
    assert!(waited >= seconds(2) && waited < seconds(3), "{waited:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_requests_own_limit_bounds_the_wait_for_the_inner_service_too_and_the_error_says_which_wait_it_was()
-> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let one_at_a_time = ConcurrencyLimit::new(Api::default(), 1);
    let mut client = idaas.layer().layer(one_at_a_time.clone());
    ServiceExt::<Request<Body>>::ready(&mut client).await?;
    let mut request = get(URL);
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("5S"));
    let waiting = client.call(request);
    // It has released its place for the wait, and another request holds it for good.
    let mut other = one_at_a_time;
    ServiceExt::<Request<Body>>::ready(&mut other).await?;
    let started = tokio::time::Instant::now();
    let Err(error) = tokio::time::timeout(seconds(60), waiting).await? else {
        return Err("the inner service is not ready".into());
    };
    assert_eq!(started.elapsed().as_secs(), 5);
    let error = error.downcast::<tower_idaas::Error>()?;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("the inner service was not ready"), "{error}");
    Ok(())
}
