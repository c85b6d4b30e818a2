//! The layer: where a secret goes, and where it does not.

use std::time::Duration;

use http::{HeaderName, Request, StatusCode};
use tower::retry::RetryLayer;
use tower::{Layer, Service, ServiceExt};
use tower_idaas::{ErrorKind, NoToken, RetryUnauthorized};
use tower_idaas_testing::Behaviour;

use super::support::{KEY, NEXT_KEY, OtherApi, Outcome, World, request, status, until};
use crate::slow_to_be_ready::SlowToBeReady;

const LLM: &str = "https://llm.example.com";

#[tokio::test]
async fn a_key_goes_onto_requests_as_bearer_as_another_header_or_by_a_function() -> Outcome {
    let world = World::new().await?;
    let layer = world.idaas.api_key("model")?.layer([LLM])?;
    let by_function = layer.clone().with(|key, headers| {
        headers.insert("x-signed", format!("Key {}", key.expose_secret()).try_into()?);
        Ok(())
    });
    for (layer, header, value) in [
        (layer.clone(), "authorization", format!("Bearer {KEY}")),
        (layer.header(HeaderName::from_static("x-api-key")), "x-api-key", KEY.to_owned()),
        (by_function, "x-signed", format!("Key {KEY}")),
    ] {
        let api = OtherApi::new(header, value);
        let client = api.behind(&layer);
        for _ in 0..3 {
            assert_eq!(status(&client, "https://llm.example.com/v1/chat").await?, StatusCode::OK);
        }
        assert!(api.last().unwrap().is_sensitive(), "{header}");
        if header != "authorization" {
            assert!(!api.received.lock().unwrap()[0].contains_key("authorization"));
        }
    }
    assert_eq!(world.calls(), 1);
    Ok(())
}

