//! `idaas api-key` and `idaas oauth-token`: secrets stored in IDaaS.

use std::time::Duration;

use serde_json::Value;
use tower_idaas_testing::DeveloperApi;

use super::cloud_role::fixture as with_developer_api;
use super::{Fixture, assert_fails, done, run_with, text};

const KEY: &str = "sk-marker-of-an-api-key";

pub(crate) async fn fixture() -> (Fixture, DeveloperApi) {
    let (fixture, api) = with_developer_api().await;
    api.store_api_key("model", KEY);
    api.add_credential_provider("forge", Duration::from_secs(3_600), "read write", &[]);
    api.add_credential_provider("crm", Duration::from_secs(3_600), "", &["tenant"]);
    (fixture, api)
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_str(done(output)).unwrap()
}

#[tokio::test]
async fn each_format_of_an_api_key_is_what_its_reader_takes() {
    let (fixture, _api) = fixture().await;
    assert_eq!(done(&fixture.run(&["api-key", "model"]).await), format!("{KEY}\n"));
    let header = fixture.run(&["api-key", "model", "--format", "header"]).await;
    assert_eq!(done(&header), format!("Authorization: Bearer {KEY}\n"));
    let key = json(&fixture.run(&["api-key", "model", "--format", "json"]).await);
    assert_eq!(key, serde_json::json!({ "name": "model", "api_key": KEY }));
}

#[tokio::test]
async fn a_third_partys_token_has_the_scope_that_is_requested() {
    let (fixture, _api) = fixture().await;
    let token = fixture.run(&["oauth-token", "forge"]).await;
    assert!(done(&token).starts_with("3rd_") && done(&token).lines().count() == 1);
    let header = fixture.run(&["oauth-token", "forge", "--format", "header"]).await;
    assert!(done(&header).starts_with("Authorization: Bearer 3rd_"));
    let token = json(&fixture.run(&["oauth-token", "forge", "--scope", "read", "--format", "json"]).await);
    assert_eq!(token.get("scope"), Some(&"read".into()));
    assert_eq!(token.get("token_type"), Some(&"Bearer".into()));
    assert!((3_500..=3_600).contains(&token.get("expires_in").unwrap().as_u64().unwrap()), "{token}");
    let refused = fixture.run(&["oauth-token", "forge", "--scope", "admin"]).await;
    assert_fails(&refused, 1, &["invalid_scope"]);
}

#[tokio::test]
async fn custom_parameters_come_from_a_file_or_stdin_and_are_not_shown() {
    let (fixture, _api) = fixture().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let file = fixture.folder.path().join("parameters.json");
    std::fs::write(&file, r#"{"tenant": "marker-of-a-parameter"}"#).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    done(&fixture.run(&["oauth-token", "crm", "--parameters", file]).await);
    let with =
        |input: &'static str| run_with(&["oauth-token", "crm", "--parameters", "-"], &variables, input);
    done(&with(r#"{"tenant": "marker-of-a-parameter"}"#).await);

    assert_fails(&fixture.run(&["oauth-token", "crm"]).await, 1, &["custom parameters"]);
    for (input, expected) in [
        (r#"{"tenant": {"marker": 1}}"#, "stdin holds no JSON object of texts"),
        (r#"["marker"]"#, "stdin holds no JSON object of texts"),
        ("marker", "stdin holds no JSON object of texts"),
        (" \n", "stdin is blank"),
    ] {
        let output = with(input).await;
        assert_fails(&output, 1, &[expected]);
        assert!(!text(&output.stderr).contains("marker"), "{input}");
    }
    let gone = fixture.run(&["oauth-token", "crm", "--parameters", "/nowhere/parameters"]).await;
    assert_fails(&gone, 1, &["/nowhere/parameters"]);
}

#[tokio::test]
async fn a_users_consent_is_requested_on_stderr_with_the_address_and_a_code_of_its_own() {
    let (fixture, api) = fixture().await;
    api.require_consent("forge", true);
    let output = fixture.run(&["oauth-token", "forge"]).await;
    assert_fails(&output, 4, &["a user must consent at provider forge first", "run the command again"]);
    let address = text(&output.stderr).lines().find_map(|line| line.strip_prefix("  https://")).unwrap();
    assert!(address.starts_with("third-party.example/authorize?state="), "{address}");
    api.require_consent("forge", false);
    assert!(done(&fixture.run(&["oauth-token", "forge"]).await).starts_with("3rd_"));
}

#[tokio::test]
async fn a_name_that_idaas_does_not_know_or_that_is_none_is_reported() {
    let (fixture, api) = fixture().await;
    assert_fails(&fixture.run(&["api-key", "nothing"]).await, 1, &["nothing", "credential_not_found"]);
    assert_fails(&fixture.run(&["oauth-token", "nothing"]).await, 1, &["nothing", "provider_not_found"]);
    assert_fails(&fixture.run(&["api-key", " "]).await, 2, &["is blank"]);
    api.set_credential_enabled("model", false);
    assert_fails(&fixture.run(&["api-key", "model"]).await, 1, &["model", "not enabled"]);
    let without = Fixture::new().await;
    for command in [["api-key", "model"], ["oauth-token", "forge"]] {
        let expected = ["client-config.json: `developerApiEndpoint` is missing"];
        assert_fails(&without.run(&command).await, 3, &expected);
    }
}

#[tokio::test]
async fn idaas_is_called_with_the_scope_that_is_requested() {
    let (fixture, _api) = fixture().await;
    let scope = "urn:cloud:idaas:pam|credential:obtain";
    assert_eq!(done(&fixture.run(&["api-key", "model", "--idaas-scope", scope]).await), format!("{KEY}\n"));
    let other = "urn:cloud:idaas:pam|something:else";
    for command in [["api-key", "model"], ["oauth-token", "forge"]] {
        let output = fixture.run(&[&command[..], &["--idaas-scope", other]].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    }
}
