//! PKCS7: documents of both clouds, and a machine that has none.

use super::*;

#[tokio::test]
async fn pkcs7_gets_a_token_on_an_ecs_instance() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    fixture.pkcs7(&metadata).token().await.unwrap();
    assert_eq!(fixture.idaas.requests()[0].client_authentication, Some(ClientAuthentication::Pkcs7));
    let requests = metadata.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((&requests[0].method, requests[0].uri.path()), (&Method::PUT, "/latest/api/token"));
    assert_eq!(requests[0].headers["x-aliyun-ecs-metadata-token-ttl-seconds"], "3600");
    assert_eq!(requests[0].headers["content-length"], "0");
    assert_eq!(requests[1].method, Method::GET);
    assert_eq!(requests[1].uri.path(), "/latest/dynamic/instance-identity/pkcs7");
    assert!(requests[1].headers.contains_key("x-aliyun-ecs-metadata-token"));
}

#[tokio::test]
async fn pkcs7_gets_a_token_on_an_ec2_instance_with_a_document_for_each_request() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let idaas = fixture.changed("ALIBABA_CLOUD_ECS", "AWS_EC2").metadata_address(metadata.address());
    let idaas = idaas.build().unwrap();
    idaas.token().await.unwrap();
    idaas.token_for(&"api://other|read".parse().unwrap()).await.unwrap();
    let requests = metadata.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].headers["x-aws-ec2-metadata-token-ttl-seconds"], "3600");
    assert_eq!(requests[1].uri, "/latest/dynamic/instance-identity/rsa2048");
    assert!(requests[1].headers.contains_key("x-aws-ec2-metadata-token"));
}

#[tokio::test]
async fn a_document_in_lines_is_sent_in_one_piece() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    metadata.set_document(MetadataDocument::Wrapped);
    fixture.pkcs7(&metadata).token().await.unwrap();
    assert_eq!(fixture.idaas.rejected_requests(), 0);
}

#[tokio::test]
async fn a_document_for_another_instance_or_changed_on_the_way_is_refused() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let other = fixture.changed(TestIdaas::INSTANCE_ID, "idaas_other").metadata_address(metadata.address());
    refused(&other.build().unwrap(), "for another IDaaS instance").await;
    metadata.set_document(MetadataDocument::Tampered);
    let on_ec2 = fixture.changed("ALIBABA_CLOUD_ECS", "AWS_EC2").metadata_address(metadata.address());
    for idaas in [fixture.pkcs7(&metadata), on_ec2.build().unwrap()] {
        let error = refused(&idaas, "not signed by the cloud").await;
        assert!(!error.is_transient());
    }
    // Each was tried with a fresh document once more, and then no more.
    assert_eq!((fixture.idaas.token_requests(), metadata.requests().len()), (6, 12));
}

#[tokio::test]
async fn a_document_serves_all_scopes_for_fifty_minutes() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let idaas = fixture.pkcs7(&metadata);
    let scopes: Vec<Scope> = (0..8).map(|number| format!("api://{number}|read").parse().unwrap()).collect();
    let asking = scopes.into_iter().map(|scope| {
        let idaas = idaas.clone();
        tokio::spawn(async move { idaas.token_for(&scope).await })
    });
    for asking in asking.collect::<Vec<_>>() {
        asking.await.unwrap().unwrap();
    }
    assert_eq!((fixture.idaas.tokens_issued(), metadata.requests().len()), (8, 2));

    fixture.clock.advance(50 * MINUTE - Duration::from_secs(1));
    idaas.token().await.unwrap();
    assert_eq!(metadata.requests().len(), 2);
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    assert_eq!(metadata.requests().len(), 4);
    assert_eq!(fixture.idaas.rejected_requests(), 0);
}

