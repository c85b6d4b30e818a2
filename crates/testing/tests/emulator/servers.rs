//! The servers beside the token endpoint: their behaviour is set likewise, and go by the same clock.

use tower_idaas_testing::{Controls, OpenApiService, ServiceRequest};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An IDaaS, its OpenAPI, and their clock.
async fn started() -> (TestIdaas, OpenApiService, ManualClock) {
    let clock = ManualClock::new();
    let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
    let open_api = idaas.start_open_api().await.unwrap();
    (idaas, open_api, clock)
}

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

#[tokio::test]
async fn every_response_has_the_date_of_the_clock_that_is_turned_by_hand() {
    let (idaas, open_api, clock) = started().await;
    let sts = idaas.start_sts(&open_api).await.unwrap();
    let uri = idaas.start_credentials_uri(&open_api).await.unwrap();
    let metadata = idaas.start_metadata_service().await.unwrap();
    let api = idaas.api("api://x").start().await.unwrap();
    let http = client(&idaas, Version::HTTP_11);
    let date_of = async |url: &str| {
        let response = http.request(get(url)).await.unwrap();
        response.headers()[DATE].to_str().unwrap().to_owned()
    };
    let first = httpdate::parse_http_date(&date_of(&idaas.jwks_url()).await).unwrap();
    clock.advance(DAY);
    let expected = httpdate::fmt_http_date(first + DAY);
    assert_eq!(date_of(&idaas.jwks_url()).await, expected);
    let (token, refused) = (token(&http, &idaas, "api://x|read").await, date_of(api.url()).await);
    assert_eq!(refused, expected);
    assert_eq!(call(&http, api.url(), &token).await.headers()[DATE], expected);
    for url in [
        idaas.token_endpoint(),
        format!("https://{}/", open_api.endpoint()),
        format!("https://{}/", sts.endpoint()),
        uri.uri(),
        metadata.address(),
    ] {
        assert_eq!(date_of(&url).await, expected, "{url}");
    }
    metadata.set_behaviour(Behaviour::status(StatusCode::BAD_GATEWAY));
    assert_eq!(date_of(&metadata.address()).await, expected);
    let date = HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT");
    metadata.set_behaviour(Behaviour::status(StatusCode::BAD_GATEWAY).with_header(DATE, date.clone()));
    assert_eq!(date_of(&metadata.address()).await, date, "a response that has one keeps it");
}

/// Whatever the server, it does these things.
async fn obeys(server: &Controls, http: &Http, url: &str) {
    let send = || tokio::spawn(http.request(get(url)));
    server.set_behaviour(Behaviour::Hold);
    let waiting = [send(), send()];
    server.wait_for_requests(2).await;
    server.wait_for_held(2).await;
    server.release_with(Behaviour::status(StatusCode::IM_A_TEAPOT));
    for response in waiting {
        assert_eq!(response.await.unwrap().unwrap().status(), StatusCode::IM_A_TEAPOT);
    }
    server.behave_times(2, Behaviour::status(StatusCode::BAD_GATEWAY));
    server.behave_once(Behaviour::Echo);
    for status in [StatusCode::BAD_GATEWAY, StatusCode::BAD_GATEWAY, StatusCode::BAD_REQUEST] {
        assert_eq!(send().await.unwrap().unwrap().status(), status);
    }
    assert_eq!((server.requests().len(), server.held_requests()), (5, 0));

    server.down().await;
    assert!(send().await.unwrap().unwrap_err().is_connect());
    server.up().await.unwrap();
    server.set_behaviour(Behaviour::HangHandshake);
    tokio::time::timeout(Duration::from_millis(50), http.request(get(url))).await.unwrap_err();
    server.set_behaviour(Behaviour::Normal);
    assert!(server.connections() > 1);
    server.reset();
    assert_eq!((server.requests().len(), server.connections()), (0, 0));
}

#[tokio::test]
async fn every_server_has_the_same_controls() {
    let (idaas, open_api, _clock) = started().await;
    let sts = idaas.start_sts(&open_api).await.unwrap();
    let uri = idaas.start_credentials_uri(&open_api).await.unwrap();
    let metadata = idaas.start_metadata_service().await.unwrap();
    let http = client(&idaas, Version::HTTP_11);
    obeys(&open_api, &http, &format!("https://{}/", open_api.endpoint())).await;
    obeys(&sts, &http, &format!("https://{}/", sts.endpoint())).await;
    obeys(&uri, &http, &uri.uri()).await;
    obeys(&metadata, &http, &metadata.address()).await;
    assert_eq!((open_api.tokens_issued(), sts.credentials_issued()), (0, 0));
}

#[tokio::test]
async fn a_request_is_kept_with_its_parameters_and_shown_without_their_values() {
    let (idaas, open_api, _clock) = started().await;
    let request = Request::post(format!("https://{}/?key=s3cret-1", open_api.endpoint()))
        .header(CONTENT_TYPE, FORM)
        .header(AUTHORIZATION, "s3cret-2")
        .header("x-acs-security-token", "s3cret-3")
        .header("x-acs-action", "Something")
        .body(Full::from("OIDCToken=s3cret-4%2B&key=again"))
        .unwrap();
    client(&idaas, Version::HTTP_2).request(request).await.unwrap();
    let request: ServiceRequest = open_api.requests().pop().unwrap();
    assert_eq!((&request.method, request.uri.path()), (&Method::POST, "/"));
    assert_eq!(request.headers[AUTHORIZATION], "s3cret-2");
    assert_eq!(
        [request.parameter("key"), request.parameter("OIDCToken")],
        [Some("s3cret-1"), Some("s3cret-4+")]
    );
    assert_eq!(request.parameter("other"), None);
    assert!(request.parameter_names().eq(["key", "OIDCToken", "key"]));
    let shown = format!("{request:?} {request:#?} {open_api:?}");
    assert!(shown.contains("Something") && !shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_and_not_kept() {
    let (idaas, open_api, _clock) = started().await;
    let http = client(&idaas, Version::HTTP_2);
    for url in [idaas.token_endpoint(), format!("https://{}/", open_api.endpoint())] {
        let request = Request::post(url).body(Full::from(vec![b'a'; 1 << 20 | 1])).unwrap();
        assert_eq!(http.request(request).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!((idaas.token_requests(), open_api.requests().len()), (0, 0));
}
