//! OAuth clients, as a value.

use tower_idaas::ErrorKind;
use tower_idaas_testing::Behaviour;

use super::support::{Outcome, World};
use crate::cloud_role::support::seconds;

#[tokio::test]
async fn a_client_is_a_value_whose_secret_is_shown_nowhere() -> Outcome {
    let world = World::new().await?;
    world.api.store_oauth_client("crm", "crm-id", "S3CRETmarker");
    let client = world.idaas.oauth_client("crm")?;
    let old = client.credentials().await?;
    assert_eq!((old.client_id(), old.client_secret().expose_secret()), ("crm-id", "S3CRETmarker"));
    assert_eq!(client.credentials().await?.client_id(), "crm-id");
    assert_eq!(world.calls(), 1);
    assert!(!format!("{client:?} {old:?} {:?}", world.idaas).contains("marker"));
    world.api.store_oauth_client("crm", "crm-id", "next");
    client.invalidate(&old);
    assert_eq!(client.credentials().await?.client_secret().expose_secret(), "next");
    world.api.store_oauth_client("crm", "crm-id", "third");
    world.clock.advance(seconds(301));
    assert_eq!(client.credentials().await?.client_secret().expose_secret(), "third");
    Ok(())
}

#[tokio::test]
async fn an_api_key_where_a_client_is_requested_is_reported() -> Outcome {
    let world = World::new().await?;
    let error = world.idaas.oauth_client("model")?.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    let text = "credential model is an API key, not an OAuth client; request it with `Idaas::api_key`";
    assert!(error.to_string().contains(text), "{error}");
    assert!(!format!("{error:?}").contains("KEYmarker"));
    Ok(())
}

#[tokio::test]
async fn a_client_without_a_secret_is_no_client() -> Outcome {
    let world = World::new().await?;
    world.api.store_oauth_client("crm", "crm-id", " ");
    let error = world.idaas.oauth_client("crm")?.credentials().await.unwrap_err();
    assert!(error.to_string().contains("carries no `clientSecret`"), "{error}");
    world.api.set_behaviour(Behaviour::change(|answer| drop(answer.remove("credentialContent"))));
    world.clock.advance(seconds(60));
    let error = world.idaas.oauth_client("crm")?.credentials().await.unwrap_err();
    assert!(error.to_string().contains("carries no `credentialContent`"), "{error}");
    Ok(())
}
