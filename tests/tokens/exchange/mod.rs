//! Token exchange: on whose behalf a request leaves, and how often the issuer is called.

mod isolation;
mod methods;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt};
use tower_idaas::clock::ManualClock;
use tower_idaas::{
    BoxError, ErrorKind, Idaas, IdaasBuilder, Scope, SubjectToken, TokenResponse, TokenSource,
};
use tower_idaas_testing::{Behaviour, ClientAuthentication, TestIdaas};

use crate::exchange::methods::{Fixture, METHODS};

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn client(server: &TestIdaas, method: ClientAuthentication) -> Result<Idaas, BoxError> {
    built(server, method, |builder| builder)
}

fn built(
    server: &TestIdaas,
    method: ClientAuthentication,
    change: impl FnOnce(IdaasBuilder) -> IdaasBuilder,
) -> Result<Idaas, BoxError> {
    let folder = tempfile::tempdir()?;
    let builder = Idaas::builder()
        .config_file(server.write_config(folder.path(), method)?)
        .environment(server.environment())
        .root_certificate(server.root_certificate_pem());
    Ok(change(builder).build()?)
}

fn inbound() -> Result<Scope, BoxError> {
    Ok("api://front|call".parse()?)
}

fn caller(server: &TestIdaas, user: &str) -> Result<SubjectToken, BoxError> {
    Ok(SubjectToken::access_token(server.user_token(user, &inbound()?)?))
}

/// Who the API takes the bearer of this token for.
async fn seen_by_api(url: &str, token: &str) -> Result<serde_json::Value, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(url)
        .header(http::header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())?;
    let body = client.request(request).await?.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}

#[tokio::test]
async fn an_exchanged_token_speaks_of_the_user_alone() -> Result<(), BoxError> {
    for method in METHODS {
        let fixture = Fixture::new(method).await;
        let server = &fixture.server;
        let api = server.api("api://test").plain_http().start().await?;
        let idaas = fixture.client(server.client_config(method), server.environment());
        let token = idaas.exchange(&fixture.caller("user_1")).await?;
        assert_eq!(token.issued_token_type(), Some("urn:ietf:params:oauth:token-type:access_token"));
        let seen = seen_by_api(api.url(), token.expose_token()).await?;
        assert_eq!(seen["sub"], "user_1");
        assert!(seen.get("act").is_none());
        let request = server.requests().pop().ok_or("no request")?;
        assert_eq!((server.token_requests(), request.client_authentication), (1, Some(method)));
    }
    Ok(())
}

#[tokio::test]
async fn subject_scope_and_requested_type_each_have_their_own_cached_token() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    let idaas = client(&server, ClientAuthentication::SecretPost)?;
    let (one, two) = (caller(&server, "user_1")?, caller(&server, "user_2")?);
    let other: Scope = "api://billing|read".parse()?;

    for _ in 0..3 {
        let mine = idaas.exchange(&one).await?;
        let theirs = idaas.exchange(&two).await?;
        assert_ne!(mine.expose_token(), theirs.expose_token());
    }
    assert_eq!(server.token_requests(), 2);
    idaas.exchange_for(&one, &other).await?;
    idaas.exchange_for(&one, &other).await?;
    assert_eq!(server.token_requests(), 3);
    // The service issues access tokens alone, so that it is refused shows that it was requested.
    let error = idaas.exchange(&one.clone().with_requested_type(JWT)).await.unwrap_err();
    assert!(error.to_string().contains("requested_token_type expected"), "{error}");
    assert_eq!(server.token_requests(), 4);
    // And the client's own token is another one still.
    idaas.token().await?;
    assert_eq!(server.token_requests(), 5);
    Ok(())
}

#[tokio::test]
async fn concurrent_exchanges_for_one_caller_make_one_request() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    server.set_behaviour(Behaviour::Hold);
    let idaas = client(&server, ClientAuthentication::SecretPost)?;
    let caller = caller(&server, "user_1")?;
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let (idaas, caller) = (idaas.clone(), caller.clone());
            tokio::spawn(async move { idaas.exchange(&caller).await })
        })
        .collect();
    server.wait_for_held(1).await;
    server.release();
    for exchange in waiting {
        exchange.await??;
    }
    assert_eq!(server.token_requests(), 1);
    Ok(())
}

#[tokio::test]
async fn the_cache_is_bounded_and_the_least_recently_used_exchange_makes_room() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    let idaas = built(&server, ClientAuthentication::SecretPost, |builder| builder.exchange_capacity(2))?;
    let callers = ["a", "b", "c"].map(|user| caller(&server, user));
    let [a, b, c] = callers;
    let (a, b, c) = (a?, b?, c?);
    for subject in [&a, &b, &a, &c, &a, &b] {
        idaas.exchange(subject).await?;
    }
    // a, b, then c in b's place, then b again.
    assert_eq!(server.token_requests(), 4);
    Ok(())
}

