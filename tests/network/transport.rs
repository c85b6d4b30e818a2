//! The way to the token endpoint and back: what can go wrong on it is distinguished, and ends in time.

use std::time::{Duration, Instant};

use crate::support::raw::{Manner, RawServer};
use crate::support::{builder, chain};
use http::Version;
use tower_idaas::authn::{ClientSecretPost, PrivateKeyJwt};
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Error, ErrorKind, Idaas, IdaasBuilder, Scope, SecretSource};
use tower_idaas_testing::{Behaviour, ServerCertificate, TestIdaas};

const TOKEN: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n{\"access_token\":\"t\",\"expires_in\":\"1200\" }";

const LIMIT: Duration = Duration::from_millis(300);
/// Short of nothing on a busy machine; the limit under test is always the shorter one.
const AMPLE: Duration = Duration::from_secs(20);

/// A client of whatever listens at this URL.
fn builder_at(url: impl Into<String>) -> IdaasBuilder {
    Idaas::builder()
        .instance_id("idaas_1")
        .client_id("app_1")
        .issuer("https://issuer.example")
        .token_endpoint(url)
        .scope("api://x|read")
        .authenticator(ClientSecretPost::new(SecretSource::value("not-a-real-secret".to_owned())))
        .environment(ManualEnvironment::new())
}

fn plain(server: &RawServer) -> IdaasBuilder {
    builder_at(format!("http://127.0.0.1:{}/token", server.port()))
}

/// The error, which came after the limit and before twice the limit and some time for a busy machine.
async fn fails_at_limit(idaas: &Idaas) -> Error {
    let start = Instant::now();
    let error = idaas.token().await.unwrap_err();
    let elapsed = start.elapsed();
    assert!(elapsed >= LIMIT && elapsed < 2 * LIMIT + Duration::from_secs(2), "{elapsed:?}: {error}");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true), "{error}");
    error
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_connect_timeout() {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::HangHandshake);
    let idaas = builder(&issuer).connect_timeout(LIMIT).read_timeout(AMPLE).build().unwrap();
    let error = fails_at_limit(&idaas).await;
    assert!(error.to_string().contains("no connection to https://localhost:"), "{error}");
    assert!(error.to_string().contains("within 300ms"), "{error}");
    assert!(error.to_string().contains("connectTimeout"), "{error}");
    // A time-out is not worth waiting for three times.
    assert_eq!((issuer.connections(), issuer.token_requests()), (1, 0));
}

#[tokio::test]
async fn a_response_that_does_not_come_ends_with_the_read_timeout() {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::Slow(AMPLE));
    let idaas = builder(&issuer).connect_timeout(AMPLE).read_timeout(LIMIT).build().unwrap();
    let error = fails_at_limit(&idaas).await;
    assert!(error.to_string().contains("no complete response from https://localhost:"), "{error}");
    assert!(error.to_string().contains("within 300ms"), "{error}");
    assert!(error.to_string().contains("readTimeout"), "{error}");
    assert_eq!(issuer.token_requests(), 1);
}

#[tokio::test]
async fn a_response_that_drips_in_ends_with_the_read_timeout() {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::Drip { interval: Duration::from_millis(10), blanks: None });
    let idaas = builder(&issuer).connect_timeout(AMPLE).read_timeout(LIMIT).build().unwrap();
    let error = fails_at_limit(&idaas).await;
    assert!(error.to_string().contains("no complete response"), "{error}");

    // Dripping headers are no better, and the server notices that the connection is closed.
    let server = RawServer::start(Manner::Drips("HTTP/1.1 200 OK\r\n", "X-Y: z\r\n", LIMIT / 30)).await;
    let idaas = plain(&server).connect_timeout(AMPLE).read_timeout(LIMIT).build().unwrap();
    fails_at_limit(&idaas).await;
    server.wait_for_cut_offs(1).await;
}

#[tokio::test]
async fn a_slow_response_within_the_read_timeout_is_waited_for() {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::Drip { interval: Duration::from_millis(5), blanks: Some(10) });
    builder(&issuer).read_timeout(AMPLE).build().unwrap().token().await.unwrap();
    assert_eq!(issuer.token_requests(), 1);
}