#[tokio::test]
async fn a_key_goes_to_the_listed_origins_and_nowhere_else() -> Outcome {
    let world = World::new().await?;
    let layer = world.idaas.api_key("model")?.layer([LLM, "http://localhost:8080", "http://llm.internal"])?;
    let api = OtherApi::new("authorization", format!("Bearer {KEY}"));
    let client = api.behind(&layer);
    assert_eq!(status(&client, "http://localhost:8080/v1").await?, StatusCode::OK);
    for (uri, part) in [
        ("https://llm.example.com.evil.example/v1", "not one of the origins allowed"),
        ("https://llm.example.com:8443/v1", "not one of the origins allowed"),
        ("http://llm.example.com/v1", "not one of the origins allowed"),
        ("/v1", "no scheme and host"),
        // On the list, and in plain text all the same.
        ("http://llm.internal/v1", "over plain text"),
    ] {
        let error = status(&client, uri).await.unwrap_err();
        let error = error.downcast_ref::<tower_idaas::Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Destination, "{uri}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(api.count(), 1);
    let client = api.behind(&layer.clone().allow_plaintext("llm.internal")?);
    assert_eq!(status(&client, "http://llm.internal/v1").await?, StatusCode::OK);
    let client = api.behind(&layer.without_secret_elsewhere());
    assert_eq!(status(&client, "https://other.example/v1").await?, StatusCode::UNAUTHORIZED);
    assert!(api.last().is_none());
    Ok(())
}

#[tokio::test]
async fn there_is_no_layer_without_a_list_of_origins() -> Outcome {
    let world = World::new().await?;
    world.api.add_credential_provider("github", Duration::from_secs(600), "", &[]);
    let key = world.idaas.api_key("model")?;
    for result in [key.layer([""; 0]), world.idaas.oauth_token("github")?.layer([""; 0])] {
        assert!(result.unwrap_err().to_string().contains("name the origins that may get the secret"));
    }
    let error = key.layer(["llm.example.com", "https://*.com"]).unwrap_err();
    assert_eq!(error.faults().len(), 2, "{error}");
    Ok(())
}

#[tokio::test]
async fn a_401_replaces_the_key_and_a_replay_leaves_with_the_next_one() -> Outcome {
    let world = World::new().await?;
    let layer = world.idaas.api_key("model")?.layer([LLM])?;
    let api = OtherApi::new("authorization", format!("Bearer {KEY}"));
    let client = api.behind(&layer);
    assert_eq!(status(&client, LLM).await?, StatusCode::OK);
    // Exchanged in IDaaS and at the API: the key in the cache is not served any more.
    world.api.store_api_key("model", NEXT_KEY);
    api.accept(format!("Bearer {NEXT_KEY}"));
    let retrying = RetryLayer::new(RetryUnauthorized::new()).layer(client);
    assert_eq!(retrying.oneshot(request(LLM)).await?.status(), StatusCode::OK);
    assert_eq!((world.calls(), api.count()), (2, 3));
    Ok(())
}

#[tokio::test]
async fn an_api_that_rejects_every_key_makes_no_storm_of_fetches() -> Outcome {
    let world = World::new().await?;
    let layer = world.idaas.api_key("model")?.layer([LLM])?;
    let api = OtherApi::new("authorization", "Bearer another");
    let client = api.behind(&layer);
    for _ in 0..20 {
        assert_eq!(status(&client, LLM).await?, StatusCode::UNAUTHORIZED);
    }
    assert!(world.calls() <= 4, "{}", world.calls());
    Ok(())
}

#[tokio::test]
async fn the_callers_own_header_and_its_wish_to_go_without_are_kept() -> Outcome {
    let world = World::new().await?;
    let layer = world.idaas.api_key("model")?.layer([LLM])?.header(HeaderName::from_static("x-api-key"));
    let api = OtherApi::new("x-api-key", "mine");
    let client = api.behind(&layer);
    let mut own = request("https://other.example/");
    own.headers_mut().insert("x-api-key", "mine".parse()?);
    assert_eq!(client.clone().oneshot(own).await?.status(), StatusCode::OK);
    let mut without = request(LLM);
    without.extensions_mut().insert(NoToken);
    assert_eq!(client.oneshot(without).await?.status(), StatusCode::UNAUTHORIZED);
    assert!(api.last().is_none());
    assert_eq!(world.calls(), 0);
    Ok(())
}

#[tokio::test]
async fn a_request_whose_key_cannot_be_had_or_placed_is_not_sent() -> Outcome {
    let world = World::new().await?;
    let api = OtherApi::new("authorization", "x");
    let layer = world.idaas.api_key("model")?.layer([LLM])?.with(|_, _| Err("no room".into()));
    let error = status(&api.behind(&layer), LLM).await.unwrap_err();
    assert!(error.to_string().contains("could not put the secret on the request"), "{error}");
    let layer = world.idaas.api_key("unknown")?.layer([LLM])?;
    let error = status(&api.behind(&layer), LLM).await.unwrap_err();
    assert!(error.to_string().contains("credential_not_found"), "{error}");
    assert_eq!(api.count(), 0);
    Ok(())
}

#[tokio::test]
async fn requests_wait_for_one_fetch_and_a_limit_of_their_own_ends_the_wait() -> Outcome {
    let world = World::new().await?;
    world.api.set_behaviour(Behaviour::Hold);
    let layer = world.idaas.api_key("model")?.layer([LLM])?;
    let api = OtherApi::new("authorization", format!("Bearer {KEY}"));
    let client = api.behind(&layer);
    let waiting: Vec<_> = (0..8).map(|_| tokio::spawn(client.clone().oneshot(request(LLM)))).collect();
    until(|| world.calls() == 1).await;
    let mut hurried = request(LLM);
    hurried.headers_mut().insert("grpc-timeout", "20m".parse()?);
    let error = client.oneshot(hurried).await.unwrap_err();
    assert_eq!(error.downcast_ref::<tower_idaas::Error>().unwrap().kind(), ErrorKind::Timeout);
    assert_eq!(api.count(), 0);
    world.api.set_behaviour(Behaviour::Normal);
    world.api.release();
    for request in waiting {
        assert_eq!(request.await??.status(), StatusCode::OK);
    }
    assert_eq!((world.calls(), api.count()), (1, 8));
    Ok(())
}

#[tokio::test]
async fn a_client_without_tower_has_the_key_put_on_and_reports_the_response() -> Outcome {
    let world = World::new().await?;
    let layer = world.idaas.api_key("model")?.layer([LLM])?;
    let mut one = request(LLM);
    let authorized = layer.authorize(&mut one).await?;
    assert!(authorized.has_token() && one.headers()["authorization"] == format!("Bearer {KEY}"));
    world.api.store_api_key("model", NEXT_KEY);
    assert!(authorized.report(StatusCode::UNAUTHORIZED, &http::HeaderMap::new()));
    let mut next = request(LLM);
    let _ = layer.authorize(&mut next).await?;
    assert_eq!(next.headers()["authorization"], format!("Bearer {NEXT_KEY}"));
    Ok(())
}

#[tokio::test]
async fn no_debug_shows_the_key() -> Outcome {
    let world = World::new().await?;
    let key = world.idaas.api_key("model")?;
    let layer = key.layer([LLM])?;
    let api = OtherApi::new("authorization", format!("Bearer {KEY}"));
    status(&api.behind(&layer), LLM).await?;
    let service = layer.layer("inner");
    let shown = format!("{key:?} {layer:?} {service:?} {:?} {:?}", world.idaas, api.received.lock().unwrap());
    assert!(shown.contains("model") && !shown.contains("KEYmarker"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_expires_while_the_inner_service_becomes_ready_is_replaced_thrice_and_no_more() -> Outcome
{
    for (times, calls) in [(1, 2), (2, 3), (usize::MAX, 3)] {
        let world = World::new().await?;
        let inner = SlowToBeReady::new(&world.clock, Duration::from_secs(3600));
        let mut client = world.idaas.api_key("model")?.layer([LLM])?.layer(inner.clone());
        ServiceExt::<Request<String>>::ready(&mut client).await?;
        inner.be_slow(times);
        let sent = client.call(request("https://llm.example.com/v1")).await;
        assert_eq!(world.calls(), calls, "{times}");
        assert_eq!((sent.is_ok(), inner.sent()), if times > 2 { (false, 0) } else { (true, 1) });
        if let Err(error) = sent {
            let error = error.downcast_ref::<tower_idaas::Error>().unwrap();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(error.to_string().contains("before the inner service was ready"), "{error}");
        }
    }
    Ok(())
}
