//! The order of the sources, and their switches.

use super::*;

#[tokio::test]
async fn the_first_source_that_works_gives_the_identity() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("test-role", &fixture.open_api);
    for name in ["env", "cli", "ini"] {
        fixture.open_api.add_access_key(AccessKey::new(name, "s3cret"));
    }
    let environment = fixture.rrsa();
    for (name, value) in [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "env"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s3cret"),
        ("ALIBABA_CLOUD_CREDENTIALS_URI", &fixture.uri.uri()),
    ] {
        environment.set(name, value);
    }
    fixture.write_cli_profile(json!({ "mode": "AK", "access_key_id": "cli", "access_key_secret": "s3cret" }));
    let ini = fixture
        .write_profile("[default]\ntype = access_key\naccess_key_id = ini\naccess_key_secret = s3cret\n");
    let requests = |fixture: &Fixture| {
        (fixture.sts.requests().len(), fixture.metadata.requests().len(), fixture.uri.requests().len())
    };

    fixture.client(&environment).token().await.unwrap();
    assert_eq!((fixture.signer().as_str(), requests(&fixture)), ("env", (0, 0, 0)));

    environment.remove("ALIBABA_CLOUD_ACCESS_KEY_ID");
    environment.remove("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    fixture.client(&environment).token().await.unwrap();
    assert_eq!(requests(&fixture), (1, 0, 0));

    environment.remove("ALIBABA_CLOUD_OIDC_TOKEN_FILE");
    environment.remove("ALIBABA_CLOUD_OIDC_PROVIDER_ARN");
    fixture.client(&environment).token().await.unwrap();
    assert_eq!((fixture.signer().as_str(), requests(&fixture)), ("cli", (1, 0, 0)));

    environment.set("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "True");
    fixture.client(&environment).token().await.unwrap();
    assert_eq!((fixture.signer().as_str(), requests(&fixture)), ("ini", (1, 0, 0)));

    std::fs::remove_file(ini).unwrap();
    fixture.client(&environment).token().await.unwrap();
    assert_eq!(requests(&fixture), (1, 3, 0));

    environment.set("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    fixture.client(&environment).token().await.unwrap();
    assert_eq!(requests(&fixture), (1, 3, 1));
    assert_eq!(fixture.open_api.tokens_issued(), 6);
}

#[tokio::test]
async fn a_file_that_is_half_written_from_the_start_gives_way_to_no_other_identity() {
    let fixture = Fixture::new().await;
    fixture.open_api.add_access_key(AccessKey::new("ini", "s3cret"));
    let whole = "[default]\ntype = access_key\naccess_key_id = ini\naccess_key_secret = s3cret\n";
    let environment = fixture.uri.environment();
    for cut in [
        "",
        "[def",
        "[default]\n",
        "[default]\ntype = acc",
        &whole[..whole.find("access_key_secret").unwrap()],
    ] {
        fixture.write_profile(cut);
        let error = failure(&fixture.client(&environment)).await;
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, true), "{cut}");
    }
    fixture.write_profile(whole);
    fixture.client(&environment).token().await.unwrap();
    assert_eq!((fixture.signer().as_str(), fixture.uri.requests().len()), ("ini", 0));

    fixture.write(".aliyun/config.json", "{}");
    let error = failure(&fixture.client(&environment)).await;
    assert!(error.to_string().contains("names no `current` profile") && error.is_transient(), "{error}");
    assert_eq!(fixture.uri.requests().len(), 0);
}

#[tokio::test]
async fn a_chosen_profile_is_that_of_either_file_and_no_other_identity_takes_its_place() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    fixture.open_api.add_access_key(AccessKey::new("ini", "s3cret"));
    let environment = with(nothing(), "ALIBABA_CLOUD_PROFILE", "Ops");
    let section = |name: &str| {
        format!("[{name}]\ntype = access_key\naccess_key_id = ini\naccess_key_secret = s3cret\n")
    };
    for (cli, ini, part) in [
        (None, None, "although ALIBABA_CLOUD_PROFILE chooses a profile"),
        (Some("cli"), None, "has no profile `Ops`"),
        (Some("cli"), Some("default"), "has no section `[Ops]`"),
    ] {
        if let Some(id) = cli {
            fixture.write_cli_profile(
                json!({ "mode": "AK", "access_key_id": id, "access_key_secret": "s3cret" }),
            );
        }
        if let Some(name) = ini {
            fixture.write_profile(&section(name));
        }
        let error = failure(&fixture.client(&environment)).await;
        assert!(error.is_transient() && error.to_string().contains(part), "{part} is missing in: {error}");
    }
    fixture.write_profile(&section("Ops"));
    fixture.client(&environment).token().await.unwrap();
    assert_eq!((fixture.signer().as_str(), fixture.metadata.requests().len()), ("ini", 0));
}

#[tokio::test]
async fn a_source_that_does_not_work_is_passed_over() {
    let fixture = Fixture::new().await;
    let environment = with(fixture.uri.environment(), "ALIBABA_CLOUD_ACCESS_KEY_ID", "half");
    environment.set("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/nowhere");
    fixture.write_cli_profile(json!({ "mode": "CloudSSO" }));
    fixture.write_profile("[default]\ntype = rsa_key_pair\n");
    fixture.client(&environment).token().await.unwrap();
    assert_eq!(fixture.uri.requests().len(), 1);
}

