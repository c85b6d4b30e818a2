//! The in-process IDaaS keeps its promises, seen through a real HTTP client.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, LOCATION,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tower_idaas::testing::{
    ApiRefusal, Behaviour, ClientAuthentication, ManualClock, ServerCertificate, TestIdaas,
};

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

const FORM: &str = "application/x-www-form-urlencoded";

fn client(idaas: &TestIdaas, version: Version) -> Http {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(idaas.root_certificate_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    let connector = match version {
        Version::HTTP_2 => connector.enable_http2().build(),
        _ => connector.enable_http1().build(),
    };
    Client::builder(TokioExecutor::new()).http2_only(version == Version::HTTP_2).build(connector)
}

fn token_request(idaas: &TestIdaas, form: &str) -> Request<Full<Bytes>> {
    Request::post(idaas.token_endpoint())
        .header(CONTENT_TYPE, FORM)
        .body(Full::from(form.to_owned()))
        .unwrap()
}

fn form(idaas: &TestIdaas, scope: &str) -> String {
    format!("grant_type=client_credentials&client_id={}&scope={scope}", idaas.client_id())
}

fn post_form(idaas: &TestIdaas, scope: &str) -> String {
    format!("{}&client_secret={}", form(idaas, scope), idaas.secret().expose_secret())
}

fn basic(id: &str, secret: &str) -> HeaderValue {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))).parse().unwrap()
}

async fn body(response: Response<hyper::body::Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn json_of(response: Response<hyper::body::Incoming>) -> Value {
    serde_json::from_slice(&body(response).await).unwrap()
}

/// Sends the form; the status and the JSON of the answer.
async fn ask(http: &Http, idaas: &TestIdaas, form: &str) -> (StatusCode, Value) {
    let response = http.request(token_request(idaas, form)).await.unwrap();
    (response.status(), json_of(response).await)
}

async fn token(http: &Http, idaas: &TestIdaas, scope: &str) -> String {
    let (status, answer) = ask(http, idaas, &post_form(idaas, scope)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn call(http: &Http, url: &str, token: &str) -> Response<hyper::body::Incoming> {
    let request =
        Request::get(url).header(AUTHORIZATION, format!("Bearer {token}")).body(Full::default()).unwrap();
    http.request(request).await.unwrap()
}

#[tokio::test]
async fn both_methods_get_a_token_over_both_http_versions() {
    let idaas = TestIdaas::start().await.unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let http = client(&idaas, version);
        let mut with_header = token_request(&idaas, &form(&idaas, "api://x|read"));
        with_header
            .headers_mut()
            .insert(AUTHORIZATION, basic(idaas.client_id(), idaas.secret().expose_secret()));
        for request in [with_header, token_request(&idaas, &post_form(&idaas, "api://x|read"))] {
            let response = http.request(request).await.unwrap();
            assert_eq!((response.status(), response.version()), (StatusCode::OK, version));
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert!(response.headers().contains_key(DATE));
            let answer = json_of(response).await;
            assert_eq!(answer["token_type"], "Bearer");
            assert_eq!(answer["expires_in"], 1200);
            assert_eq!(answer["scope"], "api://x|read");
            assert!(answer["expires_at"].is_u64());
        }
    }
    assert_eq!((idaas.token_requests(), idaas.tokens_issued(), idaas.rejected_requests()), (4, 4, 0));
    let log = idaas.requests();
    assert_eq!(log[0].client_authentication, Some(ClientAuthentication::SecretBasic));
    assert_eq!(log[3].client_authentication, Some(ClientAuthentication::SecretPost));
    assert_eq!((log[0].version, log[3].version), (Version::HTTP_11, Version::HTTP_2));
    assert_eq!(log[0].scope.as_deref(), Some("api://x|read"));
    assert!(log[0].header_names.contains(&AUTHORIZATION));
    assert_eq!(log[3].field_names, ["grant_type", "client_id", "scope", "client_secret"]);

    idaas.reset();
    assert_eq!((idaas.token_requests(), idaas.tokens_issued(), idaas.connections()), (0, 0, 0));
    assert!(idaas.requests().is_empty());
}

#[tokio::test]
async fn every_faulty_request_is_refused_with_its_oauth_error() {
    let idaas = TestIdaas::builder().scope("api://x|read api://x|write").start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let id = idaas.client_id();
    let good = post_form(&idaas, "api://x|read");
    let cases = [
        (good.replace("not-a-real-secret", "wrong"), 401, "invalid_client"),
        (form(&idaas, "api://x|read"), 401, "invalid_client"),
        (good.replace(id, "app_other"), 401, "invalid_client"),
        (good.replace("client_id", "client"), 400, "invalid_request"),
        (format!("{good}&colour=red"), 400, "invalid_request"),
        (format!("{good}&scope=api://x|write"), 400, "invalid_request"),
        (format!("{good}&client_id={id}"), 400, "invalid_request"),
        (good.replace("client_credentials", "password"), 400, "unsupported_grant_type"),
        (good.replace("grant_type=client_credentials&", ""), 400, "invalid_request"),
        (good.replace("api://x|read", "read"), 400, "invalid_scope"),
        (good.replace("api://x|read", ""), 400, "invalid_scope"),
        (good.replace("api://x|read", "api://x|delete"), 400, "invalid_scope"),
        (good.replace("api://x|read", "api://y|read"), 400, "invalid_scope"),
        (good.replace("api://x|read", "%ff"), 400, "invalid_request"),
    ];
    for (form, status, error) in &cases {
        let response = http.request(token_request(&idaas, form)).await.unwrap();
        assert_eq!(response.status(), *status, "{form}");
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), *status == 401);
        let answer = json_of(response).await;
        assert_eq!(answer["error"], *error, "{form}: {answer}");
        assert!(answer["error_description"].is_string() && answer["request_id"].is_string());
        assert!(!answer.to_string().contains("not-a-real-secret"));
    }
    assert_eq!((idaas.rejected_requests(), idaas.tokens_issued()), (cases.len(), 0));
    assert_eq!(ask(&http, &idaas, &good).await.0, StatusCode::OK);
}