#[tokio::test]
async fn an_endless_response_is_cut_off_at_one_mebibyte() {
    // Without a length: it ends when the connection does, which is never.
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    const BLANKS: &str = match std::str::from_utf8(&[b' '; 4096]) {
        Ok(blanks) => blanks,
        Err(_) => "",
    };
    let server = RawServer::start(Manner::Drips(HEAD, BLANKS, Duration::ZERO)).await;
    let idaas = plain(&server).read_timeout(AMPLE).build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::InvalidResponse, false), "{error}");
    assert!(error.to_string().contains("longer than 1048576 bytes and was cut off"), "{error}");
    // The server got rid of what was read and of what fits into the buffers of two sockets, no more.
    server.wait_for_cut_offs(1).await;
    assert_eq!(server.connections(), 1, "another request would get the same");
    assert!(server.written() < 16 << 20, "{} bytes", server.written());
}

#[tokio::test]
async fn a_response_of_just_less_than_one_mebibyte_is_read() {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::HugeBody((1 << 20) - 4096));
    builder(&issuer).read_timeout(AMPLE).build().unwrap().token().await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_is_called_so() {
    let issuer = TestIdaas::start().await.unwrap();
    let idaas = builder(&issuer).build().unwrap();
    issuer.down().await;
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true));
    assert!(error.to_string().contains("connection refused by https://localhost:"), "{error}");
}

#[tokio::test]
async fn a_name_without_an_address_fails_and_may_pass() {
    // A resolver may be slow to say that there is none (RFC 6761 section 6.4), or lie.
    let idaas = builder_at("https://nonexistent.invalid/token").connect_timeout(LIMIT).build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout) && error.is_transient(),
        "{error}"
    );
    assert!(error.to_string().contains("https://nonexistent.invalid/token"), "{error}");
}

