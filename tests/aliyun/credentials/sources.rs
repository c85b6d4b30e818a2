//! Each source alone gives an identity that the OpenAPI accepts.

use super::*;

/// A token, and who signed for it.
async fn signed(fixture: &Fixture, environment: &ManualEnvironment) -> String {
    fixture.client(environment).token().await.unwrap();
    fixture.signer()
}

#[tokio::test]
async fn the_environment_gives_permanent_and_temporary_keys() {
    let fixture = Fixture::new().await;
    let permanent = fixture.open_api.access_key();
    assert_eq!(signed(&fixture, &permanent.environment()).await, permanent.id());
    let temporary = AccessKey::new("STS.env", "s3cret").with_security_token("t0ken+/==");
    fixture.open_api.add_access_key(temporary.clone());
    assert_eq!(signed(&fixture, &temporary.environment()).await, "STS.env");
    let requests = fixture.open_api.requests();
    assert_eq!(requests.last().unwrap().headers["x-acs-security-token"], "t0ken+/==");
    assert_eq!(fixture.open_api.tokens_issued(), 2);
}

#[tokio::test]
async fn a_service_accounts_token_is_exchanged_for_a_roles_credential_and_is_in_no_url() {
    let fixture = Fixture::new().await;
    let environment = with(fixture.rrsa(), "ALIBABA_CLOUD_ROLE_SESSION_NAME", "orders@prod");
    assert!(signed(&fixture, &environment).await.starts_with("STS."));
    let requests = fixture.sts.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].uri.path()), ("POST", "/"));
    let query = requests[0].uri.query().unwrap();
    let names: Vec<&str> = query.split('&').map(|pair| pair.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["Action", "Version", "Format", "Timestamp"]);
    assert_eq!(requests[0].parameter("Action"), Some("AssumeRoleWithOIDC"));
    let token = std::fs::read_to_string(fixture.folder.path().join("rrsa-token")).unwrap();
    assert_eq!(requests[0].parameter("OIDCToken"), Some(token.as_str()));
    assert_eq!(requests[0].parameter("RoleSessionName"), Some("orders@prod"));
    environment.remove("ALIBABA_CLOUD_ROLE_SESSION_NAME");
    signed(&fixture, &environment).await;
    let again = &fixture.sts.requests()[1];
    let generated = again.parameter("RoleSessionName").unwrap();
    assert!(generated.starts_with("tower-idaas-"), "{generated}");
}

#[tokio::test]
async fn a_profile_of_the_command_line_serves_in_every_mode() {
    let fixture = Fixture::new().await;
    let permanent = fixture.open_api.access_key();
    let secret = "not-a-real-access-key-secret";
    fixture.open_api.add_access_key(AccessKey::new("STS.cli", "s3cret").with_security_token("t0ken"));
    fixture.metadata.attach_role("test-role", &fixture.open_api);

    fixture.write_cli_profile(
        json!({ "mode": "AK", "access_key_id": permanent.id(), "access_key_secret": secret }),
    );
    assert_eq!(signed(&fixture, &nothing()).await, permanent.id());

    fixture.write_cli_profile(json!({
        "mode": "StsToken", "access_key_id": "STS.cli", "access_key_secret": "s3cret", "sts_token": "t0ken",
    }));
    assert_eq!(signed(&fixture, &nothing()).await, "STS.cli");

    fixture.write_cli_profile(json!({
        "mode": "RamRoleArn", "access_key_id": permanent.id(), "access_key_secret": secret,
        "ram_role_arn": StsService::ROLE_ARN, "ram_session_name": "me", "expired_seconds": 900,
    }));
    assert!(signed(&fixture, &nothing()).await.starts_with("STS.test"));

    fixture.write_cli_profile(json!({
        "mode": "OIDC", "ram_role_arn": StsService::ROLE_ARN, "ram_session_name": "me",
        "oidc_provider_arn": StsService::OIDC_PROVIDER_ARN, "oidc_token_file": fixture.token_file(),
    }));
    assert!(signed(&fixture, &nothing()).await.starts_with("STS.test"));
    let requests = fixture.sts.requests();
    assert_eq!(requests[0].headers["x-acs-action"], "AssumeRole");
    assert_eq!((requests.len(), requests[1].parameter("Action")), (2, Some("AssumeRoleWithOIDC")));

    fixture.write_cli_profile(json!({ "mode": "EcsRamRole", "ram_role_name": "test-role" }));
    assert!(signed(&fixture, &nothing()).await.starts_with("STS.test"));
    assert_eq!(fixture.metadata.requests().len(), 2, "a token and a credential: the role's name is known");
    assert_eq!(fixture.open_api.tokens_issued(), 5);
}