#[tokio::test]
async fn requests_of_another_shape_are_refused() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_11);
    let good = post_form(&idaas, "api://x|read");

    let mut get = token_request(&idaas, &good);
    *get.method_mut() = Method::GET;
    let response = http.request(get).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[ALLOW], "POST");

    let mut of_json = token_request(&idaas, &good);
    of_json.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    assert_eq!(json_of(http.request(of_json).await.unwrap()).await["error"], "invalid_request");

    let mut twice = token_request(&idaas, &good);
    let header = basic(idaas.client_id(), idaas.secret().expose_secret());
    twice.headers_mut().insert(AUTHORIZATION, header);
    let response = http.request(twice).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(response).await["error"], "invalid_request");

    let elsewhere = Request::get(format!("{}/nothing", idaas.issuer())).body(Full::default()).unwrap();
    assert_eq!(http.request(elsewhere).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(idaas.token_requests(), 3);
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_refused() {
    let builder = TestIdaas::builder().client("app_1", "other secret");
    let idaas = builder.allow(ClientAuthentication::SecretBasic).start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let (status, answer) = ask(&http, &idaas, &post_form(&idaas, "api://x|read")).await;
    assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));

    for (secret, status) in [("other+secret", 200), ("other secret", 200), ("wrong", 401)] {
        let mut request = token_request(&idaas, &form(&idaas, "api://x|read"));
        request.headers_mut().insert(AUTHORIZATION, basic("app_1", secret));
        assert_eq!(http.request(request).await.unwrap().status(), status, "{secret}");
    }
}