#[tokio::test]
async fn tls_failures_say_what_is_wrong_with_the_certificate() {
    for (certificate, reason) in [
        (ServerCertificate::UnknownAuthority, "UnknownIssuer"),
        (ServerCertificate::WrongName, "not valid for name"),
        (ServerCertificate::Expired, "expired"),
    ] {
        let issuer = TestIdaas::builder().certificate(certificate).start().await.unwrap();
        let error = builder(&issuer).build().unwrap().token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true), "{certificate:?}");
        let text = error.to_string();
        assert!(text.contains("no TLS connection to https://localhost:"), "{text}");
        assert!(text.contains(reason) && text.contains("SSL_CERT_FILE"), "{certificate:?}: {text}");
        assert_eq!(issuer.token_requests(), 0);
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_failure() {
    let server = RawServer::start(Manner::Says("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let idaas = builder_at(format!("https://localhost:{}/token", server.port())).build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.to_string().contains("no TLS connection"), "{error}");
}

#[tokio::test]
async fn a_tls_handshake_that_is_cut_off_is_distinguished_from_a_connection_that_is_refused() {
    let server = RawServer::start(Manner::Says("")).await;
    let idaas = builder_at(format!("https://localhost:{}/token", server.port())).build().unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true), "{error}");
    assert!(error.to_string().contains("the TLS handshake with https://localhost:"), "{error}");
    assert!(error.to_string().contains("was cut off"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_in_mid_response_is_transient() {
    let server = RawServer::start(Manner::Resets).await;
    let silent = RawServer::start(Manner::Says("")).await;
    for server in [&server, &silent] {
        let error = plain(server).build().unwrap().token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true), "{}", chain(&error));
        assert!(error.to_string().contains("broke before the response was complete"), "{error}");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn what_is_no_http_is_called_that_and_requested_once() {
    let many: &str = Box::leak(head_with(2_000).into_boxed_str());
    let long: &str =
        Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).into_boxed_str());
    for (says, what) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", "is no HTTP/1 response"),
        ("\u{16}\u{3}\u{1}\u{2}", "is no HTTP/1 response"),
        (many, "too many or too long header fields"),
        (long, "too many or too long header fields"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", "a body that is no HTTP/1"),
    ] {
        let server = RawServer::start(Manner::Says(says)).await;
        let error = plain(&server).build().unwrap().token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{}", chain(&error));
        assert!(!error.is_transient() && error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains("http://127.0.0.1:"), "{error}");
        assert_eq!(server.connections(), 1, "{error}");
    }
}

/// A token with so many header fields before it.
fn head_with(fields: usize) -> String {
    let fields: String = (0..fields).map(|number| format!("X-{number}: y\r\n")).collect();
    TOKEN.replacen("\r\n", &format!("\r\n{fields}"), 1)
}

#[tokio::test]
async fn heads_of_many_kinds_are_read() {
    let folded = TOKEN.replacen("\r\n", "\r\nX-Folded: a\r\n  b\r\nX-Space : c\r\nno field at all\r\n", 1);
    let interim = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{TOKEN}");
    for says in [head_with(500), head_with(1_000), folded, interim] {
        let server = RawServer::start(Manner::Says(Box::leak(says.into_boxed_str()))).await;
        assert_eq!(plain(&server).build().unwrap().token().await.unwrap().expose_token(), "t");
    }
}

#[tokio::test]
async fn a_flood_of_interim_responses_ends() {
    const INTERIM: &str = "HTTP/1.1 102 Processing\r\nX-Progress: 1\r\n\r\n";
    let server = RawServer::start(Manner::Drips(INTERIM, INTERIM, Duration::ZERO)).await;
    let start = Instant::now();
    let error = plain(&server).read_timeout(AMPLE).build().unwrap().token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::InvalidResponse, false), "{error}");
    assert!(error.to_string().contains("interim responses"), "{error}");
    assert!(start.elapsed() < AMPLE / 2);
    server.wait_for_cut_offs(1).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_idle_connection_that_the_other_side_has_dropped_costs_no_read_timeout() {
    let other: Scope = "api://other|read".parse().unwrap();
    for manner in [Manner::SaysOnce(TOKEN), Manner::SaysOnceAndCloses(TOKEN)] {
        let server = RawServer::start(manner).await;
        let idaas = plain(&server).read_timeout(AMPLE).build().unwrap();
        let start = Instant::now();
        idaas.token().await.unwrap();
        idaas.token_for(&other).await.unwrap();
        assert!(start.elapsed() < AMPLE / 4, "{manner:?}: {:?}", start.elapsed());
        assert_eq!(server.connections(), 2, "{manner:?}");
    }
}

#[tokio::test]
async fn a_slow_server_gets_no_second_request_on_an_idle_connection() {
    let issuer = TestIdaas::start().await.unwrap();
    issuer.set_behaviour(Behaviour::Slow(Duration::from_millis(700)));
    let idaas = builder(&issuer).read_timeout(AMPLE).build().unwrap();
    idaas.token().await.unwrap();
    // Slower than any connection may stay silent at first, and not much slower than what was seen.
    issuer.set_behaviour(Behaviour::Slow(Duration::from_millis(1_500)));
    idaas.token_for(&"api://other|read".parse::<Scope>().unwrap()).await.unwrap();
    assert_eq!((issuer.token_requests(), issuer.connections()), (2, 1));
}

#[cfg(feature = "aliyun")]
#[tokio::test]
async fn what_is_known_of_one_server_says_nothing_of_another() {
    let issuer = TestIdaas::start().await.unwrap();
    let api = issuer.start_developer_api().await.unwrap();
    api.store_api_key("model", "k3y");
    let idaas = builder(&issuer).developer_api_endpoint(api.endpoint()).read_timeout(AMPLE).build().unwrap();
    issuer.set_behaviour(Behaviour::Slow(Duration::from_millis(700)));
    idaas.token().await.unwrap();
    // This server is fast.
    idaas.api_key("model").unwrap().key_text().await.unwrap();
    let before = issuer.connections();
    issuer.set_behaviour(Behaviour::Slow(Duration::from_millis(1_500)));
    idaas.token_for(&"api://other|read".parse::<Scope>().unwrap()).await.unwrap();
    assert_eq!((issuer.token_requests(), issuer.connections()), (3, before));
}

