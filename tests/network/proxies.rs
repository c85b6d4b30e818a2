//! Token requests through a proxy, and around it.

use std::time::Duration;

use crate::support::proxy::Proxy;
use crate::support::raw::{Manner, RawServer, RefusingPort};
use crate::support::{builder, chain};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ConfigError, ErrorKind, Idaas, Scope};
use tower_idaas_testing::{ServerCertificate, TestIdaas, TestIdaasBuilder};

const HOST: &str = "idaas.example.test";
const LIMIT: Duration = Duration::from_millis(200);

/// An issuer that only the proxy knows the way to.
fn issuer() -> TestIdaasBuilder {
    TestIdaas::builder().host_name(HOST)
}

fn port(issuer: &TestIdaas) -> u16 {
    issuer.token_endpoint().split([':', '/']).nth(4).unwrap().parse().unwrap()
}

fn idaas(issuer: &TestIdaas, variables: &[(&str, &str)]) -> Result<Idaas, ConfigError> {
    let environment = ManualEnvironment::from_iter(variables.iter().copied());
    let endpoint = issuer.token_endpoint().replace("localhost", HOST);
    builder(issuer).token_endpoint(endpoint).environment(environment).build()
}

#[tokio::test]
async fn token_requests_go_through_a_tunnel_and_share_it() {
    let issuer = issuer().start().await.unwrap();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = Proxy::start("200 Connection established", port(&issuer)).await;
        let idaas = idaas(&issuer, &[(variable, &proxy.url())]).unwrap();
        idaas.token().await.unwrap();
        idaas.token_for(&"api://other|read".parse::<Scope>().unwrap()).await.unwrap();
        let [tunnel] = &proxy.tunnels()[..] else { panic!("{variable}: {:?}", proxy.tunnels()) };
        assert_eq!(tunnel.target, format!("{HOST}:{}", port(&issuer)));
        assert_eq!(tunnel.authorization, None);
    }
    assert_eq!(issuer.tokens_issued(), 8);
}

#[tokio::test]
async fn a_host_whose_name_ends_with_a_dot_is_the_same_host() {
    let issuer = issuer().start().await.unwrap();
    let proxy = Proxy::start("200 OK", port(&issuer)).await;
    let environment = ManualEnvironment::from_iter([("HTTPS_PROXY", proxy.url())]);
    let endpoint = issuer.token_endpoint().replace("localhost", &format!("{HOST}."));
    let idaas = builder(&issuer).token_endpoint(endpoint).environment(environment).build().unwrap();
    idaas.token().await.unwrap();
    assert_eq!(proxy.tunnels()[0].target, format!("{HOST}.:{}", port(&issuer)));
}

#[tokio::test]
async fn a_proxy_is_given_the_password_in_its_variable_decoded() {
    let issuer = issuer().start().await.unwrap();
    let proxy = Proxy::start("200 OK", port(&issuer)).await;
    let idaas = idaas(&issuer, &[("HTTPS_PROXY", &proxy.url_with("us%40er", "pass%3Aword"))]).unwrap();
    idaas.token().await.unwrap();
    let expected = format!("Basic {}", STANDARD.encode("us@er:pass:word"));
    assert_eq!(proxy.tunnels()[0].authorization.as_deref(), Some(&*expected));
}

#[tokio::test]
async fn any_2xx_opens_the_tunnel() {
    let issuer = issuer().start().await.unwrap();
    for status in ["201 Created", "204 No Content", "299 Whatever", "200 OK\r\nContent-Length: 5"] {
        let proxy = Proxy::start(status, port(&issuer)).await;
        idaas(&issuer, &[("HTTPS_PROXY", &proxy.url())]).unwrap().token().await.unwrap();
        assert_eq!(proxy.tunnels().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_reason_and_without_its_password() {
    let issuer = issuer().start().await.unwrap();
    for (status, reason, requests) in [
        ("403 Forbidden", "refused with 403 Forbidden", 1),
        ("302 Found\r\nLocation: http://login.example/", "refused with 302 Found", 1),
        ("502 Bad Gateway", "refused with 502 Bad Gateway", 3),
        ("503 hunter2", "refused with 503 Service Unavailable", 3),
    ] {
        let proxy = Proxy::start(status, port(&issuer)).await;
        let idaas = idaas(&issuer, &[("HTTPS_PROXY", &proxy.url_with("user", "hunter2"))]).unwrap();
        let error = idaas.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, requests > 1), "{error}");
        let text = error.to_string();
        for part in ["the proxy http://127.0.0.1:", HOST, reason, "HTTPS_PROXY", "NO_PROXY"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(!format!("{} {error:?} {idaas:?}", chain(&error)).contains("hunter2"), "{error:?}");
        assert_eq!(proxy.tunnels().len(), requests, "{status}");
    }
    assert_eq!(issuer.connections(), 0);
}

#[tokio::test]
async fn a_407_is_not_tried_again() {
    let issuer = issuer().start().await.unwrap();
    let proxy = Proxy::start("407 Proxy Authentication Required", port(&issuer)).await;
    let idaas = idaas(&issuer, &[("HTTPS_PROXY", &proxy.url_with("user", "hunter2"))]).unwrap();
    for _ in 0..3 {
        let error = idaas.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, false), "{error}");
        assert!(error.to_string().contains("refused with 407 Proxy Authentication Required"), "{error}");
        assert!(error.to_string().contains("the user name and the password in HTTPS_PROXY"), "{error}");
    }
    assert_eq!(proxy.tunnels().len(), 1);
}

