//! What goes wrong is reported, once for all sources, and shows no secret.

use super::*;

/// A program on no cloud: the metadata service says it knows nothing.
async fn elsewhere() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.metadata.set_behaviour(Behaviour::status(StatusCode::NOT_FOUND));
    fixture
}

#[tokio::test]
async fn without_any_credential_every_source_is_listed_with_the_reason() {
    let fixture = elsewhere().await;
    let error = failure(&fixture.client(&nothing())).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, false));
    let home = fixture.folder.path().display();
    for part in [
        "no Alibaba Cloud credential",
        "environment: ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE are not set",
        &format!("{home}/.aliyun/config.json does not exist"),
        &format!("{home}/.alibabacloud/credentials does not exist, nor does credentials.ini"),
        "responded to PUT /latest/api/token with 404 Not Found",
        "ALIBABA_CLOUD_CREDENTIALS_URI is not set",
    ] {
        assert!(error.to_string().contains(part), "{part} is missing in: {error}");
    }
    let text = error.to_string();
    assert!(text.len() < 2_000 && !text.contains('\n'));
    assert_eq!(fixture.open_api.requests().len(), 0);
}

#[tokio::test]
async fn switches_are_named() {
    let fixture = Fixture::new().await;
    let environment = with(nothing(), "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    environment.set("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true");
    let error = failure(&fixture.client(&environment)).await;
    for name in ["ALIBABA_CLOUD_ECS_METADATA_DISABLED", "ALIBABA_CLOUD_CLI_PROFILE_DISABLED"] {
        assert!(error.to_string().contains(&format!("switched off by {name}")), "{error}");
    }
    assert_eq!(fixture.metadata.requests().len(), 0);
}

#[tokio::test]
async fn half_a_pair_names_the_missing_half() {
    let fixture = elsewhere().await;
    let environment = with(nothing(), "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "hunter2");
    let error = failure(&fixture.client(&environment)).await;
    let text =
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET is set and ALIBABA_CLOUD_ACCESS_KEY_ID is not; set both or none";
    assert!(error.to_string().contains(text), "{error}");
    assert!(!everything(&error).contains("hunter2"));
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_the_reason() {
    let fixture = elsewhere().await;
    let key = "hunter2";
    let cli = fixture.write(
        ".aliyun/config.json",
        &format!("{{\"current\": \"absent\", \"profiles\": [{{\"access_key_secret\": \"{key}\"}}]}}"),
    );
    let torn = fixture.folder.path().join("torn.json");
    std::fs::write(&torn, format!("{{\"current\": \"default\",\n access_key_secret: {key}")).unwrap();
    let environment = with(nothing(), "ALIBABA_CLOUD_CONFIG_FILE", torn.to_str().unwrap());
    let error = failure(&fixture.client(&environment)).await;
    assert!(
        error.to_string().contains(&format!("{} is not JSON (line 2, column", torn.display())),
        "{error}"
    );
    assert!(!everything(&error).contains(key));

    let ini = fixture.write_profile(&format!("[default]\ntype = bearer\nbearer_token = {key}\n"));
    let error = failure(&fixture.client(&nothing())).await;
    for part in [
        format!("{} has no profile `absent`", cli.display()),
        format!("section `[default]` of {} has type `bearer`, which is not supported", ini.display()),
    ] {
        assert!(error.to_string().contains(&part), "{part} is missing in: {error}");
    }
    assert!(!everything(&error).contains(key));

    fixture.write_cli_profile(json!({ "mode": "CloudSSO", "access_token": key }));
    let error = failure(&fixture.client(&nothing())).await;
    let text = "has mode `CloudSSO`, which is not supported; use one of `AK`, `StsToken`, `RamRoleArn`, \
                `EcsRamRole`, `OIDC`";
    assert!(error.to_string().contains(text), "{error}");
    assert!(!everything(&error).contains(key));

    let environment = with(nothing(), "ALIBABA_CLOUD_CREDENTIALS_FILE", "/nowhere/credentials");
    let error = failure(&fixture.client(&environment)).await;
    let text = "/nowhere/credentials does not exist; check ALIBABA_CLOUD_CREDENTIALS_FILE";
    assert!(error.to_string().contains(text), "{error}");

    let environment = with(nothing(), "ALIBABA_CLOUD_CONFIG_FILE", "/nowhere/config.json");
    let error = failure(&fixture.client(&environment)).await;
    let text = "/nowhere/config.json does not exist; check ALIBABA_CLOUD_CONFIG_FILE";
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn an_expired_security_token_is_reported() {
    let fixture = Fixture::new().await;
    let key = AccessKey::new("STS.old", "hunter2").with_security_token("t0kenhunter2");
    let end = std::time::SystemTime::UNIX_EPOCH;
    fixture.open_api.add_access_key(key.clone().with_expiry(end));
    let error = failure(&fixture.client(&key.environment())).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("InvalidSecurityToken.Expired")));
    assert!(!everything(&error).contains("hunter2"));
}

#[tokio::test]
async fn a_credential_that_arrives_expired_is_an_error() {
    let fixture = elsewhere().await;
    fixture.sts.set_behaviour(Behaviour::change(|answer| {
        answer["Credentials"]["Expiration"] = "2020-01-01T00:00:00Z".into();
    }));
    let error = failure(&fixture.client(&fixture.rrsa())).await;
    let text = "its credential has expired already, at 2020-01-01T00:00:00Z";
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test]
async fn a_metadata_service_that_never_responds_is_given_up() {
    let fixture = Fixture::new().await;
    fixture.metadata.set_behaviour(Behaviour::HangHandshake);
    let error = failure(&fixture.client(&nothing())).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    for part in
        ["does not respond to PUT /latest/api/token", "the RAM role of an instance is available on an ECS"]
    {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_machine_without_a_role_or_with_another_one_is_reported() {
    let fixture = Fixture::new().await;
    let error = failure(&fixture.client(&nothing())).await;
    assert!(error.to_string().contains("/latest/meta-data/ram/security-credentials/ with 404"), "{error}");
    fixture.metadata.attach_role("test-role", &fixture.open_api);
    let environment = with(nothing(), "ALIBABA_CLOUD_ECS_METADATA", "other");
    let error = failure(&fixture.client(&environment)).await;
    assert!(error.to_string().contains("/security-credentials/other with 404"), "{error}");
}

#[tokio::test]
async fn an_sts_that_hangs_is_given_up_and_no_other_identity_is_taken() {
    let fixture = Fixture::new().await;
    fixture.sts.set_behaviour(Behaviour::Hold);
    let environment = fixture.rrsa();
    environment.set("ALIBABA_CLOUD_CREDENTIALS_URI", fixture.uri.uri());
    // Nothing has to be done within this limit: what hangs is the first that is asked.
    let builder = fixture.builder(&environment).read_timeout(Duration::from_millis(300));
    let error = failure(&builder.build().unwrap()).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    assert!(error.to_string().contains("(AssumeRoleWithOIDC) within 300ms"), "{error}");
    assert_eq!((fixture.metadata.requests().len(), fixture.uri.requests().len()), (0, 0));
}

#[tokio::test]
async fn nothing_that_responds_makes_us_show_a_secret() {
    let fixture = elsewhere().await;
    let environment = fixture.rrsa();
    environment.set("ALIBABA_CLOUD_CREDENTIALS_URI", fixture.uri.uri());
    let token = std::fs::read_to_string(fixture.folder.path().join("rrsa-token")).unwrap();
    let secret = fixture.uri.uri().split_once("key=").unwrap().1.to_owned();
    fixture.sts.set_behaviour(Behaviour::Echo);
    fixture.uri.set_behaviour(Behaviour::Echo);
    let idaas = fixture.client(&environment);
    let error = failure(&idaas).await;
    assert_eq!((fixture.sts.requests().len(), fixture.uri.requests().len()), (1, 1));
    let shown = format!("{idaas:?} {} {:?} {:?}", everything(&error), fixture.sts, fixture.uri);
    // Texts are cut short, so the beginning of each part counts.
    for part in token.split('.').chain([secret.as_str()]).map(|part| &part[..20]) {
        assert!(!shown.contains(part), "{part} is in: {shown}");
    }
}

#[tokio::test]
async fn a_credentials_uri_that_repeats_a_part_of_itself_shows_nothing_of_it() {
    let fixture = Fixture::new().await;
    let environment = fixture.uri.environment();
    let secret = fixture.uri.uri().split_once("key=").unwrap().1.to_owned();
    for echo in [secret.clone(), format!("key={secret}"), format!("/credentials?key={secret}")] {
        let body = json!({ "Code": "Failed", "Message": format!("<{echo}>"), "RequestId": echo });
        fixture.uri.set_behaviour(Behaviour::json(StatusCode::FORBIDDEN, &body));
        let error = failure(&fixture.client(&environment)).await;
        assert!(error.to_string().contains("[redacted]>)"), "{error}");
        assert!(!everything(&error).contains(&secret), "{error}");
    }
}

#[tokio::test]
async fn a_metadata_service_that_repeats_its_token_shows_nothing_of_it() {
    const TOKEN: &str = "t0ken-of-the-session";
    let fixture = Fixture::new().await;
    let text = |text: &'static str| Behaviour::response(StatusCode::OK, "text/plain", text);
    let echo = json!({ "Code": "Failed", "Message": format!("<{TOKEN}>"), "RequestId": TOKEN });
    let echo = Behaviour::json(StatusCode::OK, &echo);
    for (role, then, why) in [
        ("test-role", echo, "Failed (<[redacted]>)"),
        ("test-role", Behaviour::Echo, "/security-credentials/test-role with 400"),
        (TOKEN, Behaviour::Normal, "is not the name of a RAM role"),
        ("<html>hunter2", Behaviour::Normal, "is not the name of a RAM role"),
    ] {
        for behaviour in [text(TOKEN), text(role), then] {
            fixture.metadata.behave_once(behaviour);
        }
        let idaas = fixture.client(&nothing());
        let error = failure(&idaas).await;
        fixture.metadata.set_behaviour(Behaviour::Normal);
        assert!(error.to_string().contains(why), "{error}");
        let shown = format!("{idaas:?} {}", everything(&error));
        assert!(!shown.contains(TOKEN) && !shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn responses_without_sense_are_distinguished() {
    let fixture = elsewhere().await;
    let environment = fixture.uri.environment();
    for (behaviour, why) in [
        (
            Behaviour::response(StatusCode::OK, "text/html", "<html>hunter2"),
            "neither a credential nor an error",
        ),
        (Behaviour::json(StatusCode::OK, &json!({ "Code": "Success" })), "no credential with `AccessKeyId`"),
        (Behaviour::json(StatusCode::OK, &json!({ "Code": "Failed" })), "200 OK: Failed"),
        (Behaviour::status(StatusCode::FOUND), "redirects of the credentials URI are refused"),
    ] {
        fixture.uri.set_behaviour(behaviour);
        let error = failure(&fixture.client(&environment)).await;
        assert!(error.to_string().contains(why), "{error}");
        assert!(!everything(&error).contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn an_sts_endpoint_that_is_none_is_a_fault_of_the_configuration() {
    let fixture = Fixture::new().await;
    for host in ["https://sts.aliyuncs.com", "a b", "", "user@host", "sts:99999"] {
        let error = fixture.builder(&nothing()).sts_endpoint(host).build().unwrap_err();
        assert!(error.to_string().contains("`sts_endpoint` is not a host"), "{error}");
    }
}
