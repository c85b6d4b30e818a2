//! Access tokens of third parties.

use http::StatusCode;
use serde_json::{Value, json};
use tower_idaas::aliyun::ConsentRequired;
use tower_idaas::{Error, ErrorKind};
use tower_idaas_testing::Behaviour;

use super::support::{OtherApi, Outcome, World, status};
use crate::cloud_role::support::seconds;

const API: &str = "https://api.github.example";

async fn world() -> Result<World, tower_idaas::BoxError> {
    let world = World::new().await?;
    world.api.add_credential_provider("github", seconds(3600), "repo user", &[]);
    Ok(world)
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_due_by_its_own_end() -> Outcome {
    let world = world().await?;
    let github = world.idaas.oauth_token("github")?.with_scope("repo");
    let first = github.token().await?;
    let left = first.expires_at().duration_since(world.clock.now().system_time())?;
    assert!((3599..=3600).contains(&left.as_secs()), "{left:?}");
    assert_eq!(first.granted_scope(), Some("repo"));
    world.clock.advance(seconds(30 * 60));
    assert_eq!(github.token().await?.expose_token(), first.expose_token());
    assert_eq!(world.calls(), 1);
    world.clock.advance(seconds(30 * 60));
    assert_ne!(github.token().await?.expose_token(), first.expose_token());
    assert_eq!(world.calls(), 2);
    Ok(())
}

#[tokio::test]
async fn a_token_of_months_says_its_end_and_is_kept_for_a_day_at_most() -> Outcome {
    const MONTHS: u64 = 90 * 24 * 3600;
    let world = World::new().await?;
    world.api.add_credential_provider("github", seconds(MONTHS), "repo user", &[]);
    let github = world.idaas.oauth_token("github")?;
    let first = github.token().await?;
    let left = first.expires_at().duration_since(world.clock.now().system_time())?;
    assert!((MONTHS - 1..=MONTHS).contains(&left.as_secs()), "{left:?}");
    world.clock.advance(seconds(12 * 3600));
    assert_eq!(github.token().await?.expose_token(), first.expose_token());
    assert_eq!(world.calls(), 1);
    world.clock.advance(seconds(12 * 3600));
    assert_ne!(github.token().await?.expose_token(), first.expose_token());
    assert_eq!(world.calls(), 2);
    Ok(())
}

#[tokio::test]
async fn scopes_and_parameters_do_not_share_tokens() -> Outcome {
    let world = world().await?;
    world.api.add_credential_provider("crm", seconds(3600), "", &["tenant"]);
    let github = world.idaas.oauth_token("github")?;
    let (repo, user) = (github.clone().with_scope("repo"), github.with_scope("user"));
    assert_ne!(repo.token().await?.expose_token(), user.token().await?.expose_token());
    let crm = world.idaas.oauth_token("crm")?;
    let (a, b) =
        (crm.clone().with_parameter("tenant", "TENANTa"), crm.clone().with_parameter("tenant", "TENANTb"));
    assert_ne!(a.token().await?.expose_token(), b.token().await?.expose_token());
    assert_eq!(a.token().await?.expose_token(), a.clone().token().await?.expose_token());
    assert_eq!(world.calls(), 4);
    assert!(!format!("{a:?} {:?}", world.idaas).contains("TENANT"));
    for (token, part) in [
        (crm, "invalid_parameter (a custom parameter is missing)"),
        (world.idaas.oauth_token("github")?.with_scope("admin"), "invalid_scope"),
        (world.idaas.oauth_token("unknown")?, "IDaaS knows credential provider unknown"),
    ] {
        let error = token.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
        assert!(error.to_string().contains(part), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn the_layer_puts_the_token_on_requests_and_a_401_brings_another() -> Outcome {
    let world = world().await?;
    let github = world.idaas.oauth_token("github")?;
    let token = github.token().await?;
    let api = OtherApi::new("authorization", format!("Bearer {}", token.expose_token()));
    let client = api.behind(&github.layer([API])?);
    assert_eq!(status(&client, API).await?, StatusCode::OK);
    api.accept("another");
    assert_eq!(status(&client, API).await?, StatusCode::UNAUTHORIZED);
    assert_ne!(github.token().await?.expose_token(), token.expose_token());
    assert!(status(&client, "https://elsewhere.example").await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_for_once_gets_one_request_because_it_may_open_a_session_for_each() -> Outcome {
    let world = world().await?;
    // Its connection is idle from then on.
    world.idaas.api_key("model")?.key_text().await?;
    // Longer than an idle connection may stay silent, with the request received.
    let slow = Behaviour::change_response(|_| std::thread::sleep(std::time::Duration::from_millis(1_500)));
    world.api.set_behaviour(slow);
    world.idaas.oauth_token("github")?.token().await?;
    assert_eq!(world.calls(), 2);
    Ok(())
}

fn consent_of(error: &Error) -> &ConsentRequired {
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::ConsentRequired, false), "{error}");
    ConsentRequired::of(error).unwrap()
}

#[tokio::test]
async fn a_user_who_must_consent_is_led_there_by_an_error_that_does_not_show_where() -> Outcome {
    let world = world().await?;
    world.api.require_consent("github", true);
    let github = world.idaas.oauth_token("github")?;
    let error = github.token().await.unwrap_err();
    let consent = consent_of(&error);
    let url = consent.expose_authorization_url();
    let state = url.strip_prefix("https://third-party.example/authorize?state=").unwrap();
    assert_eq!(consent.expose_session_uri(), Some(format!("urn:session:{state}").as_str()));
    assert_eq!(consent.provider(), "github");
    let shown = format!("{error} {error:?} {error:#?} {consent} {consent:?} {consent:#?}");
    assert!(shown.contains("a user must consent at provider github first (session `pending`)"), "{shown}");
    assert!(!shown.contains(state) && !shown.contains("third-party.example"), "{shown}");
    // Through the layer as well.
    let api = OtherApi::new("authorization", "x");
    let error = status(&api.behind(&github.layer([API])?), API).await.unwrap_err();
    assert_eq!(consent_of(error.downcast_ref().unwrap()).expose_authorization_url(), url);
    assert!(!format!("{error} {error:?}").contains(state));
    assert_eq!((api.count(), world.calls()), (0, 1), "IDaaS is not called again at once");

    world.api.require_consent("github", false);
    world.clock.advance(seconds(6));
    github.token().await?;
    Ok(())
}

#[tokio::test]
async fn a_token_that_has_ended_is_revoked_or_of_another_type_is_refused() -> Outcome {
    let world = world().await?;
    let set = |name: &'static str, value: Value| {
        Behaviour::change(move |answer| drop(answer.insert(name.to_owned(), value.clone())))
    };
    let content = |token: &str, kind: &str| {
        set("oauthAccessTokenContent", json!({ "accessTokenValue": token, "tokenType": kind }))
    };
    let past = (world.clock.now().unix_seconds() - 1) * 1000;
    for (behaviour, part) in [
        (set("expirationTime", json!(past)), "the token in it has ended already"),
        (set("revoked", json!(true)), "the token of provider github is revoked"),
        (content("TOKENmarker", "mac"), "the token type `mac` is not supported"),
        (content("TOKENmarker", "TOKENmarker"), "is not supported, only Bearer is"),
        (content("TOKENmarker \n", "Bearer"), "holds characters that no header may hold"),
        (content("", "Bearer"), "its `accessTokenValue` is blank"),
        (Behaviour::change(|answer| answer.clear()), "carries no `oauthAccessTokenContent`"),
    ] {
        world.api.set_behaviour(behaviour);
        world.clock.advance(seconds(60));
        let error = world.idaas.oauth_token("github")?.token().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(part), "{part} is missing in: {shown}");
        assert!(!error.is_transient() && !shown.contains("marker"), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_without_an_end_is_kept_for_a_minute() -> Outcome {
    let world = world().await?;
    world.api.set_behaviour(Behaviour::change(|answer| drop(answer.remove("expirationTime"))));
    let github = world.idaas.oauth_token("github")?;
    let token = github.token().await?;
    assert_eq!(github.token().await?.expose_token(), token.expose_token());
    world.clock.advance(seconds(61));
    assert_ne!(github.token().await?.expose_token(), token.expose_token());
    Ok(())
}

#[tokio::test]
async fn an_echo_of_the_custom_parameters_is_redacted() -> Outcome {
    let world = world().await?;
    let refusal =
        json!({ "error": "invalid_parameter", "error_description": "no S3CRETmarker-0001 is known" });
    world.api.set_behaviour(Behaviour::json(StatusCode::BAD_REQUEST, &refusal));
    let token = world.idaas.oauth_token("github")?.with_parameter("pin", "S3CRETmarker-0001");
    let error = token.token().await.unwrap_err();
    assert!(error.to_string().contains("check the provider's identifier"), "{error}");
    assert!(!format!("{error} {error:?}").contains("S3CRETmarker"), "{error}");
    Ok(())
}
