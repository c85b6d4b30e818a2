//! No log line at any level shows a part of a credential, or what one is fetched with.

use super::log::{Log, forms};
use super::*;

#[tokio::test]
async fn no_log_line_shows_a_credential_or_what_it_is_fetched_with() {
    let log = Log::start();
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("test-role", &fixture.open_api);
    let rrsa = fixture.rrsa();
    let mut hidden = vec![std::fs::read_to_string(fixture.folder.path().join("rrsa-token")).unwrap()];
    hidden.push(fixture.uri.uri().split_once("key=").unwrap().1.to_owned());
    hidden.push("not-a-real-access-key-secret".to_owned());

    fixture.write_cli_profile(json!({ "mode": "Hunter2markerXXXXXXXXXXXXXXXXXX", "access_key_id": "x" }));
    let half = with(fixture.uri.environment(), "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "Hunter2marker");
    hidden.push("Hunter2marker".to_owned());
    let assumed = json!({
        "mode": "RamRoleArn", "access_key_id": "LTAI_test",
        "access_key_secret": "not-a-real-access-key-secret", "ram_role_arn": StsService::ROLE_ARN,
    });
    for environment in [rrsa, nothing(), half, fixture.open_api.access_key().environment()] {
        fixture.client(&environment).token().await.unwrap();
    }
    fixture.write_cli_profile(assumed);
    fixture.client(&nothing()).token().await.unwrap();
    for behaviour in [Behaviour::Echo, Behaviour::status(StatusCode::BAD_GATEWAY)] {
        fixture.sts.set_behaviour(behaviour);
        failure(&fixture.client(&with(fixture.rrsa(), "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"))).await;
    }

    let requests = fixture.open_api.requests();
    let tokens = requests.iter().filter_map(|request| request.headers.get("x-acs-security-token"));
    hidden.extend(tokens.map(|token| token.to_str().unwrap().to_owned()));
    let text = log.text();
    for form in hidden.iter().flat_map(|secret| forms(secret)) {
        let line = text.lines().find(|line| line.contains(&form));
        assert!(line.is_none(), "{}", line.unwrap_or_default());
    }
    for part in ["source passed over", "Alibaba Cloud credential found", "oidc_role_arn"] {
        assert!(text.contains(part), "the log lacks {part}");
    }
    assert_eq!((requests.len(), hidden.len()), (5, 8));
}

#[tokio::test]
async fn a_token_in_the_variable_of_its_file_is_not_shown() {
    let log = Log::start();
    let fixture = Fixture::new().await;
    let token = std::fs::read_to_string(fixture.token_file()).unwrap();
    let environment = with(fixture.rrsa(), "ALIBABA_CLOUD_OIDC_TOKEN_FILE", &token);
    let idaas = fixture.client(&with(environment, "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"));
    let error = failure(&idaas).await;
    assert!(error.to_string().contains("a token stands where the path"), "{error}");
    assert!(!format!("{} {idaas:?}", everything(&error)).contains(&token), "{error:?}");
    assert!(!log.text().contains(&token));
}
