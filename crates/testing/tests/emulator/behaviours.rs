//! What the server does instead of its duty, and the requests it holds.

use super::*;

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
    for response in waiting {
        assert_eq!(response.await.unwrap().unwrap().status(), StatusCode::OK);
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
    idaas.set_behaviour(Behaviour::code(StatusCode::BAD_REQUEST, "unauthorized_client"));
    idaas.behave_times(2, Behaviour::openapi_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"));
    idaas.behave_once(Behaviour::Normal);
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (status, json) = send_form(&http, &idaas, &post_form(&idaas, "api://x|read")).await;
        seen.push((status.as_u16(), json["error"].as_str().or(json["Code"].as_str()).map(str::to_owned)));
    }
    let failure = (500, Some("InternalError".to_owned()));
    let standing = (400, Some("unauthorized_client".to_owned()));
    assert_eq!(seen, [failure.clone(), failure, (200, None), standing.clone(), standing]);
    assert_eq!((idaas.token_requests(), idaas.tokens_issued(), idaas.rejected_requests()), (5, 1, 0));
}

#[tokio::test]
async fn any_response_can_be_sent_as_it_is() {
    let idaas = TestIdaas::start().await.unwrap();
    let http = client(&idaas, Version::HTTP_11);
    let form = post_form(&idaas, "api://x|read");
    for (content_type, text) in [
        ("text/html", "<html>"),
        ("application/json", "{\"access_token\": \"a"),
        ("application/json", "[]"),
        ("application/json", ""),
    ] {
        idaas.behave_once(Behaviour::response(StatusCode::OK, content_type, text));
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
        idaas.behave_once(Behaviour::change(move |json| {
            json.insert(name.to_owned(), changed.clone());
            json.remove("scope");
        }));
        let (status, json) = send_form(&http, &idaas, &post_form(&idaas, "api://x|read")).await;
        assert_eq!((status, &json[name]), (StatusCode::OK, &value));
        assert!(json.get("scope").is_none());
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
    let json = json_of(response).await;
    let description = json["error_description"].as_str().unwrap();
    assert!(description.contains(&form) && description.contains(header.to_str().unwrap()));
}

#[tokio::test]
async fn slow_responses_take_their_time() {
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
async fn padded_bodies_carry_the_real_response_behind_their_blanks() {
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
            let json: Value = serde_json::from_slice(&body).unwrap();
            assert!(json["access_token"].is_string());
        }

        idaas.behave_once(Behaviour::Drip { interval, blanks: None });
        let response = http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))).await.unwrap();
        let mut body = response.into_body();
        for _ in 0..20 {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), " ");
        }
    }
}
