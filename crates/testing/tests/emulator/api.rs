//! The protected API: which tokens it accepts.

use super::*;

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
async fn the_api_speaks_plain_http_when_set_to() {
    let idaas = TestIdaas::start().await.unwrap();
    let api = idaas.api("api://x").plain_http().start().await.unwrap();
    assert!(api.url().starts_with("http://"));
    let http = client(&idaas, Version::HTTP_11);
    let token = token(&http, &idaas, "api://x|read").await;
    let response = call(&http, &format!("{}orders/1", api.url()), &token).await;
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_11));
}
