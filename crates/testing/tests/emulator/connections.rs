//! Ports, TLS and connections, and their failures.

use super::*;

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
