//! What goes wrong: each a clear error, soon, and what mends it.

use std::time::{Duration, Instant};

use http::StatusCode;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ErrorKind, SubjectToken};
use tower_idaas_testing::{AccessKey, Behaviour};

use super::{Fixture, MINUTE, Outcome};

const ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";

const NO_METADATA: &str = "ALIBABA_CLOUD_ECS_METADATA_DISABLED";

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the clock of the test itself")]
async fn without_any_credential_the_error_names_what_was_tried_and_comes_soon() -> Outcome {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await?;
    for behaviour in [Behaviour::status(StatusCode::NOT_FOUND), Behaviour::HangHandshake] {
        metadata.set_behaviour(behaviour);
        let builder = fixture.client_with(ManualEnvironment::new());
        let idaas = builder.metadata_address(metadata.address()).build()?;
        let start = Instant::now();
        let error = idaas.token().await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        let text = error.to_string();
        for source in [ID, SECRET, "ALIBABA_CLOUD_ROLE_ARN", "metadata", "ALIBABA_CLOUD_CREDENTIALS_URI"] {
            assert!(text.contains(source), "{text}");
        }
    }
    assert!(fixture.open_api.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn half_an_access_key_is_a_clear_error_and_nothing_is_sent() {
    let fixture = Fixture::new().await;
    for (there, missing) in [(ID, SECRET), (SECRET, ID)] {
        let environment = ManualEnvironment::from_iter([(there, "hunter2"), (NO_METADATA, "true")]);
        let error = fixture.client_with(environment).build().unwrap().token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, false));
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(there) && shown.contains(missing), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(fixture.open_api.requests().is_empty());
}

#[tokio::test]
async fn an_expired_security_token_is_a_clear_error_until_there_is_another() -> Outcome {
    let fixture = Fixture::new().await;
    let key = fixture.temporary_key();
    let environment = key.environment();
    let idaas = fixture.client_with(environment.clone()).build()?;
    idaas.token().await?;
    fixture.clock.advance(61 * MINUTE);
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    assert_eq!(error.code(), Some("InvalidSecurityToken.Expired"));
    assert!(error.to_string().contains("the STS credential has expired"), "{error}");
    assert_eq!(fixture.open_api.requests().len(), 2, "the same credential is not tried twice");

    let next = AccessKey::new("STS.next", "next-secret").with_security_token("next-token");
    fixture.open_api.add_access_key(next);
    environment.set(ID, "STS.next");
    environment.set(SECRET, "next-secret");
    environment.set("ALIBABA_CLOUD_SECURITY_TOKEN", "next-token");
    fixture.clock.advance(Duration::from_secs(5));
    idaas.token().await?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_rotated_while_a_call_is_under_way_is_used_at_once() -> Outcome {
    let fixture = Fixture::new().await;
    let environment = fixture.open_api.access_key().environment();
    let idaas = fixture.client_with(environment.clone()).build()?;
    fixture.open_api.behave_once(Behaviour::Hold);
    let waiting = tokio::spawn(async move { idaas.token().await.map(drop) });
    fixture.open_api.wait_for_held(1).await;
    fixture.open_api.remove_access_key(fixture.open_api.access_key().id());
    fixture.open_api.add_access_key(AccessKey::new("LTAI_next", "next-secret"));
    environment.set(ID, "LTAI_next");
    environment.set(SECRET, "next-secret");
    fixture.open_api.release();
    waiting.await??;
    assert_eq!(fixture.open_api.requests().len(), 2);
    Ok(())
}

#[tokio::test]
async fn each_refusal_of_a_credential_names_what_to_check() -> Outcome {
    let fixture = Fixture::new().await;
    let mine = fixture.open_api.access_key();
    let temporary = fixture.temporary_key();
    let key = "check the Alibaba Cloud access key id and secret";
    let sts = "the STS credential has expired, or its id, secret and token are not of one credential";
    for (given, code, hint) in [
        (AccessKey::new("LTAI_unknown", "x"), "InvalidAccessKeyId.NotFound", key),
        (AccessKey::new(mine.id(), "wrong"), "SignatureDoesNotMatch", key),
        (
            AccessKey::new(temporary.id(), "st5Secret+/=marker").with_security_token("other"),
            "InvalidSecurityToken.MismatchWithAccessKey",
            sts,
        ),
        (AccessKey::new(temporary.id(), "st5Secret+/=marker"), "MissingSecurityToken", sts),
        (
            AccessKey::new(mine.id(), "not-a-real-access-key-secret").with_security_token("stray"),
            "InvalidSecurityToken.Malformed",
            sts,
        ),
    ] {
        let error = fixture.client_with(given.environment()).build()?.token().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)));
        assert!(error.to_string().contains(hint), "{error}");
        assert!(error.request_id().is_some());
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_permission_is_named_with_its_action_and_resource() -> Outcome {
    for code in ["Forbidden.RAM", "Forbidden", "NoPermission"] {
        let fixture = Fixture::new().await;
        fixture.open_api.set_behaviour(Behaviour::openapi_error(StatusCode::FORBIDDEN, code));
        let error = fixture.client().token().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)));
        let resource = format!(
            "acs:eiam:*:*:instance/{}/application/{}",
            tower_idaas_testing::TestIdaas::INSTANCE_ID,
            fixture.idaas.client_id()
        );
        let hint = format!("allow `eiam:GenerateOauthToken` on `{resource}`");
        assert!(error.to_string().contains(&hint), "{hint} is missing in: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_after_a_refusal_and_called_so_where_no_correction_helps() -> Outcome
{
    for (minutes, requests) in [(14, 1), (16, 2), (600, 2)] {
        let (fixture, other) = (Fixture::new().await, Fixture::new().await);
        other.clock.advance(minutes * MINUTE);
        let ours = fixture.client_with(fixture.open_api.access_key().environment());
        let idaas = ours.clock(other.clock.clone()).build()?;
        idaas.token().await?;
        assert_eq!(fixture.open_api.requests().len(), requests, "{minutes}");
        // The correction is kept.
        idaas.token_for(&"api://test|write".parse()?).await.ok();
        assert_eq!(fixture.open_api.requests().len(), requests + 1, "{minutes}");
    }
    let fixture = Fixture::new().await;
    fixture
        .open_api
        .set_behaviour(Behaviour::openapi_error(StatusCode::BAD_REQUEST, "InvalidTimeStamp.Expired"));
    let error = fixture.client().token().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidTimeStamp.Expired"));
    assert!(error.to_string().contains("check this machine's clock"), "{error}");
    assert_eq!(fixture.open_api.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_scope_that_is_not_granted_is_named() -> Outcome {
    let idaas = tower_idaas_testing::TestIdaas::builder().scope("api://test|read").start().await?;
    let open_api = idaas.start_open_api().await?;
    let folder = tempfile::tempdir()?;
    let client = tower_idaas::Idaas::builder()
        .config_file(open_api.write_config(folder.path())?)
        .environment(open_api.access_key().environment())
        .root_certificate(idaas.root_certificate_pem())
        .build()?;
    client.token().await?;
    let error = client.token_for(&"api://test|write".parse()?).await.unwrap_err();
    assert!(error.to_string().contains("that the application is granted `api://test|write`"), "{error}");
    assert!(!error.is_transient());
    Ok(())
}

#[tokio::test]
async fn a_subject_token_is_exchanged_and_cached_as_at_the_token_endpoint() -> Outcome {
    let fixture = Fixture::new().await;
    let user = fixture.idaas.user_token("alice", &"api://front|call".parse()?)?;
    let subject = SubjectToken::access_token(user.expose_secret().to_owned());
    let idaas = fixture.client();
    let token = idaas.exchange(&subject).await?;
    assert_eq!(token.issued_token_type(), Some("urn:ietf:params:oauth:token-type:access_token"));
    assert_eq!(idaas.exchange(&subject).await?.expose_token(), token.expose_token());
    assert_eq!(fixture.open_api.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_subject_that_is_refused_is_called_so_and_not_shown() -> Outcome {
    let fixture = Fixture::new().await;
    let subject = SubjectToken::access_token("t0ken-marker-of-alice".to_owned());
    let error = fixture.client().exchange(&subject).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
    assert_eq!(error.code(), Some("InvalidParameter.SubjectToken"));
    assert!(error.to_string().contains("check the subject token"), "{error}");
    let echo =
        r#"{"Code":"InvalidParameter","Message":"SubjectToken=t0ken-marker-of-alice","RequestId":"r"}"#;
    fixture.open_api.behave_once(Behaviour::response(StatusCode::BAD_REQUEST, "application/json", echo));
    let other = fixture.client().exchange(&subject).await.unwrap_err();
    assert!(!format!("{error:?} {other:?}").contains("t0ken-marker"), "{error:?} {other:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_openapi_does_not_exchange_is_not_sent() {
    const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    let fixture = Fixture::new().await;
    let token = || "t0ken-marker".to_owned();
    for (subject, kind, problem) in [
        (SubjectToken::access_token(" ".to_owned()), ErrorKind::Credential, "subject token is blank"),
        (SubjectToken::new(token(), JWT), ErrorKind::Unsupported, "the subject type is another"),
        (
            SubjectToken::access_token(token()).with_requested_type(JWT),
            ErrorKind::Unsupported,
            "the requested type is another",
        ),
        (
            SubjectToken::access_token(token()).with_actor(token(), JWT),
            ErrorKind::Unsupported,
            "takes no actor token",
        ),
    ] {
        let error = fixture.client().exchange(&subject).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, false), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!format!("{error:?}").contains("t0ken-marker"));
    }
    assert!(fixture.open_api.requests().is_empty());
}

#[tokio::test]
async fn the_gateways_throttling_is_honoured_to_the_millisecond() -> Outcome {
    for (name, value) in
        [("x-acs-retry-after", "60000"), ("x-ratelimit-user-api", "Limit:1,Remain:0,TimeLeft:60000,Reset:1")]
    {
        let fixture = Fixture::new().await;
        let idaas = fixture.client();
        let busy = Behaviour::openapi_error(StatusCode::BAD_REQUEST, "Throttling.User");
        let header = (http::HeaderName::from_static(name), http::HeaderValue::from_static(value));
        fixture.open_api.behave_once(busy.with_header(header.0, header.1));
        let error = idaas.token().await.unwrap_err();
        assert_eq!((error.retry_after(), error.is_transient()), (Some(MINUTE), true));
        fixture.clock.advance(MINUTE - Duration::from_millis(1));
        assert!(idaas.token().await.is_err());
        assert_eq!(fixture.open_api.requests().len(), 1);
        fixture.clock.advance(Duration::from_millis(1));
        idaas.token().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_configured_time_outs_hold() -> Outcome {
    let fixture = Fixture::new().await;
    let limit = Duration::from_millis(300);
    let builder = || fixture.client_with(fixture.open_api.access_key().environment());
    for (behaviour, builder, problem) in [
        (Behaviour::HangHandshake, builder().connect_timeout(limit), "no connection to"),
        (Behaviour::Slow(60 * MINUTE), builder().read_timeout(limit), "no complete response from"),
    ] {
        fixture.open_api.set_behaviour(behaviour);
        let error = builder.build()?.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let api = fixture.open_api.endpoint();
        let text = format!("{problem} https://{api}/ (GenerateOauthToken) within 300ms");
        assert!(error.to_string().starts_with(&text), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_fails_gets_another_request_and_a_live_token_goes_on() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = fixture.client();
    fixture
        .open_api
        .behave_once(Behaviour::openapi_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"));
    fixture.open_api.behave_once(Behaviour::response(
        StatusCode::BAD_GATEWAY,
        "text/html",
        "<html>no</html>",
    ));
    let token = idaas.token().await?;
    assert_eq!(fixture.open_api.requests().len(), 3);
    fixture.open_api.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    fixture.clock.advance(15 * MINUTE);
    assert_eq!(idaas.token().await?.expose_token(), token.expose_token());
    Ok(())
}