#[tokio::test]
async fn a_rotated_secret_is_refused_at_once() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let old = post_form(&idaas, "api://x|read");
    assert_eq!(ask(&http, &idaas, &old).await.0, StatusCode::OK);
    idaas.set_secret("not-a-real-secret-either");
    assert_eq!(ask(&http, &idaas, &old).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&http, &idaas, &post_form(&idaas, "api://x|read")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_api_accepts_a_live_token_and_refuses_all_else() {
    let clock = ManualClock::new();
    let builder = TestIdaas::builder().clock(clock.clone()).token_life(Duration::from_secs(300));
    let idaas = builder.start().await.unwrap();
    let api = idaas.api("api://x").permission("read").start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);

    let good = token(&http, &idaas, "api://x|read api://x|write").await;
    let response = call(&http, api.url(), &good).await;
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(
        json_of(response).await,
        json!({ "sub": "app_test", "aud": "api://x", "scope": "read write" })
    );
    let everything = token(&http, &idaas, "api://x|.all").await;
    assert_eq!(call(&http, api.url(), &everything).await.status(), StatusCode::OK);
    assert_eq!((api.requests(), api.accepted(), api.unauthorized()), (2, 2, 0));

    let response = http.request(Request::get(api.url()).body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer realm=\"api\"");

    let other_idaas = TestIdaas::start().await.unwrap();
    let foreign = token(&client(&other_idaas, Version::HTTP_2), &other_idaas, "api://x|read").await;
    let elsewhere = token(&http, &idaas, "api://y|read").await;
    let too_little = token(&http, &idaas, "api://x|write").await;
    for (token, status, error, reason) in [
        ("garbage", 401, "invalid_token", ApiRefusal::NotOurs),
        (&foreign, 401, "invalid_token", ApiRefusal::NotOurs),
        (&elsewhere, 401, "invalid_token", ApiRefusal::WrongAudience),
        (&too_little, 403, "insufficient_scope", ApiRefusal::MissingPermission),
    ] {
        let before = api.refused(reason);
        let response = call(&http, api.url(), token).await;
        assert_eq!(response.status(), status);
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.starts_with("Bearer ") && challenge.contains(&format!("error=\"{error}\"")));
        assert_eq!(api.refused(reason), before + 1);
    }

    clock.advance(Duration::from_secs(299));
    assert_eq!(call(&http, api.url(), &good).await.status(), StatusCode::OK);
    clock.advance(Duration::from_secs(2));
    assert_eq!(call(&http, api.url(), &good).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.refused(ApiRefusal::Expired), 1);
    assert_eq!((api.requests(), api.accepted(), api.unauthorized()), (9, 3, 5));
    api.reset();
    assert_eq!((api.requests(), api.connections()), (0, 0));
}

#[tokio::test]
async fn a_revoked_token_is_refused_while_it_lives_and_its_successor_is_not() {
    let clock = ManualClock::new(); // stands still: all tokens are of the same second
    let idaas = TestIdaas::builder().clock(clock).start().await.unwrap();
    let api = idaas.api("api://x").start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let [one, two] = [token(&http, &idaas, "api://x|r").await, token(&http, &idaas, "api://x|r").await];
    assert_ne!(one, two);

    api.revoke(&one);
    assert_eq!(call(&http, api.url(), &one).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(call(&http, api.url(), &two).await.status(), StatusCode::OK);
    api.revoke_all_issued_before_now();
    assert_eq!(call(&http, api.url(), &two).await.status(), StatusCode::UNAUTHORIZED);
    let three = token(&http, &idaas, "api://x|r").await;
    assert_eq!(call(&http, api.url(), &three).await.status(), StatusCode::OK);
    assert_eq!(api.refused(ApiRefusal::Revoked), 2);
}

#[tokio::test]
async fn the_api_speaks_plain_http_when_told_to() {
    let idaas = TestIdaas::start().await.unwrap();
    let api = idaas.api("api://x").plain_http().start().await.unwrap();
    assert!(api.url().starts_with("http://"));
    let http = client(&idaas, Version::HTTP_11);
    let token = token(&http, &idaas, "api://x|read").await;
    let response = call(&http, &format!("{}orders/1", api.url()), &token).await;
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_11));
}

