//! API keys: cached, renewed, and refused in ways that say what to do.

use http::StatusCode;
use serde_json::json;
use tower_idaas::ErrorKind;
use tower_idaas_testing::{Behaviour, TestIdaas};

use super::support::{KEY, NEXT_KEY, Outcome, World, until};
use crate::cloud_role::support::{client_of, seconds};

#[tokio::test]
async fn a_key_is_fetched_once_for_all_who_request_it() -> Outcome {
    let world = World::new().await?;
    let key = world.idaas.api_key("model")?;
    let (one, other) = tokio::join!(key.key_text(), key.key_text());
    assert_eq!((one?.expose_secret(), other?.expose_secret()), (KEY, KEY));
    assert_eq!(world.idaas.clone().api_key(" model ")?.key_text().await?.expose_secret(), KEY);
    assert_eq!((world.calls(), world.issuer.token_requests()), (1, 1));
    let request = &world.api.requests()[0];
    let path = format!("/v2/{}/credentials/_/actions/obtain", TestIdaas::INSTANCE_ID);
    assert_eq!((request.method.as_str(), request.uri.path()), ("GET", path.as_str()));
    assert_eq!(request.parameter("credentialIdentifier"), Some("model"));
    Ok(())
}

#[tokio::test]
async fn a_key_is_renewed_in_the_background_and_stays_while_that_fails() -> Outcome {
    let world = World::new().await?;
    let key = world.idaas.api_key("model")?;
    key.key_text().await?;
    world.api.store_api_key("model", NEXT_KEY);
    world.clock.advance(seconds(150));
    assert_eq!(key.key_text().await?.expose_secret(), KEY, "fresh for half of its life at the least");
    assert_eq!(world.calls(), 1);
    world.api.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    world.clock.advance(seconds(60));
    assert_eq!(key.key_text().await?.expose_secret(), KEY, "due, and served meanwhile");
    until(|| world.calls() >= 2).await;
    assert_eq!(key.key_text().await?.expose_secret(), KEY);
    world.api.set_behaviour(Behaviour::Normal);
    world.clock.advance(seconds(40));
    key.key_text().await?;
    until(|| world.calls() >= 3).await;
    let mut text = key.key_text().await?;
    for _ in 0..1_000 {
        if text.expose_secret() == NEXT_KEY {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        text = key.key_text().await?;
    }
    panic!("the key is not renewed")
}

#[tokio::test]
async fn the_life_of_a_key_is_the_callers_choice() -> Outcome {
    let world = World::new().await?;
    let short = world.idaas.api_key("model")?.with_life(seconds(10))?;
    let long = world.idaas.api_key("model")?.with_life(seconds(3600))?;
    for key in [&short, &long, &short, &long] {
        key.key_text().await?;
    }
    assert_eq!(world.calls(), 2);
    world.api.store_api_key("model", NEXT_KEY);
    world.clock.advance(seconds(11));
    assert_eq!(short.key_text().await?.expose_secret(), NEXT_KEY);
    assert_eq!(long.key_text().await?.expose_secret(), KEY);
    for life in [seconds(0), seconds(24 * 3600 + 1)] {
        let error = world.idaas.api_key("model")?.with_life(life).unwrap_err();
        assert!(error.to_string().contains("expected one second to 24 hours"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_invalidated_is_fetched_anew_and_by_identity_only() -> Outcome {
    let world = World::new().await?;
    let key = world.idaas.api_key("model")?;
    let old = key.key_text().await?;
    world.api.store_api_key("model", NEXT_KEY);
    key.invalidate(&old);
    assert_eq!(key.key_text().await?.expose_secret(), NEXT_KEY);
    key.invalidate(&old);
    assert_eq!((key.key_text().await?.expose_secret(), world.calls()), (NEXT_KEY, 2));
    Ok(())
}

/// A credential that is requested, what the server does, and what the error says.
#[tokio::test]
async fn what_is_no_key_that_can_be_used_is_a_clear_error() -> Outcome {
    let world = World::new().await?;
    world.api.store_api_key("off", KEY);
    world.api.set_credential_enabled("off", false);
    world.api.store_oauth_client("client", "id", "S3CRETmarker");
    world.api.store_api_key("blank", "");
    world.api.store_api_key("line", format!("{KEY}\n"));
    for (name, parts) in [
        ("unknown", &["404 Not Found: credential_not_found", "IDaaS knows credential unknown"][..]),
        (
            "off",
            &["credential off is not enabled, its status is `disabled`", "enable it in the IDaaS console"],
        ),
        ("client", &["credential client is an OAuth client, not an API key", "`Idaas::oauth_client`"]),
        ("blank", &["the key of credential blank is empty or holds characters"]),
        ("line", &["the key of credential line is empty or holds characters"]),
    ] {
        let error = world.idaas.api_key(name)?.key_text().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false), "{name}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("marker"), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "{part} is missing in: {shown}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_response_that_is_not_what_the_api_sends_is_reported_and_not_shown() -> Outcome {
    let world = World::new().await?;
    let disabled = json!({ "error": "credential_disabled", "error_description": "no", "request_id": "R-1" });
    for (behaviour, part) in [
        (
            Behaviour::change(|answer| drop(answer.remove("credentialContent"))),
            "carries no `credentialContent`",
        ),
        (
            Behaviour::change(|answer| {
                answer.insert("credentialContent".into(), json!({}));
            }),
            "its `credentialContent` carries no `apiKeyContent`",
        ),
        (
            Behaviour::change(|answer| {
                answer.insert("credentialContent".into(), json!({}));
                answer.insert("credentialType".into(), json!("certificate"));
            }),
            "credential model is of type `certificate`, not an API key",
        ),
        (Behaviour::json(StatusCode::FORBIDDEN, &disabled), "enable the credential in the IDaaS console"),
        (Behaviour::Echo, "check the credential's identifier"),
        (Behaviour::status(StatusCode::FORBIDDEN), "granted credential model"),
    ] {
        world.api.set_behaviour(behaviour);
        world.clock.advance(seconds(60));
        let error = world.idaas.api_key("model")?.key_text().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(part), "{part} is missing in: {shown}");
        assert!(!error.is_transient() && !shown.contains("KEYmarker"), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_of_idaas_is_replaced_once() -> Outcome {
    let world = World::new().await?;
    let scope = "urn:cloud:idaas:pam|.all".parse()?;
    world.api.revoke(world.idaas.token_for(&scope).await?.expose_token());
    assert_eq!(world.idaas.api_key("model")?.key_text().await?.expose_secret(), KEY);
    assert_eq!((world.calls(), world.issuer.token_requests()), (2, 2));
    Ok(())
}

#[tokio::test]
async fn the_permission_for_it_suffices_and_another_one_does_not() -> Outcome {
    let world = World::new().await?;
    let with = |permission: &str| -> Result<_, tower_idaas::BoxError> {
        let scope = format!("urn:cloud:idaas:pam|{permission}").parse()?;
        Ok(world.idaas.api_key("model")?.with_idaas_scope(scope))
    };
    with("credential:obtain")?.key_text().await?;
    let error = with("cloud_account_role:obtain_access_credential")?.key_text().await.unwrap_err();
    assert_eq!((error.code(), error.status()), (Some("insufficient_scope"), Some(StatusCode::FORBIDDEN)));
    Ok(())
}

#[tokio::test]
async fn what_is_missing_for_it_is_reported_before_anything_is_sent() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let error = client_of(&issuer).build()?.api_key("model").unwrap_err();
    assert!(error.to_string().contains("developerApiEndpoint"), "{error}");
    let world = World::new().await?;
    for (name, part) in [
        (" ".to_owned(), "is blank"),
        ("a\nb".to_owned(), "control character"),
        ("a".repeat(257), "longer than 256"),
    ] {
        let error = world.idaas.api_key(&name).unwrap_err();
        assert!(
            error.to_string().contains("credentialIdentifier") && error.to_string().contains(part),
            "{error}"
        );
    }
    Ok(())
}
