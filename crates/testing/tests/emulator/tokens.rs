//! The token endpoint: who gets a token, who does not, and what it says.

use super::*;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

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
            let json = json_of(response).await;
            assert_eq!(json["token_type"], "Bearer");
            assert_eq!(json["expires_in"], 1200);
            assert_eq!(json["scope"], "api://x|read");
            assert!(json["expires_at"].is_u64());
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
        let json = json_of(response).await;
        assert_eq!(json["error"], *error, "{form}: {json}");
        assert!(json["error_description"].is_string() && json["request_id"].is_string());
        assert!(!json.to_string().contains("not-a-real-secret"));
    }
    assert_eq!((idaas.rejected_requests(), idaas.tokens_issued()), (cases.len(), 0));
    assert_eq!(send_form(&http, &idaas, &good).await.0, StatusCode::OK);
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
    let (status, json) = send_form(&http, &idaas, &post_form(&idaas, "api://x|read")).await;
    assert_eq!((status, &json["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));

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
    assert_eq!(send_form(&http, &idaas, &old).await.0, StatusCode::OK);
    idaas.set_secret("not-a-real-secret-either");
    assert_eq!(send_form(&http, &idaas, &old).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(send_form(&http, &idaas, &post_form(&idaas, "api://x|read")).await.0, StatusCode::OK);
}

/// Verifies a token as any verifier does, by the published keys alone: its claims.
async fn verified(http: &Http, idaas: &TestIdaas, token: &str) -> Option<Value> {
    let metadata = Request::get(idaas.metadata_url()).body(Full::default()).unwrap();
    let metadata = json_of(http.request(metadata).await.unwrap()).await;
    assert_eq!(
        (&metadata["issuer"], &metadata["token_endpoint"]),
        (&json!(idaas.issuer()), &json!(idaas.token_endpoint()))
    );
    let keys = Request::get(metadata["jwks_uri"].as_str().unwrap()).body(Full::default()).unwrap();
    let keys = json_of(http.request(keys).await.unwrap()).await;
    let decode = |part: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header["alg"], "RS256");
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"])?;
    assert_eq!((&key["kty"], &key["use"], &key["alg"]), (&json!("RSA"), &json!("sig"), &json!("RS256")));
    let part = |name: &str| decode(key[name].as_str().unwrap());
    let key = RsaPublicKeyComponents { n: part("n"), e: part("e") };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decode(signature)).ok()?;
    Some(serde_json::from_slice(&decode(claims)).unwrap())
}

#[tokio::test]
async fn the_published_key_verifies_the_tokens() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let token = token(&http, &idaas, "api://x|read api://x|write").await;
    let claims = verified(&http, &idaas, &token).await.unwrap();
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!("api://x"), &json!("read write")));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(idaas.issuer()), &json!("app_test")));
    assert_eq!(idaas.metadata_url(), format!("{}/.well-known/openid-configuration", idaas.issuer()));
    let other = TestIdaas::start().await.unwrap();
    assert!(verified(&client(&other, Version::HTTP_2), &other, &token).await.is_none());

    let port = idaas.port();
    let path = "/.well-known/oauth-authorization-server/api/v2/iauths_system/oauth2";
    let request = Request::get(format!("https://localhost:{port}{path}")).body(Full::default()).unwrap();
    assert_eq!(json_of(http.request(request).await.unwrap()).await["issuer"], idaas.issuer());
}

#[tokio::test]
async fn a_rotated_signing_key_is_published_beside_the_old_one() {
    let idaas = TestIdaas::start().await.unwrap();
    let api = idaas.api("api://x").start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let old = token(&http, &idaas, "api://x|read").await;
    idaas.rotate_signing_key().unwrap();
    let new = token(&http, &idaas, "api://x|read").await;
    assert_ne!(old.split('.').next(), new.split('.').next(), "another key id");
    for token in [old, new] {
        assert!(verified(&http, &idaas, &token).await.is_some());
        assert_eq!(call(&http, api.url(), &token).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_exchanged_token_speaks_of_the_user_alone_unless_set_otherwise() {
    for names_actor in [false, true] {
        let builder = TestIdaas::builder();
        let builder = if names_actor { builder.with_actor_claim() } else { builder };
        let idaas = builder.start().await.unwrap();
        let http = client(&idaas, Version::HTTP_2);
        let user = idaas.user_token("user_1", &"api://shop|read".parse().unwrap()).unwrap();
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=app_test&\
             client_secret={}&scope=api://x|read&subject_token={}&\
             subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token",
            idaas.secret().expose_secret(),
            user.expose_secret()
        );
        let (status, json) = send_form(&http, &idaas, &form).await;
        assert_eq!(status, StatusCode::OK, "{json}");
        let claims = verified(&http, &idaas, json["access_token"].as_str().unwrap()).await.unwrap();
        assert_eq!(claims["sub"], "user_1");
        let actor = names_actor.then_some("app_test");
        assert_eq!(claims.pointer("/act/sub").and_then(Value::as_str), actor);
    }
}

#[tokio::test]
async fn access_tokens_alone_are_exchanged_for_access_tokens() {
    const TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A";
    let idaas = TestIdaas::builder().start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    let user = idaas.user_token("user_1", &"api://shop|read".parse().unwrap()).unwrap();
    let secret = idaas.secret();
    let (secret, user) = (secret.expose_secret(), user.expose_secret());
    for (subject, actor, requested) in [
        ("jwt", "access_token", "access_token"),
        ("access_token", "jwt", "access_token"),
        ("access_token", "access_token", "jwt"),
    ] {
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=app_test&\
             client_secret={secret}&scope=api://x|read&subject_token={user}&subject_token_type={TYPE}{subject}&\
             actor_token={user}&actor_token_type={TYPE}{actor}&requested_token_type={TYPE}{requested}"
        );
        let (status, json) = send_form(&http, &idaas, &form).await;
        assert_eq!((status, &json["error"]), (StatusCode::BAD_REQUEST, &"invalid_request".into()), "{json}");
    }
}

#[tokio::test]
async fn several_clients_each_have_their_own_secret() {
    let builder = TestIdaas::builder().client("app_1", "secret-1").add_client("app_2", "secret-2");
    let idaas = builder.start().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    for (id, secret, status) in [
        ("app_1", "secret-1", StatusCode::OK),
        ("app_2", "secret-2", StatusCode::OK),
        ("app_2", "secret-1", StatusCode::UNAUTHORIZED),
        ("app_3", "secret-1", StatusCode::UNAUTHORIZED),
    ] {
        let form =
            format!("grant_type=client_credentials&scope=api://x|read&client_id={id}&client_secret={secret}");
        let (found, json) = send_form(&http, &idaas, &form).await;
        assert_eq!(found, status, "{id}: {json}");
        if let Some(token) = json["access_token"].as_str() {
            assert_eq!(verified(&http, &idaas, token).await.unwrap()["sub"], id);
        }
        assert_eq!(idaas.requests().pop().unwrap().client_id.as_deref(), Some(id));
    }
    let twice = TestIdaas::builder().client("app_1", "a").add_client("app_1", "b").start().await.unwrap_err();
    assert_eq!(twice.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_port_can_be_chosen() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let idaas = TestIdaas::builder().port(port).start().await.unwrap();
    assert_eq!((idaas.port(), idaas.token_endpoint().contains(&format!(":{port}/"))), (port, true));
    let http = client(&idaas, Version::HTTP_2);
    token(&http, &idaas, "api://x|read").await;
    assert!(TestIdaas::builder().port(port).start().await.is_err(), "the port is taken");
}
