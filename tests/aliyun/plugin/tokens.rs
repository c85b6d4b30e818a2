//! What goes well: tokens that an API accepts, and how many calls they take.

use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, header::RETRY_AFTER};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_idaas::{Idaas, Scope};
use tower_idaas_testing::{Behaviour, TestIdaas};

use super::{Fixture, MINUTE, Outcome, SECOND};

#[tokio::test]
async fn a_token_opens_an_api_with_a_permanent_key_and_with_one_of_sts() -> Outcome {
    let fixture = Fixture::new().await;
    let api = fixture.idaas.api("api://test").permission("read").plain_http().start().await?;
    let http = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    for key in [fixture.open_api.access_key(), fixture.temporary_key()] {
        let idaas = fixture.client_with(key.environment()).build()?;
        let request = Request::get(api.url()).body(Empty::new())?;
        let response = idaas.layer().layer(http.clone()).oneshot(request).await?;
        assert_eq!(response.status(), StatusCode::OK);
        let signer = fixture.sent("authorization").pop().unwrap();
        assert!(signer.contains(&format!("Credential={},", key.id())), "{signer}");
    }
    assert_eq!((api.accepted(), fixture.open_api.tokens_issued()), (2, 2));
    assert_eq!(fixture.idaas.token_requests(), 0, "the token endpoint is not called");
    Ok(())
}

#[tokio::test]
async fn without_a_file_ids_scope_and_host_are_enough() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = Idaas::builder()
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(fixture.idaas.client_id())
        .scope("api://test|read")
        .plugin_name("alibabacloudPluginCredentialProvider")
        .open_api_endpoint(fixture.open_api.endpoint())
        .environment(fixture.open_api.access_key().environment())
        .clock(fixture.clock.clone())
        .root_certificate(fixture.idaas.root_certificate_pem())
        .build()?;
    let token = idaas.token().await?;
    assert_eq!(token.issued_token_type(), Some("urn:ietf:params:oauth:token-type:access_token"));
    Ok(())
}

#[tokio::test]
async fn the_scope_is_split_into_an_audience_and_its_permissions() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = fixture.client();
    for (scope, query) in [
        ("https://a.test/v1|read:x", "Audience=https%3A%2F%2Fa.test%2Fv1&ScopeValues.1=read%3Ax"),
        ("urn:a:b|.all", "Audience=urn%3Aa%3Ab&ScopeValues.1=.all"),
        ("a|w  a|r a|w", "Audience=a&ScopeValues.1=r&ScopeValues.2=w"),
        ("a|~*+'()", "Audience=a&ScopeValues.1=~%2A%2B%27%28%29"),
    ] {
        let scope: Scope = scope.parse()?;
        let token = idaas.token_for(&scope).await?;
        assert_eq!(token.scope(), &scope);
        let sent = fixture.open_api.requests().pop().unwrap().uri.query().unwrap().to_owned();
        let sent = sent.replace(&format!("InstanceId={}&", TestIdaas::INSTANCE_ID), "");
        assert_eq!(sent, format!("ApplicationId={}&{query}", fixture.idaas.client_id()));
    }
    let eleven: Vec<String> = (10..21).map(|number| format!("a|p{number}")).collect();
    idaas.token_for(&eleven.join(" ").parse()?).await?;
    assert_eq!(fixture.open_api.tokens_issued(), 5);
    Ok(())
}

#[tokio::test]
async fn a_hundred_cold_requests_make_one_call() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = fixture.client();
    fixture.open_api.set_behaviour(Behaviour::Hold);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let idaas = idaas.clone();
        callers.spawn(async move { idaas.token().await.map(|token| token.expose_token().to_owned()) });
    }
    fixture.open_api.wait_for_held(1).await;
    fixture.open_api.release();
    let mut tokens = callers.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    tokens.dedup();
    assert_eq!((tokens.len(), fixture.open_api.requests().len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn every_call_has_a_nonce_of_its_own_and_the_time_of_its_making() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = fixture.client();
    for _ in 0..3 {
        idaas.token().await?;
        fixture.outlive_the_token();
    }
    for header in ["x-acs-signature-nonce", "x-acs-date", "authorization"] {
        let mut values = fixture.sent(header);
        values.sort();
        values.dedup();
        assert_eq!(values.len(), 3, "{header}");
    }
    Ok(())
}

#[tokio::test]
async fn retry_after_is_honoured_to_the_second() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = fixture.client();
    let busy = Behaviour::openapi_error(StatusCode::BAD_REQUEST, "Throttling.User");
    fixture.open_api.behave_once(busy.with_header(RETRY_AFTER, HeaderValue::from_static("60")));
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.retry_after(), error.is_transient()), (Some(MINUTE), true));
    assert_eq!((error.code(), error.request_id()), (Some("Throttling.User"), Some("req_test")));
    fixture.clock.advance(MINUTE - SECOND);
    assert!(idaas.token().await.is_err());
    assert_eq!(fixture.open_api.requests().len(), 1);
    fixture.clock.advance(SECOND);
    idaas.token().await?;
    assert_eq!(fixture.open_api.requests().len(), 2);
    Ok(())
}

#[tokio::test]
async fn the_life_is_what_the_response_says_in_either_way() -> Outcome {
    for (removed, life) in
        [(&[][..], 20), (&["ExpiresAt"], 20), (&["ExpiresIn"], 20), (&["ExpiresIn", "ExpiresAt"], 1)]
    {
        let fixture = Fixture::new().await;
        fixture.clock.advance(100 * MINUTE);
        let idaas = fixture.client();
        fixture.open_api.behave_once(Behaviour::change(move |answer| {
            let response = answer["TokenResponse"].as_object_mut().unwrap();
            for name in removed {
                response.remove(*name).unwrap();
            }
        }));
        idaas.token().await?;
        // A second of every life is left unused; `ExpiresAt` is cut to whole seconds.
        let cut = if removed == ["ExpiresIn"] { SECOND } else { Duration::from_nanos(1) };
        fixture.clock.advance(life * MINUTE - SECOND - cut);
        assert!(idaas.peek().is_some(), "{removed:?}");
        fixture.clock.advance(cut);
        assert!(idaas.peek().is_none(), "{removed:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_response_without_a_token_is_an_error_with_its_request_id() -> Outcome {
    let fixture = Fixture::new().await;
    for (change, problem) in [
        (Behaviour::change(|answer| drop(answer.remove("TokenResponse"))), "carries no `TokenResponse`"),
        (
            Behaviour::change(|answer| drop(answer.insert("TokenResponse".into(), "x".into()))),
            "no `TokenResponse`",
        ),
        (
            Behaviour::change(|answer| {
                drop(answer["TokenResponse"].as_object_mut().unwrap().remove("AccessToken"));
            }),
            "carries no access token",
        ),
        (
            Behaviour::change(|answer| answer["TokenResponse"]["TokenType"] = "mac".into()),
            "`mac` is not supported",
        ),
    ] {
        fixture.open_api.behave_once(change);
        let error = fixture.client().token().await.unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!error.is_transient() && error.request_id().is_some_and(|id| id.len() == 32));
    }
    Ok(())
}