#[tokio::test]
async fn a_proxy_gets_no_request_during_the_pause_that_it_sets() {
    let issuer = issuer().start().await.unwrap();
    let proxy = Proxy::start("503 Busy\r\nRetry-After: 60", port(&issuer)).await;
    let idaas = idaas(&issuer, &[("HTTPS_PROXY", &proxy.url())]).unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)), "{error}");
    assert!(error.to_string().contains("refused with 503 Busy"), "{error}");
    assert_eq!(proxy.tunnels().len(), 1);
}

#[tokio::test]
async fn what_a_proxy_says_that_is_no_http_is_reported_as_that() {
    let issuer = issuer().start().await.unwrap();
    for (says, what, connections) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", "sent something that is no HTTP response", 1),
        ("HTTP/1.1 200 OK\r\nX: y", "closed the connection before its response was complete", 3),
        ("", "closed the connection before its response was complete", 3),
    ] {
        let server = RawServer::start(Manner::Says(says)).await;
        let proxy = format!("http://user:hunter2@127.0.0.1:{}", server.port());
        let error = idaas(&issuer, &[("HTTPS_PROXY", &proxy)]).unwrap().token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains(&format!("the proxy http://127.0.0.1:{}", server.port())));
        assert_eq!(server.connections(), connections, "{error}");
    }
}

#[tokio::test]
async fn a_socks_proxy_is_given_the_name_of_the_host_and_the_login() {
    let issuer = issuer().start().await.unwrap();
    for (scheme, login) in [("socks5", None), ("socks5h", Some(("us@er", "pass:word")))] {
        let proxy = Proxy::start_socks(login, port(&issuer)).await;
        let url = match login {
            Some(_) => proxy.url_with("us%40er", "pass%3Aword"),
            None => proxy.url(),
        };
        // A scheme is one in whatever case (RFC 3986 section 3.1).
        let url = url.replace("http", &scheme.to_ascii_uppercase());
        let idaas = idaas(&issuer, &[("ALL_PROXY", &url)]).unwrap();
        idaas.token().await.unwrap();
        let [tunnel] = &proxy.tunnels()[..] else { panic!("{scheme}: {:?}", proxy.tunnels()) };
        assert_eq!(tunnel.target, format!("{HOST}:{}", port(&issuer)));
        assert_eq!(tunnel.authorization.as_deref(), login.map(|_| "us@er:pass:word"));
    }
}

#[tokio::test]
async fn a_login_that_a_socks_proxy_refuses_is_not_tried_again() {
    let issuer = issuer().start().await.unwrap();
    let proxy = Proxy::start_socks(Some(("user", "right")), port(&issuer)).await;
    let url = proxy.url_with("user", "hunter2").replace("http", "socks5");
    let idaas = idaas(&issuer, &[("ALL_PROXY", &url)]).unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, false), "{error}");
    assert!(error.to_string().contains("the proxy socks5://127.0.0.1:"), "{error}");
    assert!(!format!("{} {error:?}", chain(&error)).contains("hunter2"), "{error:?}");
    assert_eq!(proxy.tunnels().len(), 1);
}

#[tokio::test]
async fn what_a_socks_proxy_would_say_again_is_not_tried_again() {
    let issuer = issuer().start().await.unwrap();
    for (says, reason, connections) in [
        (&b"\x05\x00\x05\x02\x00\x01\0\0\0\0\0\0"[..], "connection not allowed", 1),
        (b"\x05\x00\x05\x08\x00\x01\0\0\0\0\0\0", "address type not supported", 1),
        (b"\x05\x00\x05\x04\x00\x01\0\0\0\0\0\0", "host unreachable", 3),
        (b"\x05\xff", "user/pass authentication", 1),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "failed parsing server response", 1),
    ] {
        let server = RawServer::start(Manner::SaysBytes(says)).await;
        let proxy = format!("socks5://127.0.0.1:{}", server.port());
        let error = idaas(&issuer, &[("ALL_PROXY", &proxy)]).unwrap().token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, connections > 1), "{error}");
        assert!(error.to_string().contains(reason) && error.to_string().contains(&proxy), "{error}");
        assert_eq!(server.connections(), connections, "{error}");
    }
}

