//! The behaviours of the world: clocks, caches, codings, heads, gateways, proxies and files.

use std::io::Read;
use std::time::SystemTime;

use flate2::read::GzDecoder;
use http::HeaderName;
use http::header::{AGE, CONTENT_ENCODING, PROXY_AUTHENTICATE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_idaas_testing::{TestProxy, TornFile};

use super::*;

/// The response to a good request, over HTTP/2 and HTTP/1.1.
async fn responses(idaas: &TestIdaas, behaviour: Behaviour) -> [Response<hyper::body::Incoming>; 2] {
    idaas.set_behaviour(behaviour);
    let send = async |version| {
        let request = token_request(idaas, &post_form(idaas, "api://x|read"));
        client(idaas, version).request(request).await.unwrap()
    };
    [send(Version::HTTP_2).await, send(Version::HTTP_11).await]
}

async fn started() -> TestIdaas {
    TestIdaas::start().await.unwrap()
}

fn has_token(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).unwrap()["access_token"].is_string()
}

#[tokio::test]
async fn a_date_can_be_wrong_and_a_response_old() {
    let idaas = started().await;
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_799);
    for response in responses(&idaas, Behaviour::date(date)).await {
        assert_eq!(response.headers().get_all(DATE).iter().count(), 1);
        assert_eq!(response.headers()[DATE], "Fri, 31 Dec 1999 23:59:59 GMT");
        assert!(has_token(&body(response).await));
    }
    for response in responses(&idaas, Behaviour::aged(Duration::from_secs(90))).await {
        assert_eq!(response.headers()[AGE], "90");
        assert!(has_token(&body(response).await));
    }
}

#[tokio::test]
async fn a_body_can_be_compressed_or_start_with_a_mark() {
    let idaas = started().await;
    for response in responses(&idaas, Behaviour::gzip()).await {
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        let mut plain = Vec::new();
        GzDecoder::new(&body(response).await[..]).read_to_end(&mut plain).unwrap();
        assert!(has_token(&plain));
    }
    for response in responses(&idaas, Behaviour::byte_order_mark()).await {
        let body = body(response).await;
        assert!(has_token(body.strip_prefix(b"\xef\xbb\xbf").unwrap()));
    }
}

#[tokio::test]
async fn changes_can_be_combined_and_reach_refusals_too() {
    let idaas = started().await;
    let name = HeaderName::from_static("via");
    let behaviour = Behaviour::change(|json| drop(json.remove("expires_in")))
        .with_header(name.clone(), HeaderValue::from_static("1.1 gateway"))
        .and(|response| *response.status_mut() = StatusCode::ACCEPTED);
    for response in responses(&idaas, behaviour).await {
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers()[&name], "1.1 gateway");
        assert!(json_of(response).await.get("expires_in").is_none());
    }
    idaas.set_secret("rotated");
    idaas.set_behaviour(Behaviour::byte_order_mark());
    let request = token_request(&idaas, &form(&idaas, "api://x|read"));
    let response = client(&idaas, Version::HTTP_2).request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(body(response).await.starts_with(b"\xef\xbb\xbf"));
}