#[tokio::test]
async fn a_refused_document_is_replaced_at_once() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let idaas = fixture.pkcs7(&metadata);
    idaas.token().await.unwrap();
    fixture.outlive_the_token();
    let refusal = Behaviour::code(StatusCode::UNAUTHORIZED, "invalid_client");
    fixture.idaas.behave_once(refusal);
    idaas.token().await.unwrap();
    assert_eq!((fixture.idaas.token_requests(), metadata.requests().len()), (3, 4));
}

#[tokio::test]
async fn without_the_service_the_error_names_the_machines_where_pkcs7_works() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    for (behaviour, kind, why) in [
        (Behaviour::status(StatusCode::NOT_FOUND), ErrorKind::Refused, "with 404 Not Found"),
        (Behaviour::status(StatusCode::BAD_GATEWAY), ErrorKind::Unavailable, "with 502"),
        (Behaviour::HangHandshake, ErrorKind::Timeout, "does not respond to PUT /latest/api/token"),
    ] {
        metadata.set_behaviour(behaviour);
        let error = fixture.pkcs7(&metadata).token().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        for part in [why, &metadata.address(), "works on an ECS instance only", "hop limit"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    metadata.set_behaviour(Behaviour::Normal);
    metadata.set_document(MetadataDocument::Missing);
    let error = fixture.pkcs7(&metadata).token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("is no document; check that nothing is in front of it"), "{error}");
    assert_eq!(fixture.idaas.token_requests(), 0);
}

#[tokio::test]
async fn a_service_that_issues_no_token_gets_a_request_without_unless_that_is_forbidden() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    metadata.serve_without_tokens();
    let no_token = [
        Behaviour::Normal, // 404
        Behaviour::status(StatusCode::METHOD_NOT_ALLOWED),
        Behaviour::status(StatusCode::FORBIDDEN),
        Behaviour::response(StatusCode::OK, "text/plain", ""),
        Behaviour::CutMidBody,
        // From a container, one hop too far for a response to a PUT.
        Behaviour::Slow(10 * MINUTE),
    ];
    for (number, behaviour) in no_token.into_iter().enumerate() {
        let case = format!("{behaviour:?}");
        metadata.behave_once(behaviour);
        if let Err(error) = fixture.pkcs7(&metadata).token().await {
            panic!("{case}: {error}");
        }
        let requests = metadata.requests();
        assert_eq!(requests.len(), 2 * (number + 1), "{case}");
        assert_eq!(requests.last().unwrap().method, Method::GET);
        assert!(!requests.last().unwrap().headers.contains_key("x-aliyun-ecs-metadata-token"), "{case}");
    }

    let environment = fixture.idaas.environment();
    environment.set("ALIBABA_CLOUD_IMDSV1_DISABLED", "true");
    let before = metadata.requests().len();
    let idaas = fixture.builder(ClientAuthentication::Pkcs7).environment(environment);
    let idaas = idaas.metadata_address(metadata.address()).build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert!(error.to_string().contains("responded to PUT /latest/api/token with 404"), "{error}");
    assert_eq!(metadata.requests().len(), before + 1);
}

#[tokio::test]
async fn the_metadata_service_is_never_called_through_a_proxy() {
    let fixture = Fixture::new().await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let environment = fixture.idaas.environment();
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        environment.set(name, format!("http://{}", proxy.local_addr().unwrap()));
    }
    // An address that no host has (RFC 5737), as the real one is elsewhere than on an instance.
    let idaas = fixture.builder(ClientAuthentication::Pkcs7).environment(environment);
    let idaas = idaas.metadata_address("http://192.0.2.1").build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert!(error.is_transient());
    assert!(error.to_string().contains("at http://192.0.2.1 does not respond"), "{error}");
    assert!(tokio::time::timeout(Duration::ZERO, proxy.accept()).await.is_err(), "the proxy was called");
}

#[tokio::test]
async fn a_metadata_address_that_is_none_is_a_fault_of_the_configuration() {
    let fixture = Fixture::new().await;
    let builder = fixture.builder(ClientAuthentication::Pkcs7).metadata_address("https://100.100.100.200/x");
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("`metadata_address` is not an address; expected `http://host:port`"), "{error}");
}
