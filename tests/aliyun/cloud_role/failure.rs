//! A DeveloperAPI that refuses, throttles or fails.

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use tower_idaas::{ErrorKind, SubjectToken};
use tower_idaas_testing::Behaviour;

use crate::cloud_role::support::{Outcome, ROLE, World, seconds};

#[tokio::test]
async fn an_unknown_role_is_refused_with_a_hint_and_the_id_of_the_request() -> Outcome {
    let world = World::new().await?;
    let arn = "acs:ram::1234567890123456:role/unknown";
    let role = world.idaas.cloud_role(arn)?;
    let error = role.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
    assert_eq!(error.code(), Some("cloud_account_role_not_found"));
    let id = error.request_id().unwrap();
    let hint = format!("check that IDaaS knows role {arn}, and check `idaasInstanceId`");
    for part in [id, "404 Not Found", &hint, &world.api.endpoint()] {
        assert!(error.to_string().contains(part), "{part} is missing in: {error}");
    }
    for _ in 0..20 {
        role.credentials().await.unwrap_err();
    }
    assert_eq!(world.calls(), 1);
    assert!(world.api.requests().iter().all(|request| request.method == Method::GET));
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_definitive_with_or_without_a_reason() -> Outcome {
    for (behaviour, parts) in [
        (Behaviour::openapi_error(StatusCode::FORBIDDEN, "Forbidden"), vec!["Forbidden (", "req_test"]),
        (Behaviour::status(StatusCode::FORBIDDEN), vec!["no reason that can be read"]),
        (
            Behaviour::response(StatusCode::FORBIDDEN, "text/html", "<html>secret page</html>")
                .with_header(HeaderName::from_static("x-acs-request-id"), HeaderValue::from_static("req_9")),
            vec!["no reason that can be read"],
        ),
    ] {
        let world = World::new().await?;
        world.api.set_behaviour(behaviour);
        let error = world.role()?.credentials().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false), "{error}");
        let hint = format!("check that the application is granted role {ROLE}");
        for part in parts.into_iter().chain(["403 Forbidden", &hint]) {
            assert!(error.to_string().contains(part), "{part} is missing in: {error}");
        }
        assert!(!error.to_string().contains("secret page"));
        assert_eq!(world.calls(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_without_a_reason_carries_the_id_in_its_headers() -> Outcome {
    let world = World::new().await?;
    let id = (HeaderName::from_static("x-acs-request-id"), HeaderValue::from_static("req_9"));
    world.api.set_behaviour(Behaviour::status(StatusCode::NOT_FOUND).with_header(id.0, id.1));
    let error = world.role()?.credentials().await.unwrap_err();
    assert_eq!(error.request_id(), Some("req_9"));
    Ok(())
}

#[tokio::test]
async fn a_throttled_client_comes_back_after_the_pause_that_the_server_sets() -> Outcome {
    let world = World::new().await?;
    let busy = Behaviour::openapi_error(StatusCode::TOO_MANY_REQUESTS, "Throttling.User");
    world.api.behave_once(busy.with_header(RETRY_AFTER, HeaderValue::from_static("7")));
    let role = world.role()?;
    for _ in 0..20 {
        let error = role.credentials().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
        assert_eq!(error.retry_after(), Some(seconds(7)));
    }
    world.clock.advance(seconds(6));
    role.credentials().await.unwrap_err();
    assert_eq!(world.calls(), 1);
    world.clock.advance(seconds(1));
    role.credentials().await?;
    // The token of the first attempt serves the second.
    assert_eq!((world.calls(), world.issuer.token_requests()), (2, 1));
    Ok(())
}

#[tokio::test]
async fn after_an_outage_the_first_refresh_may_fetch_a_token_too() -> Outcome {
    let world = World::new().await?;
    world.api.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    let role = world.role()?;
    role.credentials().await.unwrap_err();
    world.api.set_behaviour(Behaviour::Normal);
    world.clock.advance(seconds(30 * 60));
    tokio::time::timeout(seconds(10), role.credentials()).await??;
    assert_eq!(world.issuer.token_requests(), 2);
    Ok(())
}

#[tokio::test]
async fn an_issuer_that_is_down_gets_no_more_requests_for_roles_than_for_tokens() -> Outcome {
    let world = World::new().await?;
    world.issuer.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    let role = world.role()?;
    for _ in 0..20 {
        let error = role.credentials().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
        assert!(error.to_string().contains(&world.issuer.token_endpoint()), "{error}");
    }
    assert_eq!((world.issuer.token_requests(), world.calls()), (3, 0));
    Ok(())
}

#[tokio::test]
async fn a_hiccup_passes_unnoticed() -> Outcome {
    let world = World::new().await?;
    world.api.behave_once(Behaviour::response(StatusCode::BAD_GATEWAY, "text/html", "<html>no</html>"));
    world.role()?.credentials().await?;
    assert_eq!((world.calls(), world.issuer.token_requests()), (2, 1));
    Ok(())
}

#[tokio::test]
async fn what_fails_for_subjects_does_not_open_the_breaker_of_own_requests() -> Outcome {
    let world = World::new().await?;
    world.api.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    for number in 0..10 {
        let token = world.issuer.user_token(&format!("user-{number}"), &"api://front|call".parse()?)?;
        let subject = SubjectToken::access_token(token.expose_secret().to_owned());
        world.role()?.with_subject(subject).credentials().await.unwrap_err();
    }
    world.api.set_behaviour(Behaviour::Normal);
    // The breaker of the client's own requests is closed: no time has passed.
    world.role()?.credentials().await?;
    Ok(())
}