#[tokio::test]
async fn the_published_key_verifies_the_tokens() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let token = token(&http, &idaas, "api://x|read").await;
    let keys = Request::get(idaas.jwks_url()).body(Full::default()).unwrap();
    let keys = json_of(http.request(keys).await.unwrap()).await;
    let key = &keys["keys"][0];
    let public =
        jsonwebtoken::DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap())
            .unwrap();
    let provider = &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
    let verifier = (provider.verifier_factory)(&jsonwebtoken::Algorithm::ES256, &public).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    verifier.verify(message.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn down_refuses_connections_and_up_recovers_on_the_same_port() {
    let idaas = TestIdaas::start().await.unwrap();
    let endpoint = idaas.token_endpoint();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let http = client(&idaas, version);
        token(&http, &idaas, "api://x|read").await;

        idaas.set_behaviour(Behaviour::Hold);
        let held = tokio::spawn(http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))));
        idaas.wait_for_held(1).await;
        idaas.down().await;
        held.await.unwrap().unwrap_err();
        idaas.set_behaviour(Behaviour::Normal);

        for _ in 0..2 {
            let request = token_request(&idaas, &post_form(&idaas, "api://x|read"));
            assert!(http.request(request).await.unwrap_err().is_connect());
        }
        idaas.up().await.unwrap();
        idaas.up().await.unwrap();
        assert_eq!(idaas.token_endpoint(), endpoint);
        token(&http, &idaas, "api://x|read").await;
        while idaas.held_requests() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn held_requests_wait_for_their_release() {
    let idaas = Arc::new(TestIdaas::start().await.unwrap());
    let http = client(&idaas, Version::HTTP_2);
    let send = || tokio::spawn(http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))));

    idaas.set_behaviour(Behaviour::Hold);
    let waiting = [send(), send()];
    idaas.wait_for_held(2).await;
    idaas.wait_for_requests(2).await;
    assert_eq!((idaas.token_requests(), idaas.tokens_issued()), (2, 0));
    idaas.release();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!((idaas.held_requests(), idaas.tokens_issued()), (0, 2));
    assert_eq!(send().await.unwrap().unwrap().status(), StatusCode::OK); // the standing hold is over

    idaas.behave_once(Behaviour::Hold);
    let waiting = send();
    idaas.wait_for_held(1).await;
    idaas.release_with(Behaviour::status(StatusCode::BAD_GATEWAY));
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_held_request_whose_client_gives_up_is_no_longer_held() {
    let idaas = TestIdaas::start().await.unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let http = client(&idaas, version);
        idaas.behave_once(Behaviour::Hold);
        let waiting = tokio::spawn(http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))));
        idaas.wait_for_held(1).await;
        waiting.abort();
        while idaas.held_requests() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn planned_behaviours_come_in_order_and_the_standing_one_after_them() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    idaas.set_behaviour(Behaviour::oauth_error(StatusCode::BAD_REQUEST, "unauthorized_client"));
    idaas.behave_times(2, Behaviour::openapi_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"));
    idaas.behave_once(Behaviour::Normal);
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (status, answer) = ask(&http, &idaas, &post_form(&idaas, "api://x|read")).await;
        seen.push((status.as_u16(), answer["error"].as_str().or(answer["Code"].as_str()).map(str::to_owned)));
    }
    let failure = (500, Some("InternalError".to_owned()));
    let standing = (400, Some("unauthorized_client".to_owned()));
    assert_eq!(seen, [failure.clone(), failure, (200, None), standing.clone(), standing]);
    assert_eq!((idaas.token_requests(), idaas.tokens_issued(), idaas.rejected_requests()), (5, 1, 0));
}

#[tokio::test]
async fn any_answer_can_be_given_as_it_is() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_11);
    let form = post_form(&idaas, "api://x|read");
    for (content_type, text) in [
        ("text/html", "<html>"),
        ("application/json", "{\"access_token\": \"a"),
        ("application/json", "[]"),
        ("application/json", ""),
    ] {
        idaas.behave_once(Behaviour::answer(StatusCode::OK, content_type, text));
        let response = http.request(token_request(&idaas, &form)).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], content_type);
        assert_eq!(body(response).await, text);
    }
    for (status, name, value) in [
        (StatusCode::TOO_MANY_REQUESTS, RETRY_AFTER, "7"),
        (StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT"),
        (StatusCode::TEMPORARY_REDIRECT, LOCATION, "https://elsewhere.invalid/"),
    ] {
        let behaviour = Behaviour::status(status).with_header(name.clone(), HeaderValue::from_static(value));
        idaas.behave_once(behaviour);
        let response = http.request(token_request(&idaas, &form)).await.unwrap();
        assert_eq!((response.status(), response.headers()[&name].to_str().unwrap()), (status, value));
    }
    assert_eq!(idaas.tokens_issued(), 0);
}

#[tokio::test]
async fn a_success_can_be_changed_on_its_way_out() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    for (name, value) in [
        ("expires_in", json!("1200")),
        ("expires_in", json!(1199.5)),
        ("expires_in", json!(-1)),
        ("expires_in", json!(1e18)),
        ("expires_at", json!(1_900_000_000_000_u64)),
        ("token_type", json!("DPoP")),
        ("access_token", json!("a\r\nb")),
        ("error", json!("server_error")),
    ] {
        let changed = value.clone();
        idaas.behave_once(Behaviour::change(move |answer| {
            answer.insert(name.to_owned(), changed.clone());
            answer.remove("scope");
        }));
        let (status, answer) = ask(&http, &idaas, &post_form(&idaas, "api://x|read")).await;
        assert_eq!((status, &answer[name]), (StatusCode::OK, &value));
        assert!(answer.get("scope").is_none());
    }
}

