//! A request's own time limit, and how much of it the wait for a token takes.

use http::{HeaderValue, Request};
use tokio::time::Instant;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt};
use tower_idaas::ErrorKind;

use crate::handles::{Api, Body, Outcome, ScriptedSource, fed_by, get, ours, seconds};

const URL: &str = "https://api.example.com/";

fn limited(limit: &'static str) -> Request<Body> {
    let mut request = get(URL);
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(limit));
    request
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_during_the_wait_leaves_the_rest_of_the_limit_to_the_next() -> Outcome {
    let source = ScriptedSource::new();
    source.set_life(seconds(40));
    let (idaas, clock) = fed_by(&source)?;
    idaas.prefetch().await?;
    clock.advance(seconds(38));
    source.hold();
    let api = Api::default();
    // While the old token is live, half of the limit is for the wait; it expires in that half.
    let sending = tokio::spawn(idaas.layer().layer(api.clone()).oneshot(limited("3S")));
    tokio::time::sleep(seconds(1)).await;
    clock.advance(seconds(1));
    tokio::time::sleep(seconds(1)).await;
    source.release();
    sending.await??;
    assert_eq!(api.take_token(), "token-2");

    // Without another token, the limit ends the wait.
    clock.advance(seconds(38));
    source.hold();
    let start = Instant::now();
    let sending = tokio::spawn(idaas.layer().layer(api.clone()).oneshot(limited("3S")));
    tokio::time::sleep(seconds(1)).await;
    clock.advance(seconds(1));
    let error = sending.await?.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Timeout);
    assert_eq!((start.elapsed().as_secs(), api.take().len()), (3, 0));
    Ok(())
}

#[tokio::test]
async fn every_limit_that_can_be_written_is_taken_and_what_is_none_is_none() -> Outcome {
    let api = Api::default();
    let client = || {
        let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
        Ok::<_, BoxError>(ServiceBuilder::new().layer(idaas.layer()).service(api.clone()))
    };
    for text in [
        "1H",
        "1M",
        "9S",
        "9000m",
        "9000000u",
        "99999999H",
        "123456789n",
        "",
        "H",
        "5",
        "5s",
        "-5S",
        "5 S",
        "+5S",
    ] {
        let mut request = get(URL);
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_str(text)?);
        client()?.oneshot(request).await.map_err(|error| format!("{text}: {error}"))?;
        assert_eq!(api.take().len(), 1, "{text}");
    }
    for text in ["0H", "00000000n"] {
        let mut request = get(URL);
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_str(text)?);
        let error = client()?.oneshot(request).await.unwrap_err();
        assert_eq!(ours(&error).kind(), ErrorKind::Timeout, "{text}");
    }
    Ok(())
}
