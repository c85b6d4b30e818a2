//! Where the DeveloperAPI comes from, and what is said when it is missing.

use std::time::Duration;

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tower_idaas::{BoxFuture, Error, ErrorKind, Idaas, Scope, TokenResponse, TokenSource};
use tower_idaas_testing::{Behaviour, ClientAuthentication, CloudVendor, TestIdaas};

use crate::cloud_role::support::{Outcome, ROLE, World, client_of, key_id, seconds};

#[tokio::test]
async fn the_vendors_file_names_the_api() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let api = issuer.start_developer_api().await?;
    api.add_role(ROLE, CloudVendor::AlibabaCloud);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("client-config.json");
    for endpoint in [api.endpoint(), format!("https://{}/", api.endpoint())] {
        let mut config: Value =
            serde_json::from_str(&issuer.client_config(ClientAuthentication::SecretPost))?;
        config["developerApiEndpoint"] = json!(endpoint);
        std::fs::write(&path, config.to_string())?;
        let idaas = Idaas::builder()
            .config_file(&path)
            .environment(issuer.environment())
            .root_certificate(issuer.root_certificate_pem())
            .build()?;
        idaas.cloud_role(ROLE)?.credentials().await?;
    }
    assert_eq!(api.issued(), 2);
    Ok(())
}

#[tokio::test]
async fn without_the_api_only_roles_are_missing_and_the_error_says_what_to_do() -> Outcome {
    let issuer = TestIdaas::start().await?;
    for builder in [client_of(&issuer), client_of(&issuer).developer_api_endpoint(" ")] {
        let idaas = builder.build()?;
        let error = idaas.cloud_role(ROLE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "configuration: `developerApiEndpoint` is missing; expected the DeveloperAPI's host, such as \
             `eiam-developerapi.cn-hangzhou.aliyuncs.com`"
        );
        idaas.token().await?;
    }
    let folder = tempfile::tempdir()?;
    let path = issuer.write_config(folder.path(), ClientAuthentication::SecretPost)?;
    let idaas = Idaas::builder().config_file(&path).environment(issuer.environment()).build()?;
    let expected = format!("configuration {}: `developerApiEndpoint` is missing", path.display());
    for error in [idaas.cloud_role(ROLE).unwrap_err(), idaas.api_key("model").unwrap_err()] {
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_endpoint_is_a_fault_of_the_configuration() -> Outcome {
    let issuer = TestIdaas::start().await?;
    for (endpoint, problem) in [
        ("https://user:pass@h.example/", "user name or password"),
        ("h.example/?a", "query"),
        ("api", "not a URL"),
    ] {
        let with_endpoint = client_of(&issuer).developer_api_endpoint(endpoint).build().unwrap_err();
        let source = Idaas::builder().scope("a|x").token_source(Sidecar).developer_api_endpoint(endpoint);
        for error in [with_endpoint, source.build().unwrap_err()] {
            assert!(error.to_string().contains("`developerApiEndpoint`"), "{error}");
            assert!(error.to_string().contains(problem) && !error.to_string().contains("pass@"), "{error}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_role_and_its_session_are_checked_before_anything_is_sent() -> Outcome {
    let world = World::new().await?;
    for arn in ["", " \n", "acs:ram::1:role/a\nb"] {
        let error = world.idaas.cloud_role(arn).unwrap_err();
        assert!(error.to_string().contains("`roleArn`") && error.to_string().contains("expected"), "{error}");
    }
    for duration in [seconds(0), seconds(899), seconds(43_201), Duration::from_millis(900_500), Duration::MAX]
    {
        let error = world.role()?.with_session_duration(duration).unwrap_err();
        assert!(error.to_string().contains("whole seconds from 900 to 43200"), "{error}");
    }
    for duration in [seconds(900), seconds(43_200)] {
        world.role()?.with_session_duration(duration)?;
    }
    assert!(world.issuer.requests().is_empty());
    Ok(())
}

/// Tokens from a process beside this one.
#[derive(Debug)]
struct Sidecar;

impl TokenSource for Sidecar {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move { TokenResponse::bearer(&format!("token-for-{}", scope.audience())) })
    }
}

#[tokio::test]
async fn a_token_source_of_ones_own_serves_roles_too() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let api = issuer.start_developer_api().await?;
    let source = || Idaas::builder().scope("api://a|read").token_source(Sidecar);
    let missing = |idaas: Idaas| idaas.cloud_role(ROLE).unwrap_err().faults()[0].key().to_owned();
    assert_eq!(missing(source().build()?), "developerApiEndpoint");
    assert_eq!(missing(source().developer_api_endpoint(api.endpoint()).build()?), "idaasInstanceId");

    let idaas = source()
        .instance_id(TestIdaas::INSTANCE_ID)
        .developer_api_endpoint(api.endpoint())
        .root_certificate(issuer.root_certificate_pem())
        .build()?;
    // Its tokens are none of this issuer's: refused, and sent as they are.
    let error = idaas.cloud_role(ROLE)?.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(api.requests()[0].headers[AUTHORIZATION], "Bearer token-for-urn:cloud:idaas:pam");
    Ok(())
}

#[tokio::test]
async fn tokens_of_the_openapi_serve_roles_too() -> Outcome {
    let issuer = TestIdaas::start().await?;
    let (open_api, api) = (issuer.start_open_api().await?, issuer.start_developer_api().await?);
    api.add_role(ROLE, CloudVendor::AlibabaCloud);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("client-config.json");
    let mut config: Value = serde_json::from_str(&open_api.client_config())?;
    config["developerApiEndpoint"] = json!(api.endpoint());
    std::fs::write(&path, config.to_string())?;
    let idaas = Idaas::builder()
        .config_file(&path)
        .environment(open_api.access_key().environment())
        .root_certificate(issuer.root_certificate_pem())
        .build()?;
    idaas.cloud_role(ROLE)?.credentials().await?;
    assert_eq!((api.issued(), open_api.requests().len(), issuer.token_requests()), (1, 1, 0));
    Ok(())
}

#[tokio::test]
async fn more_roles_than_are_kept_are_served_and_the_idle_ones_forgotten() -> Outcome {
    let world = World::new().await?;
    let first = key_id(&world.role()?.credentials().await?);
    world.api.set_behaviour(Behaviour::change(|_| {}));
    for number in 0..1_000 {
        let arn = format!("acs:ram::1:role/r{number}");
        world.api.add_role(&arn, CloudVendor::AlibabaCloud);
        world.idaas.cloud_role(arn)?.credentials().await?;
        if number == 500 {
            assert_eq!(key_id(&world.role()?.credentials().await?), first);
        }
    }
    assert_eq!(world.calls(), 1_001);
    let kept = world.idaas.cloud_role("acs:ram::1:role/r999")?;
    kept.credentials().await?;
    assert_eq!(world.calls(), 1_001);
    world.idaas.cloud_role("acs:ram::1:role/r0")?.credentials().await?;
    assert_eq!((world.calls(), world.issuer.token_requests()), (1_002, 1));
    Ok(())
}