#[tokio::test]
async fn an_echo_gives_the_credentials_away() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let form = post_form(&idaas, "api://x|read");
    let header = basic("app_test", "x");
    let mut request = token_request(&idaas, &form);
    request.headers_mut().insert(AUTHORIZATION, header.clone());
    idaas.behave_once(Behaviour::Echo);
    let response = http.request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let answer = json_of(response).await;
    let description = answer["error_description"].as_str().unwrap();
    assert!(description.contains(&form) && description.contains(header.to_str().unwrap()));
}

#[tokio::test]
async fn slow_answers_take_their_time() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    idaas.behave_once(Behaviour::Slow(Duration::from_millis(30)));
    let start = tokio::time::Instant::now();
    token(&http, &idaas, "api://x|read").await;
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_cut_body_breaks_off_in_the_middle() {
    let idaas = TestIdaas::start().await.unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let http = client(&idaas, version);
        idaas.behave_once(Behaviour::CutMidBody);
        let response = http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let promised: usize = response.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let mut body = response.into_body();
        let mut received = 0;
        let broken = loop {
            match body.frame().await {
                Some(Ok(frame)) => received += frame.into_data().unwrap().len(),
                Some(Err(_)) => break true,
                None => break false,
            }
        };
        assert!(broken);
        assert_eq!(received, promised / 2, "{version:?}");
        let connections = idaas.connections();
        token(&http, &idaas, "api://x|read").await;
        assert_eq!(idaas.connections(), connections + 1);
    }
}

#[tokio::test]
async fn padded_bodies_carry_the_real_answer_behind_their_blanks() {
    let idaas = TestIdaas::start().await.unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let http = client(&idaas, version);
        let interval = Duration::from_millis(2);
        for (behaviour, blanks) in
            [(Behaviour::Drip { interval, blanks: Some(5) }, 5), (Behaviour::HugeBody(3_000_000), 3_000_000)]
        {
            idaas.behave_once(behaviour);
            let response =
                http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))).await.unwrap();
            assert!(!response.headers().contains_key(CONTENT_LENGTH));
            let body = body(response).await;
            assert_eq!(body.iter().take_while(|byte| **byte == b' ').count(), blanks);
            let answer: Value = serde_json::from_slice(&body).unwrap();
            assert!(answer["access_token"].is_string());
        }

        idaas.behave_once(Behaviour::Drip { interval, blanks: None });
        let response = http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))).await.unwrap();
        let mut body = response.into_body();
        for _ in 0..20 {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), " ");
        }
    }
}

#[tokio::test]
async fn a_hanging_handshake_never_ends() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    token(&http, &idaas, "api://x|read").await;
    idaas.behave_once(Behaviour::HangHandshake);
    // The open connection closes in its own time; a client that starts anew meets the silence.
    let fresh = client(&idaas, Version::HTTP_2);
    let request = fresh.request(token_request(&idaas, &post_form(&idaas, "api://x|read")));
    tokio::time::timeout(Duration::from_millis(50), request).await.unwrap_err();
    assert_eq!((idaas.connections(), idaas.token_requests()), (2, 1));
    let fresh = client(&idaas, Version::HTTP_2);
    token(&fresh, &idaas, "api://x|read").await;
}

#[tokio::test]
async fn a_wrong_certificate_ends_the_handshake() {
    for (certificate, reason) in [
        (ServerCertificate::UnknownAuthority, "UnknownIssuer"),
        (ServerCertificate::WrongName, "elsewhere.invalid"),
        (ServerCertificate::Expired, "Expired"),
    ] {
        let idaas = TestIdaas::builder().certificate(certificate).start().await.unwrap();
        let http = client(&idaas, Version::HTTP_2);
        let error =
            http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))).await.unwrap_err();
        assert!(error.is_connect());
        assert!(format!("{error:?}").contains(reason), "{error:?}");
        assert_eq!((idaas.connections(), idaas.token_requests()), (1, 0));
    }
}

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
    idaas.behave_once(Behaviour::answer(StatusCode::OK, "text/plain", token.clone()));
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
