//! A list of the origins that may get a token.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};
use tower_idaas::{ErrorKind, NoToken};

use crate::handles::{Api, Body, Outcome, ScriptedSource, fed_by, get, ours, send};

const LISTED: &str = "https://api.example.com/orders";
const ELSEWHERE: [&str; 4] =
    ["https://evil.example/", "https://api.example.com.evil.example/", "http://localhost/", "/orders"];

#[tokio::test]
async fn only_origins_on_the_list_get_a_token_and_others_fetch_none() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let layer = idaas.layer().allow_origins(["https://api.example.com"])?;
    let layer = layer.allow_origins(["https://*.svc.example.com"])?;
    let client = layer.layer(api.clone());
    for is_cached in [false, true] {
        for url in ELSEWHERE {
            let error = client.clone().oneshot(get(url)).await.unwrap_err();
            assert_eq!((ours(&error).kind(), ours(&error).is_transient()), (ErrorKind::Destination, false));
        }
        if !is_cached {
            assert_eq!(source.fetches(), 0);
        }
        assert_eq!(api.take(), []);
        for url in [LISTED, "https://stock.svc.example.com/"] {
            client.clone().oneshot(get(url)).await?;
            assert_eq!(api.take_token(), "token-1");
        }
    }
    Ok(())
}

#[tokio::test]
async fn when_set_so_requests_elsewhere_leave_without_a_token() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let layer = idaas.layer().allow_origins(["https://api.example.com"])?.without_token_elsewhere();
    let client = layer.layer(api.clone());
    for url in ELSEWHERE {
        client.clone().oneshot(get(url)).await?;
        assert_eq!(api.take(), [None], "{url}");
    }
    assert_eq!(source.fetches(), 0);
    client.clone().oneshot(get(LISTED)).await?;
    assert_eq!(api.take_token(), "token-1");
    // Without a list it is about plain HTTP alone.
    let client = idaas.layer().without_token_elsewhere().layer(api.clone());
    client.clone().oneshot(get("http://api.example.com/")).await?;
    assert_eq!(api.take(), [None]);
    client.oneshot(get("https://evil.example/")).await?;
    assert_eq!(api.take_token(), "token-1");
    Ok(())
}

#[tokio::test]
async fn requests_that_go_without_our_token_may_go_anywhere() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let api = Api::default();
    let client = idaas.layer().allow_origins(["https://api.example.com"])?.layer(api.clone());
    let own = HeaderValue::from_static("Basic b3duOm93bg==");
    let mut request = get(ELSEWHERE[0]);
    request.headers_mut().insert(AUTHORIZATION, own.clone());
    client.clone().oneshot(request).await?;
    let mut request = get(ELSEWHERE[0]);
    request.extensions_mut().insert(NoToken);
    client.oneshot(request).await?;
    assert_eq!(api.take(), [Some(own), None]);
    Ok(())
}

#[tokio::test]
async fn a_request_refused_for_its_origin_gives_its_permit_back() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let layer = idaas.layer().allow_origins(["https://api.example.com"])?;
    let mut client = layer.layer(ConcurrencyLimit::new(Api::default(), 1));
    let error = send(&mut client, get(ELSEWHERE[0])).await?.await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Destination);
    std::future::poll_fn(|context| Service::<Request<Body>>::poll_ready(&mut client, context)).await?;
    Ok(())
}

#[tokio::test]
async fn entries_that_are_no_origin_are_faults_of_the_configuration() -> Outcome {
    let (idaas, _clock) = fed_by(&ScriptedSource::new())?;
    let error =
        idaas.layer().allow_origins(["api.example.com", "https://*", "https://a.example"]).unwrap_err();
    assert_eq!(error.faults().iter().map(|fault| fault.key()).collect::<Vec<_>>(), ["allow_origins"; 2]);
    Ok(())
}