/// What the server sends to an HTTP/1.1 client, byte by byte.
async fn bytes_of(idaas: &TestIdaas) -> String {
    let request = token_request(idaas, &post_form(idaas, "api://x|read"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(idaas.root_certificate_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", idaas.port())).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let head = format!(
        "POST /api/v2/iauths_system/oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn heads_can_be_folded_long_and_preceded_by_interim_responses() {
    let idaas = started().await;
    idaas.set_behaviour(Behaviour::FoldedHeaders);
    let received = bytes_of(&idaas).await;
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json;\r\n charset=utf-8\r\n"), "{head}");
    assert!(has_token(body.as_bytes()));

    idaas.set_behaviour(Behaviour::Interim(40));
    let received = bytes_of(&idaas).await;
    assert_eq!(received.matches("HTTP/1.1 102 Processing\r\n\r\n").count(), 40);
    let last = received.rsplit_once("HTTP/1.1 200 OK").unwrap().1;
    assert!(has_token(last.split_once("\r\n\r\n").unwrap().1.as_bytes()));

    idaas.set_behaviour(Behaviour::many_headers(300));
    assert_eq!(bytes_of(&idaas).await.matches("x-filler: filler\r\n").count(), 300);
    assert_eq!(idaas.tokens_issued(), 3);
}

#[tokio::test]
async fn anything_at_all_can_be_in_the_place_of_a_response() {
    let idaas = started().await;
    let http = client(&idaas, Version::HTTP_11);
    idaas.behave_once(Behaviour::Raw("SSH-2.0-OpenSSH_9.9\r\n".into()));
    assert_eq!(bytes_of(&idaas).await, "SSH-2.0-OpenSSH_9.9\r\n");
    idaas.behave_once(Behaviour::Raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort".into()));
    let response = http.request(token_request(&idaas, &post_form(&idaas, "api://x|read"))).await.unwrap();
    assert_eq!(body(response).await, "short");
    token(&http, &idaas, "api://x|read").await; // on another connection
    assert_eq!((idaas.connections(), idaas.tokens_issued()), (3, 1));
}

#[tokio::test]
async fn gateways_throttle_and_refuse_in_their_own_ways() {
    let idaas = started().await;
    let open_api = idaas.start_open_api().await.unwrap();
    let sts = idaas.start_sts(&open_api).await.unwrap();
    let developer_api = idaas.start_developer_api().await.unwrap();
    let http = client(&idaas, Version::HTTP_2);
    for (controls, endpoint) in [
        (&*open_api, open_api.endpoint()),
        (&*sts, sts.endpoint()),
        (&*developer_api, developer_api.endpoint()),
    ] {
        let send = async || {
            let request = Request::post(format!("https://{endpoint}/")).body(Full::default()).unwrap();
            http.request(request).await.unwrap()
        };
        controls.behave_once(Behaviour::throttled(Duration::from_secs(60)));
        let response = send().await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["x-acs-retry-after"], "60000");
        assert!(!response.headers().contains_key(RETRY_AFTER));
        assert_eq!(json_of(response).await["Code"], "Throttling.User");

        controls.behave_once(Behaviour::throttled_by_rate_limit(Duration::from_millis(2500)));
        let response = send().await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let limit = response.headers()["x-ratelimit-user-api"].to_str().unwrap();
        assert_eq!(limit, "Limit:1,Remain:0,TimeLeft:2500,Reset:1234");
        assert_eq!(json_of(response).await["Code"], "Throttling.Api");
    }
    for response in responses(&idaas, Behaviour::unavailable("1.5")).await {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1.5");
    }
    for response in responses(&idaas, Behaviour::status(StatusCode::UNAUTHORIZED)).await {
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(!response.headers().contains_key(CONTENT_TYPE) && body(response).await.is_empty());
    }
}

#[tokio::test]
async fn an_issued_token_can_be_called_no_access_token() {
    let idaas = started().await;
    let saml = "urn:ietf:params:oauth:token-type:saml2";
    for response in responses(&idaas, Behaviour::not_an_access_token(saml)).await {
        let json = json_of(response).await;
        assert_eq!((&json["token_type"], &json["issued_token_type"]), (&json!("N_A"), &json!(saml)));
        assert!(json["access_token"].is_string());
    }
}

#[tokio::test]
async fn a_proxy_responds_to_connect_with_any_status() {
    let idaas = TestIdaas::builder().host_name("idaas.example.com").without_http2().start().await.unwrap();
    let proxy = TestProxy::start(idaas.port()).await.unwrap();
    let environment = idaas.environment();
    environment.set("HTTPS_PROXY", proxy.url_with("user", "s3cret"));
    let endpoint = idaas.token_endpoint().replace("localhost", "idaas.example.com");
    let handle = || {
        let builder = idaas.handle().environment(environment.clone());
        builder.token_endpoint(&endpoint).build().unwrap()
    };
    // The assertion of CLIENT_SECRET_POST names no endpoint, so that the token is issued by whatever name.
    for status in ["200 OK", "201 Created", "299 Whatever"] {
        proxy.respond_with(status, &[("x-anything", "goes")]);
        handle().token().await.unwrap();
    }
    assert_eq!(idaas.tokens_issued(), 3);
    proxy
        .respond_with("407 Proxy Authentication Required", &[(PROXY_AUTHENTICATE.as_str(), "Basic realm=x")]);
    let error = handle().token().await.unwrap_err();
    assert!(error.to_string().contains("407"), "{error}");
    let tunnels = proxy.tunnels();
    assert_eq!(tunnels[0].target, format!("idaas.example.com:{}", idaas.port()));
    assert_eq!(tunnels[0].authorization.as_deref(), Some(basic("user", "s3cret").to_str().unwrap()));
    assert!(!format!("{tunnels:?}{proxy:?}").contains("dXNlc"));
}

#[tokio::test]
async fn a_torn_file_is_met_in_each_of_its_states() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old").unwrap();
    let idaas = started().await;
    let token = idaas.service_account_token().issue().unwrap();
    let mut file = TornFile::truncate(&path, token.as_str()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    file.write_half().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), token[..token.len() / 2]);
    assert!(!format!("{file:?}").contains(&token[token.len() / 2..]));
    file.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), token);
}
