//! Tokens that the DeveloperAPI refuses, and credentials that a cloud does.

use http::StatusCode;
use serde_json::json;
use tower_idaas::ErrorKind;
use tower_idaas_testing::{Behaviour, TestIdaas};

use crate::cloud_role::support::{Outcome, PAM, ROLE, World, client_of, key_id, seconds};

#[tokio::test]
async fn credentials_that_a_cloud_rejects_are_replaced_once_and_do_not_come_back() -> Outcome {
    let world = World::new().await?;
    let (role, clone) = (world.role()?, world.role()?);
    let rejected = role.credentials().await?;
    role.invalidate(&rejected);
    let next = role.credentials().await?;
    assert_ne!(key_id(&next), key_id(&rejected));
    // By identity: what is heard late of the first ones says nothing about those in their place.
    role.invalidate(&rejected);
    assert_eq!(key_id(&clone.credentials().await?), key_id(&next));
    assert_eq!((world.calls(), world.issuer.token_requests()), (2, 1));
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_and_does_not_come_back() -> Outcome {
    let world = World::new().await?;
    let scope = PAM.parse()?;
    let revoked = world.idaas.token_for(&scope).await?;
    world.api.revoke(revoked.expose_token());
    world.role()?.credentials().await?;
    assert_eq!((world.calls(), world.issuer.token_requests()), (2, 2));
    let present = world.idaas.token_for(&scope).await?;
    assert_ne!(present.expose_token(), revoked.expose_token());
    assert_eq!(world.issuer.token_requests(), 2);
    Ok(())
}

#[tokio::test]
async fn an_api_that_refuses_every_token_gets_two_requests_and_then_none() -> Outcome {
    let described = Behaviour::json(
        StatusCode::UNAUTHORIZED,
        &json!({ "code": "InvalidToken", "message": "no such token", "requestId": "req_1" }),
    );
    for (behaviour, parts) in [
        (described, vec!["InvalidToken (no such token), request id req_1"]),
        (Behaviour::status(StatusCode::UNAUTHORIZED), vec!["no reason that can be read"]),
    ] {
        let world = World::new().await?;
        world.api.set_behaviour(behaviour);
        let role = world.role()?;
        for _ in 0..20 {
            let error = role.credentials().await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
            assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
            let hint = "check that the application is granted `urn:cloud:idaas:pam|.all`";
            for part in parts.iter().chain(["401 Unauthorized", hint].iter()) {
                assert!(error.to_string().contains(part), "{part} is missing in: {error}");
            }
        }
        assert_eq!((world.calls(), world.issuer.token_requests()), (2, 2));
        // Later on, one call: a token that was issued a moment ago is not taken from others for this API's sake.
        world.clock.advance(seconds(10));
        role.credentials().await.unwrap_err();
        assert_eq!((world.calls(), world.issuer.token_requests()), (3, 2));
    }
    Ok(())
}

#[tokio::test]
async fn a_token_of_another_audience_is_refused_by_the_api() -> Outcome {
    let world = World::new().await?;
    let role = world.role()?.with_scope("api://orders|read".parse()?);
    let error = role.credentials().await.unwrap_err();
    assert!(error.to_string().contains("the token is for another audience"), "{error}");
    assert_eq!(world.api.issued(), 0);

    let role = world.role()?.with_scope("urn:cloud:idaas:pam|something_else".parse()?);
    let error = role.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Refused, Some(StatusCode::FORBIDDEN)));
    assert_eq!(error.code(), Some("insufficient_scope"));
    let hint = format!("granted role {ROLE}, and scope `urn:cloud:idaas:pam|something_else`");
    assert!(error.to_string().contains(&hint), "{error}");
    Ok(())
}

#[tokio::test]
async fn without_a_token_the_api_gets_no_request() -> Outcome {
    let issuer = TestIdaas::builder().scope("api://orders|read").start().await?;
    let api = issuer.start_developer_api().await?;
    let idaas = client_of(&issuer).developer_api_endpoint(api.endpoint()).build()?;
    let error = idaas.cloud_role(ROLE)?.credentials().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_scope"));
    assert!(api.requests().is_empty());
    Ok(())
}
