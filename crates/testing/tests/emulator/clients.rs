//! What clients are given, what is not shown, and the end.

use super::*;

#[tokio::test]
async fn a_client_finds_all_it_needs_in_the_files_and_the_environment() {
    let idaas = TestIdaas::builder().scope("api://orders|read").start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = idaas.write_config(directory.path(), ClientAuthentication::SecretPost).unwrap();
    let config: Value = serde_json::from_slice(&std::fs::read(config).unwrap()).unwrap();
    assert_eq!(config["tokenEndpoint"], idaas.token_endpoint());
    assert_eq!(config["issuer"], idaas.issuer());
    assert_eq!(config["scope"], "api://orders|read");
    assert_eq!(config["authnConfiguration"]["authnMethod"], "CLIENT_SECRET_POST");
    assert_eq!(config["authnConfiguration"]["clientSecretEnvVarName"], TestIdaas::SECRET_VARIABLE);
    assert!(!config.to_string().contains("not-a-real-secret"));
    let root = idaas.write_root_certificate(directory.path()).unwrap();
    assert_eq!(std::fs::read_to_string(root).unwrap(), idaas.root_certificate_pem());
    assert_eq!(
        format!("{:?}", idaas.environment()),
        "ManualEnvironment([\"IDAAS_CLIENT_SECRET\", \"IDAAS_PRIVATE_KEY\"])"
    );
}

#[tokio::test]
async fn a_malformed_grant_stops_the_start() {
    let error = TestIdaas::builder().scope("read").start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn nothing_shows_a_secret_or_a_token() {
    let builder = TestIdaas::builder().client("app_1", "s3cret");
    assert!(!format!("{builder:?}").contains("s3cret"));
    let idaas = builder.start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let api = idaas.api("api://x");
    let shown = format!("{api:?}");
    let api = api.start().await.unwrap();
    let token = token(&http, &idaas, "api://x|read").await;
    api.revoke(&token);
    idaas.behave_once(Behaviour::response(StatusCode::OK, "text/plain", token.clone()));
    let shown = format!("{shown}{idaas:#?}{api:#?}{:#?}", idaas.requests());
    assert!(!shown.contains("s3cret") && !shown.contains(&token), "{shown}");
}

#[test]
fn dropping_outside_a_runtime_is_silent() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (idaas, api, down) = runtime.block_on(async {
        let idaas = TestIdaas::start().await.unwrap();
        let api = idaas.api("api://x").start().await.unwrap();
        token(&client(&idaas, Version::HTTP_2), &idaas, "api://x|read").await;
        let down = TestIdaas::start().await.unwrap();
        down.down().await;
        (idaas, api, down)
    });
    drop(idaas);
    drop(runtime);
    drop(api); // its runtime is gone already
    drop(down);
}