#[tokio::test]
async fn what_the_issuer_says_about_some_subject_tokens_costs_no_other_subject_and_no_own_token_anything()
-> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    let idaas = built(&server, ClientAuthentication::SecretPost, |builder| builder)?;
    for (turn, status) in [500, 503, 405, 413, 429].into_iter().enumerate() {
        server.set_behaviour(Behaviour::status(StatusCode::from_u16(status)?));
        let mut bad = tokio::task::JoinSet::new();
        for number in 0..20 {
            let idaas = idaas.clone();
            bad.spawn(async move {
                let subject = SubjectToken::access_token(format!("bad-{status}-{number}"));
                idaas.exchange(&subject).await.is_err()
            });
        }
        assert!(bad.join_all().await.into_iter().all(|failed| failed));
        server.set_behaviour(Behaviour::Normal);
        idaas.exchange(&caller(&server, &format!("user_{turn}"))?).await?;
        idaas.token_for(&format!("api://scope-{turn}|x").parse()?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_exchanged_token_does_not_outlive_its_life() -> Result<(), BoxError> {
    let clock = ManualClock::new();
    let server =
        TestIdaas::builder().clock(clock.clone()).token_life(Duration::from_secs(300)).start().await?;
    let idaas = built(&server, ClientAuthentication::SecretPost, |builder| builder.clock(clock.clone()))?;
    let caller = caller(&server, "user_1")?;
    idaas.exchange(&caller).await?;
    // The issuer's tokens end on a whole second, up to one later than they promise.
    clock.advance(Duration::from_secs(301));
    // The caller's own token has ended as well, so there is no other to be had.
    let error = idaas.exchange(&caller).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!error.is_transient());
    assert_eq!(error.code(), Some("invalid_request"));
    Ok(())
}

#[tokio::test]
async fn the_layer_exchanges_for_the_scope_of_the_request() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    let api = server.api("api://billing").permission("read").plain_http().start().await?;
    let idaas = client(&server, ClientAuthentication::SecretBasic)?;
    let billing: Scope = "api://billing|read".parse()?;
    let http = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let client = ServiceBuilder::new().layer(idaas.layer().scope(&billing)).service(http);

    for user in ["user_1", "user_2", "user_1"] {
        let inbound = format!("Bearer {}", server.user_token(user, &inbound()?)?.expose_secret());
        let inbound = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, inbound.parse()?)]);
        let caller = SubjectToken::from_bearer(&inbound).ok_or("no bearer")?;
        let request = Request::get(api.url()).extension(caller).body(Empty::new())?;
        let response = client.clone().oneshot(request).await?;
        assert_eq!(response.status(), StatusCode::OK);
        let body: serde_json::Value =
            serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        assert_eq!(body["sub"], user);
    }
    // The scope that the request itself names goes before the layer's.
    let orders: Scope = "api://orders|read".parse()?;
    let request = Request::get(api.url()).extension(caller(&server, "user_1")?).extension(orders);
    let response = client.oneshot(request.body(Empty::new())?).await?;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.accepted(), 3);
    Ok(())
}

#[tokio::test]
async fn an_actor_token_names_who_acts() -> Result<(), BoxError> {
    let server = TestIdaas::builder().with_actor_claim().start().await?;
    let api = server.api("api://test").plain_http().start().await?;
    let idaas = client(&server, ClientAuthentication::SecretPost)?;
    let actor = server.user_token("agent_7", &inbound()?)?;
    let subject = caller(&server, "user_1")?.with_actor(actor, ACCESS_TOKEN);
    let token = idaas.exchange(&subject).await?;
    let seen = seen_by_api(api.url(), token.expose_token()).await?;
    assert_eq!((&seen["sub"], &seen["act"]["sub"]), (&"user_1".into(), &"agent_7".into()));
    Ok(())
}

#[tokio::test]
async fn a_bad_subject_token_is_one_clear_error_that_does_not_show_it() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    server.set_behaviour(Behaviour::Echo);
    let idaas = client(&server, ClientAuthentication::SecretPost)?;
    let forged =
        SubjectToken::access_token("marker-subject".to_owned()).with_actor("marker-actor".to_owned(), JWT);
    let error = idaas.exchange(&forged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!format!("{error} {error:?}").contains("marker"), "{error}");

    let requests = server.token_requests();
    let blank = SubjectToken::access_token("  ".to_owned());
    assert!(idaas.exchange(&blank).await.unwrap_err().to_string().contains("subject token is blank"));
    assert_eq!(server.token_requests(), requests);
    Ok(())
}

#[tokio::test]
async fn a_source_of_the_users_own_exchanges_nothing_and_says_so() -> Result<(), BoxError> {
    #[derive(Debug)]
    struct Fixed;
    impl TokenSource for Fixed {
        fn fetch<'a>(
            &'a self,
            _scope: &'a Scope,
        ) -> tower_idaas::BoxFuture<'a, Result<TokenResponse, tower_idaas::Error>> {
            Box::pin(async { TokenResponse::bearer("t") })
        }
    }
    let idaas = Idaas::builder().token_source(Fixed).scope("api://test|read").build()?;
    let error = idaas.exchange(&SubjectToken::access_token("s".to_owned())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("the token source does not support token exchange;"), "{error}");
    Ok(())
}