#[tokio::test]
async fn a_section_of_the_credentials_file_serves_in_every_type() {
    let fixture = Fixture::new().await;
    let key = "access_key_id = LTAI_test\naccess_key_secret = not-a-real-access-key-secret\n";
    let role = format!("role_arn = {}\n", StsService::ROLE_ARN);
    let oidc = format!(
        "oidc_provider_arn = {}\noidc_token_file_path = ~/rrsa-token\n",
        StsService::OIDC_PROVIDER_ARN
    );
    fixture.token_file();
    fixture.open_api.add_access_key(AccessKey::new("STS.ini", "s3cret").with_security_token("t0ken"));
    fixture.metadata.attach_role("test-role", &fixture.open_api);
    let sections = [
        ("access_key", key.to_owned()),
        ("sts", "access_key_id=STS.ini\naccess_key_secret=s3cret\nsecurity_token=t0ken\n".to_owned()),
        ("ram_role_arn", format!("{key}{role}")),
        ("oidc_role_arn", format!("{role}{oidc}")),
        ("ecs_ram_role", "role_name = test-role\n".to_owned()),
    ];
    let sections = sections.map(|(kind, fields)| format!("[{kind}]\ntype = {kind}\n{fields}\n"));
    let elsewhere = fixture.write("elsewhere", &sections.concat());
    for kind in ["access_key", "sts", "ram_role_arn", "oidc_role_arn", "ecs_ram_role"] {
        let environment = with(nothing(), "ALIBABA_CLOUD_PROFILE", kind);
        environment.set("ALIBABA_CLOUD_CREDENTIALS_FILE", &elsewhere);
        fixture.client(&environment).token().await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
    let text = format!("[default]\ntype = access_key\n{key}");
    let path = fixture.write_profile(&text);
    assert_eq!(signed(&fixture, &nothing()).await, "LTAI_test");
    std::fs::rename(&path, path.with_extension("ini")).unwrap();
    assert_eq!(signed(&fixture, &nothing()).await, "LTAI_test");
    // Where both are, the one without an extension counts.
    fixture.write_profile(
        "[default]\ntype=sts\naccess_key_id=STS.ini\naccess_key_secret=s3cret\nsecurity_token=t0ken\n",
    );
    assert_eq!(signed(&fixture, &nothing()).await, "STS.ini");
    assert_eq!(fixture.open_api.tokens_issued(), 8);
}

#[tokio::test]
async fn the_environment_names_another_file_of_the_command_line() {
    let fixture = Fixture::new().await;
    fixture
        .write_cli_profile(json!({ "mode": "AK", "access_key_id": "other", "access_key_secret": "s3cret" }));
    let profile = json!({
        "name": "p", "mode": "AK", "access_key_id": "LTAI_test",
        "access_key_secret": "not-a-real-access-key-secret",
    });
    fixture.write("elsewhere.json", &json!({ "current": "p", "profiles": [profile] }).to_string());
    let environment = with(nothing(), "ALIBABA_CLOUD_CONFIG_FILE", "~/elsewhere.json");
    assert_eq!(signed(&fixture, &environment).await, "LTAI_test");
}

#[tokio::test]
async fn the_role_of_the_instance_is_found_with_and_without_its_name() {
    let fixture = Fixture::new().await;
    let paths = |fixture: &Fixture| -> Vec<String> {
        let requests = fixture.metadata.requests();
        requests.iter().map(|request| format!("{} {}", request.method, request.uri)).collect()
    };
    fixture.metadata.attach_role("test-role", &fixture.open_api);
    signed(&fixture, &nothing()).await;
    let root = "/latest/meta-data/ram/security-credentials/";
    assert_eq!(
        paths(&fixture),
        ["PUT /latest/api/token".to_owned(), format!("GET {root}"), format!("GET {root}test-role"),]
    );
    signed(&fixture, &with(nothing(), "ALIBABA_CLOUD_ECS_METADATA", "test-role")).await;
    assert_eq!(paths(&fixture)[3..], ["PUT /latest/api/token".to_owned(), format!("GET {root}test-role")]);
}

#[tokio::test]
async fn the_role_of_an_instance_that_gives_no_token_is_found_unless_that_is_forbidden() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("test-role", &fixture.open_api);
    fixture.metadata.serve_without_tokens();
    assert!(signed(&fixture, &nothing()).await.starts_with("STS.test"));
    let requests = fixture.metadata.requests();
    assert!(requests.iter().all(|request| !request.headers.contains_key("x-aliyun-ecs-metadata-token")));

    let forbidden = with(nothing(), "ALIBABA_CLOUD_IMDSV1_DISABLED", "true");
    let error = fixture.client(&forbidden).token().await.unwrap_err();
    assert!(error.to_string().contains("responded to PUT /latest/api/token with 404"), "{error}");
}

#[tokio::test]
async fn a_credentials_uri_is_requested() {
    let fixture = Fixture::new().await;
    assert!(signed(&fixture, &fixture.uri.environment()).await.starts_with("STS.test"));
    assert_eq!((fixture.uri.requests().len(), fixture.metadata.requests().len()), (1, 0));
}