#[tokio::test]
async fn a_source_that_works_is_tried_first_and_once_it_fails_the_order_counts_again() {
    let fixture = Fixture::new().await;
    let environment = fixture.rrsa();
    let idaas = fixture.client(&environment);
    idaas.token().await.unwrap();
    let role = fixture.signer();

    let permanent = fixture.open_api.access_key();
    environment.set("ALIBABA_CLOUD_ACCESS_KEY_ID", permanent.id());
    environment.set("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "not-a-real-access-key-secret");
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    assert_eq!(fixture.signer(), role);

    environment.remove("ALIBABA_CLOUD_ROLE_ARN");
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    assert_eq!(fixture.signer(), permanent.id());
    assert_eq!(fixture.sts.requests().len(), 1);
}

#[tokio::test]
async fn a_source_that_may_work_soon_is_waited_for_and_no_other_identity_is_taken() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    fixture.sts.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    let idaas = fixture.client(&fixture.rrsa());
    let error = failure(&idaas).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
    for part in [
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set | OIDC role (RRSA): ",
        "responded with 503",
        "no other provider is used in its place",
    ] {
        assert!(error.to_string().contains(part), "{part} is missing in: {error}");
    }
    assert_eq!((fixture.metadata.requests().len(), fixture.open_api.requests().len()), (0, 0));

    fixture.sts.set_behaviour(Behaviour::Normal);
    fixture.clock.advance(MINUTE);
    idaas.token().await.unwrap();
    assert_eq!((fixture.sts.credentials_issued(), fixture.metadata.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_token_file_that_is_not_mounted_yet_is_waited_for() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    let late = fixture.folder.path().join("late-token");
    let idaas = fixture.client(&fixture.sts.environment(&late));
    let error = failure(&idaas).await;
    assert!(error.is_transient() && error.to_string().contains("late-token does not exist"), "{error}");
    std::fs::rename(fixture.token_file(), &late).unwrap();
    fixture.clock.advance(MINUTE);
    idaas.token().await.unwrap();
    assert_eq!((fixture.sts.credentials_issued(), fixture.metadata.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_profile_that_is_briefly_unreadable_is_waited_for() {
    for torn in ["", "{", "{\"current\": \"default\", \"profiles\": [{\"name\": \"def"] {
        let fixture = Fixture::new().await;
        fixture.metadata.attach_role("node-role", &fixture.open_api);
        fixture.write(".aliyun/config.json", torn);
        let idaas = fixture.client(&nothing());
        let error = failure(&idaas).await;
        assert!(error.is_transient() && error.to_string().contains("config.json is not JSON"), "{error}");
        let permanent = fixture.open_api.access_key();
        fixture.write_cli_profile(json!({
            "mode": "AK", "access_key_id": permanent.id(), "access_key_secret": "not-a-real-access-key-secret",
        }));
        fixture.clock.advance(MINUTE);
        idaas.token().await.unwrap();
        assert_eq!((fixture.signer().as_str(), fixture.metadata.requests().len()), (permanent.id(), 0));
    }
}

#[tokio::test]
async fn a_source_that_is_mended_takes_its_place_back() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    let environment = fixture.rrsa();
    environment.set("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1234567890123456:role/absent");
    let idaas = fixture.client(&environment);
    idaas.token().await.unwrap();
    assert_eq!((fixture.sts.credentials_issued(), fixture.metadata.requests().len()), (0, 3));

    environment.set("ALIBABA_CLOUD_ROLE_ARN", StsService::ROLE_ARN);
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    assert_eq!((fixture.sts.credentials_issued(), fixture.metadata.requests().len()), (1, 3));
}

#[tokio::test]
async fn an_identity_without_permission_gives_way_to_one_set_up_before_it_meanwhile() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    let idaas = fixture.client(&nothing());
    idaas.token().await.unwrap();
    let permanent = fixture.open_api.access_key();
    fixture.write_cli_profile(json!({
        "mode": "AK", "access_key_id": permanent.id(), "access_key_secret": "not-a-real-access-key-secret",
    }));
    fixture.outlive_the_token();
    fixture.open_api.behave_once(Behaviour::openapi_error(StatusCode::FORBIDDEN, "NoPermission"));
    idaas.token().await.unwrap();
    assert_eq!((fixture.signer().as_str(), fixture.open_api.requests().len()), (permanent.id(), 3));
}

#[tokio::test]
async fn an_identity_without_permission_is_looked_up_once_if_there_is_no_other() {
    let fixture = Fixture::new().await;
    let idaas = fixture.client(&fixture.rrsa());
    fixture.open_api.set_behaviour(Behaviour::openapi_error(StatusCode::FORBIDDEN, "Forbidden.RAM"));
    let error = failure(&idaas).await;
    assert_eq!((error.code(), error.is_transient()), (Some("Forbidden.RAM"), false));
    assert_eq!((fixture.open_api.requests().len(), fixture.sts.credentials_issued()), (1, 1));
}
