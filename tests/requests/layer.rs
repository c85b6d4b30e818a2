//! What the layer puts on requests, and what it leaves alone.

use std::io;

use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_idaas::{BoxError, ErrorKind, NoToken, Scope};
use tower_idaas_testing::TestIdaas;

use crate::handles::{Api, Body, Outcome, ScriptedSource, client_of, fed_by, get, http, ours, send};

const URL: &str = "https://api.example.com/";

#[tokio::test]
async fn each_request_leaves_with_the_token_marked_sensitive() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let mut client = idaas.layer().layer(api.clone());
    // Cold, from the slot, and held on to: each way is another.
    for _ in 0..5 {
        send(&mut client, get(URL)).await?.await?;
    }
    let seen = api.take();
    assert_eq!(seen.len(), 5);
    for header in seen.into_iter().flatten() {
        assert_eq!(header, "Bearer token-1");
        assert!(header.is_sensitive());
        assert!(!format!("{header:?}").contains("token"));
    }
    Ok(())
}

#[tokio::test]
async fn a_header_that_the_caller_set_stays_and_nothing_is_fetched_for_it() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let client = idaas.layer().layer(api.clone());
    let own = HeaderValue::from_static("Basic b3duOm93bg==");
    let request = || {
        let mut request = get(URL);
        request.headers_mut().insert(AUTHORIZATION, own.clone());
        request
    };
    client.clone().oneshot(request()).await?;
    assert_eq!(source.fetches(), 0);
    idaas.prefetch().await?;
    client.clone().oneshot(request()).await?;
    assert_eq!(api.take(), [Some(own.clone()), Some(own.clone())]);
    Ok(())
}

#[tokio::test]
async fn a_request_that_wants_no_token_leaves_without_one_and_anywhere() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let client = idaas.layer().layer(api.clone());
    for url in [URL, "http://api.example.com/"] {
        let mut request = get(url);
        request.extensions_mut().insert(NoToken);
        client.clone().oneshot(request).await?;
    }
    assert_eq!((api.take(), source.fetches()), (vec![None, None], 0));
    Ok(())
}

#[tokio::test]
async fn a_scope_comes_from_the_request_else_from_the_layer_else_from_the_configuration() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let orders = issuer.api("api://orders").permission("write").plain_http().start().await?;
    let stock = issuer.api("api://stock").permission("read").plain_http().start().await?;
    let test = issuer.api("api://test").permission("read").plain_http().start().await?;
    let idaas = client_of(&issuer).build()?;
    let plain = idaas.layer().layer(http());
    let scope: Scope = "api://orders|write".parse()?;
    let for_orders = idaas.layer().scope(&scope).layer(http());
    for _ in 0..2 {
        assert_eq!(plain.clone().oneshot(get(test.url())).await?.status(), StatusCode::OK);
        assert_eq!(for_orders.clone().oneshot(get(orders.url())).await?.status(), StatusCode::OK);
        for client in [&plain, &for_orders] {
            let mut request = get(stock.url());
            request.extensions_mut().insert("api://stock|read".parse::<Scope>()?);
            assert_eq!(client.clone().oneshot(request).await?.status(), StatusCode::OK);
        }
    }
    assert_eq!(issuer.token_requests(), 3);
    Ok(())
}

#[tokio::test]
async fn no_token_goes_over_plain_text_to_another_machine_unless_allowed() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let client = idaas.layer().layer(api.clone());
    for is_cached in [false, true] {
        let error = client.clone().oneshot(get("http://api.example.com/")).await.unwrap_err();
        assert_eq!((ours(&error).kind(), ours(&error).is_transient()), (ErrorKind::Destination, false));
        assert!(error.to_string().contains("api.example.com"), "{error}");
        if !is_cached {
            assert_eq!(source.fetches(), 0);
            idaas.prefetch().await?;
        }
    }
    assert_eq!(api.take(), []);
    client.clone().oneshot(get("http://localhost:8080/")).await?;
    assert_eq!(api.take_token(), "token-1");
    let allowing = idaas.layer().allow_plaintext("api.example.com")?.layer(api.clone());
    allowing.clone().oneshot(get("http://api.example.com/")).await?;
    assert_eq!(api.take_token(), "token-1");
    let error = allowing.oneshot(get("http://other.example.com/")).await.unwrap_err();
    assert_eq!(ours(&error).kind(), ErrorKind::Destination);
    Ok(())
}

#[tokio::test]
async fn errors_of_the_inner_service_pass_as_themselves() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let refusing = service_fn(|_: http::Request<Body>| async {
        Err::<http::Response<()>, _>(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let client = idaas.layer().layer(refusing);
    // Without a cached token, and with one.
    for _ in 0..2 {
        let error: BoxError = client.clone().oneshot(get(URL)).await.unwrap_err();
        let error = error.downcast_ref::<io::Error>().ok_or("another error")?;
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    Ok(())
}

#[tokio::test]
async fn responses_pass_untouched() -> Outcome {
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let teapot = service_fn(|_: http::Request<Body>| async {
        http::Response::builder().status(StatusCode::IM_A_TEAPOT).header("x-kind", "green").body("a cup")
    });
    let response = idaas.layer().layer(teapot).oneshot(get(URL)).await?;
    assert_eq!(
        (response.status(), response.headers()["x-kind"].as_bytes()),
        (StatusCode::IM_A_TEAPOT, &b"green"[..])
    );
    assert_eq!(response.into_body(), "a cup");
    Ok(())
}

#[test]
fn a_call_made_outside_a_runtime_works_when_it_is_awaited_inside_one() -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let source = ScriptedSource::new();
    let (idaas, _clock) = fed_by(&source)?;
    let api = Api::default();
    let mut client = idaas.layer().layer(api.clone());
    let response = tower::Service::call(&mut client, get(URL));
    runtime.block_on(response)?;
    assert_eq!(api.take_token(), "token-1");
    Ok(())
}