#[tokio::test]
async fn a_login_that_is_too_long_for_socks_is_called_that() {
    let issuer = issuer().start().await.unwrap();
    let proxy = Proxy::start_socks(Some(("user", "right")), port(&issuer)).await;
    let url = proxy.url_with("user", &"hunter2".repeat(35)).replace("http", "socks5");
    let error = idaas(&issuer, &[("ALL_PROXY", &url)]).unwrap().token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, false), "{error}");
    assert!(error.to_string().contains("more than 249 bytes in all"), "{error}");
    assert!(!format!("{} {error:?}", chain(&error)).contains("hunter2"), "{error:?}");
    assert_eq!(proxy.tunnels(), []);
}

#[tokio::test]
async fn a_proxy_is_judged_when_it_is_needed() {
    let unusable = "gopher://user:hunter2@proxy:70";
    // A host on loopback needs none.
    let local = TestIdaas::start().await.unwrap();
    let environment = ManualEnvironment::from_iter([("ALL_PROXY", unusable)]);
    builder(&local).environment(environment).build().unwrap().token().await.unwrap();
    // Nor does an exempt one.
    let issuer = issuer().start().await.unwrap();
    for exempt in ["*", HOST] {
        idaas(&issuer, &[("ALL_PROXY", unusable), ("NO_PROXY", exempt)]).unwrap();
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_never_responds_is_distinguished() {
    let issuer = issuer().start().await.unwrap();
    let refusing = RefusingPort::take();
    let nowhere = format!("http://127.0.0.1:{}", refusing.port());
    let error = idaas(&issuer, &[("HTTPS_PROXY", &nowhere)]).unwrap().token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains(&format!("the proxy {nowhere} cannot be reached")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    let silent = RawServer::start(Manner::Silent).await;
    let environment =
        ManualEnvironment::from_iter([("HTTPS_PROXY", format!("http://127.0.0.1:{}", silent.port()))]);
    let idaas = builder(&issuer)
        .token_endpoint(format!("https://{HOST}/token"))
        .connect_timeout(LIMIT)
        .environment(environment)
        .build()
        .unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let expected = format!("no connection to https://{HOST}/token through the proxy http://127.0.0.1:");
    assert!(error.to_string().contains(&expected), "{error}");
    assert!(error.to_string().contains("within 200ms"), "{error}");
}

#[tokio::test]
async fn the_issuers_certificate_is_verified_through_the_tunnel() {
    for certificate in [ServerCertificate::UnknownAuthority, ServerCertificate::WrongName] {
        let issuer = issuer().certificate(certificate).start().await.unwrap();
        let proxy = Proxy::start("200 OK", port(&issuer)).await;
        let idaas = idaas(&issuer, &[("HTTPS_PROXY", &proxy.url())]).unwrap();
        let error = idaas.token().await.unwrap_err();
        assert!(error.to_string().contains(&format!("no TLS connection to https://{HOST}")), "{error}");
        assert_eq!(issuer.token_requests(), 0);
    }
}

#[tokio::test]
async fn hosts_in_no_proxy_and_loopback_hosts_go_straight() {
    let issuer = issuer().start().await.unwrap();
    let proxy = Proxy::start("200 OK", port(&issuer)).await;
    let at_port = format!("{HOST}:{}", port(&issuer));
    for exempt in
        [HOST, "example.test", ".test", "*", "*.example.test", "other.example IDAAS.example.test.", &at_port]
    {
        let environment =
            ManualEnvironment::from_iter([("HTTPS_PROXY", &*proxy.url()), ("NO_PROXY", exempt)]);
        let endpoint = issuer.token_endpoint().replace("localhost", HOST);
        let straight = builder(&issuer).token_endpoint(endpoint).environment(environment);
        let error = straight.connect_timeout(LIMIT).build().unwrap().token().await.unwrap_err();
        // Straight there is no way to this host: no address, or a resolver that does not say so in time.
        assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout), "{exempt}: {error}");
    }
    let environment = ManualEnvironment::from_iter([("HTTPS_PROXY", proxy.url())]);
    builder(&issuer).environment(environment).build().unwrap().token().await.unwrap();
    assert_eq!(proxy.tunnels(), []);
}

#[tokio::test]
async fn a_variable_that_is_no_proxy_is_a_fault_before_any_request() {
    let issuer = issuer().start().await.unwrap();
    let error = idaas(&issuer, &[("HTTPS_PROXY", "socks4://user:hunter2@proxy:1080")]).unwrap_err();
    assert_eq!(error.faults()[0].key(), "HTTPS_PROXY");
    assert!(error.to_string().contains("is not the address of a proxy"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}