#[tokio::test]
async fn a_server_that_seemed_gone_and_was_slow_gets_no_assertion_twice() {
    // On threads of its own: what blocks them delays no timer of the client.
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let issuer = servers.spawn(TestIdaas::start()).await.unwrap().unwrap();
    let method = PrivateKeyJwt::new(SecretSource::value(issuer.private_key_pem()));
    let idaas = builder(&issuer).authenticator(method).read_timeout(AMPLE).build().unwrap();
    let start = Instant::now();
    idaas.token().await.unwrap();
    // Longer than the connection may stay silent, on a busy machine as well; the assertion's `jti` is used up by then.
    let slow = Duration::from_millis(1_500).max(start.elapsed() * 6);
    issuer.set_behaviour(Behaviour::change_response(move |_| std::thread::sleep(slow)));
    idaas.token_for(&"api://other|read".parse::<Scope>().unwrap()).await.unwrap();
    assert_eq!((issuer.token_requests(), issuer.rejected_requests(), issuer.connections()), (3, 0, 2));
    servers.shutdown_background();
}

#[tokio::test]
async fn one_connection_serves_all_scopes_over_http1_whatever_is_offered_and_names_the_client() {
    for builder_of_issuer in [TestIdaas::builder(), TestIdaas::builder().without_http2()] {
        let issuer = builder_of_issuer.start().await.unwrap();
        let idaas = builder(&issuer).build().unwrap();
        idaas.token().await.unwrap();
        idaas.token_for(&"api://other|read".parse::<Scope>().unwrap()).await.unwrap();
        assert_eq!((issuer.token_requests(), issuer.connections()), (2, 1));
        for request in issuer.requests() {
            assert_eq!(request.version, Version::HTTP_11);
            let name = concat!("tower-idaas/", env!("CARGO_PKG_VERSION"));
            assert_eq!(request.user_agent.as_deref(), Some(name));
        }
    }
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_is_replaced_without_an_error() {
    let issuer = TestIdaas::start().await.unwrap();
    let idaas = builder(&issuer).build().unwrap();
    idaas.token().await.unwrap();
    issuer.down().await;
    issuer.up().await.unwrap();
    idaas.token_for(&"api://other|read".parse::<Scope>().unwrap()).await.unwrap();
    assert_eq!(issuer.tokens_issued(), 2);
}

#[tokio::test]
async fn plain_http_reaches_a_loopback_endpoint_and_no_other() {
    const ANSWER: &str =
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"access_token\":\"t\",\"expires_in\":\"1200\"}";
    let server = RawServer::start(Manner::Says(ANSWER)).await;
    assert_eq!(plain(&server).build().unwrap().token().await.unwrap().expose_token(), "t");

    // Anything else is upgraded: here to a TLS handshake with something that cannot do it.
    let elsewhere = builder_at("http://nonexistent.invalid/token").connect_timeout(LIMIT).build().unwrap();
    let error = elsewhere.token().await.unwrap_err();
    assert!(error.to_string().contains("https://nonexistent.invalid/token"), "{error}");
}

#[test]
fn a_handle_outlives_the_runtime_that_it_was_first_used_on() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = runtime();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let serving = std::thread::spawn(move || {
        servers.block_on(async {
            let issuer = TestIdaas::start().await.unwrap();
            ready.send(builder(&issuer).build().unwrap()).unwrap();
            let _ = stopped.await;
            issuer.tokens_issued()
        })
    });
    let idaas = is_ready.recv().unwrap();
    runtime().block_on(idaas.token()).unwrap();
    let other: Scope = "api://other|read".parse().unwrap();
    runtime().block_on(idaas.token_for(&other)).unwrap();
    stop.send(()).unwrap();
    assert_eq!(serving.join().unwrap(), 2);
}
