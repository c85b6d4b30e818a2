//! No log line at any level shows a stored secret, or where a user consents.

use http::StatusCode;
use serde_json::json;
use tower_idaas::aliyun::ConsentRequired;
use tower_idaas_testing::Behaviour;

use super::support::{KEY, OtherApi, Outcome, World, status};
use crate::cloud_role::support::seconds;
use crate::support::log::{Log, forms};

const LLM: &str = "https://llm.example.com";

#[tokio::test]
async fn no_log_line_shows_a_stored_secret_or_the_address_of_a_consent() -> Outcome {
    let log = Log::start();
    let world = World::new().await?;
    world.api.store_oauth_client("crm", "crm-id", "S3CRETmarker-of-crm");
    world.api.add_credential_provider("github", seconds(3600), "", &[]);
    world.api.add_credential_provider("consented", seconds(3600), "", &[]);
    world.api.require_consent("consented", true);

    let mut hidden = vec![KEY.to_owned(), "S3CRETmarker-of-crm".to_owned(), "PINmarker-0001".to_owned()];
    let key = world.idaas.api_key("model")?;
    let api = OtherApi::new("authorization", format!("Bearer {KEY}"));
    assert_eq!(status(&api.behind(&key.layer([LLM])?), LLM).await?, StatusCode::OK);
    api.accept("another");
    status(&api.behind(&key.layer([LLM])?), LLM).await?;
    world.idaas.oauth_client("crm")?.credentials().await?;
    let token = world.idaas.oauth_token("github")?.with_parameter("pin", "PINmarker-0001").token().await?;
    hidden.push(token.expose_token().to_owned());

    let error = world.idaas.oauth_token("consented")?.token().await.unwrap_err();
    let consent = ConsentRequired::of(&error).ok_or("no consent is requested")?;
    let state = consent.expose_authorization_url().rsplit('=').next().unwrap_or_default();
    hidden.extend([consent.expose_authorization_url().to_owned(), state.to_owned()]);
    hidden.extend(consent.expose_session_uri().map(str::to_owned));

    let echo = json!({ "error": "invalid_parameter", "error_description": "no PINmarker-0001 is known" });
    for behaviour in [Behaviour::Echo, Behaviour::json(StatusCode::BAD_REQUEST, &echo)] {
        world.api.set_behaviour(behaviour);
        let provider = world.idaas.oauth_token("github")?;
        provider.with_parameter("pin", "PINmarker-0001").with_scope("other").token().await.unwrap_err();
        world.clock.advance(seconds(60));
    }

    let text = log.text();
    for form in hidden.iter().flat_map(|secret| forms(secret)) {
        let line = text.lines().find(|line| line.contains(&form));
        assert!(line.is_none(), "{}", line.unwrap_or_default());
    }
    assert_eq!(hidden.len(), 7, "a secret is not looked for");
    for part in ["API key model", "OAuth client crm", "OAuth token of consented", "consent"] {
        assert!(text.contains(part), "the log lacks {part}");
    }
    Ok(())
}
