//! The connection to the endpoint: names, proxies, authorities, handshakes.

use tower_idaas_testing::{ClientAuthentication, ServerCertificate, TestIdaas, TestIdaasBuilder};

use super::doctor::demo::{Demo, Fault};
use super::doctor::finding::{Mark, Step};
use super::doctor::report::Report;
use super::proxy::Proxy;
use super::{assert_all_ok, assert_fails, assert_holds_no_secret, assert_skipped, fact, finding, printed};

const HOST: &str = "idaas.example.test";

/// A demo whose endpoint only a proxy can reach.
async fn elsewhere() -> (Demo, u16) {
    behind(TestIdaas::builder().host_name(HOST)).await
}

async fn behind(server: TestIdaasBuilder) -> (Demo, u16) {
    let server = server.start().await.unwrap();
    let demo = Demo::with(server, ClientAuthentication::SecretPost).unwrap();
    let endpoint = demo.server.token_endpoint();
    let text = std::fs::read_to_string(&demo.config).unwrap();
    std::fs::write(&demo.config, text.replace(&endpoint, &endpoint.replace("localhost", HOST))).unwrap();
    let port = endpoint.split([':', '/']).nth(4).unwrap().parse().unwrap();
    (demo, port)
}

#[tokio::test]
async fn behind_a_proxy_nothing_is_tried_straight_and_all_else_is_examined_through_it() {
    let (mut demo, port) = elsewhere().await;
    let proxy = Proxy::start("200 Connection established", port).await;
    demo.surroundings.set("HTTPS_PROXY", proxy.url_with("user", "marker-of-a-password"));
    let report = demo.examine(Report::default()).await;
    assert!(report.is_healthy(), "{report:#?}");
    assert_skipped(&report, &[Step::Dns, Step::Tcp]);
    assert!(fact(&report, Step::Tls, "issuer").contains("tower-idaas test authority"));
    assert_eq!(finding(&report, Step::Clock).mark, Mark::Ok);
    assert!(finding(&report, Step::Proxy).summary.contains(proxy.url().trim_start_matches("http://")));
    assert_holds_no_secret(&report, &demo);
    // One to look through, and the crate's own.
    let [look, own] = &proxy.tunnels()[..] else { panic!("{:?}", proxy.tunnels()) };
    assert_eq!(look, own);
    assert_eq!(look.target, format!("{HOST}:{port}"));
}

#[tokio::test]
async fn what_is_wrong_behind_a_proxy_is_reported_as_if_there_were_none() {
    let server = TestIdaas::builder().host_name(HOST).certificate(ServerCertificate::UnknownAuthority);
    let (mut demo, port) = behind(server).await;
    let proxy = Proxy::start("200 Connection established", port).await;
    demo.surroundings.set("HTTPS_PROXY", proxy.url());
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Tls, "set SSL_CERT_FILE");
    assert_eq!(demo.server.token_requests(), 0);
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_the_proxys_fault() {
    let (mut demo, port) = elsewhere().await;
    let proxy = Proxy::start("407 Proxy Authentication Required", port).await;
    demo.surroundings.set("HTTPS_PROXY", proxy.url_with("user", "marker-of-a-password"));
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Proxy, "user and password");
    assert_skipped(&report, &[Step::Dns, Step::Tcp, Step::Tls, Step::Clock, Step::Token, Step::Claims]);
    assert_holds_no_secret(&report, &demo);
}

#[tokio::test]
async fn each_finding_is_reported_at_once_and_in_the_order_of_the_steps() {
    for fault in [None, Some(Fault::TypoInKey)] {
        let (sender, receiver) = std::sync::mpsc::channel();
        let report = Report::with_listener(move |finding| sender.send(finding.step).unwrap());
        let demo = Demo::start(fault).await.unwrap();
        let _report = demo.examine(report).await;
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), Step::ALL);
    }
    // Faults of the authorities are known before there is a connection.
    let (sender, receiver) = std::sync::mpsc::channel();
    let report = Report::with_listener(move |finding| sender.send(finding.step).unwrap());
    let mut demo = Demo::start(None).await.unwrap();
    demo.surroundings.set("SSL_CERT_FILE", "/nowhere/roots.pem");
    let _report = demo.examine(report).await;
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), Step::ALL);
}

#[tokio::test]
async fn a_proxy_that_is_gone_or_none_is_reported_without_its_password() {
    let (mut demo, _) = elsewhere().await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let gone = format!("http://user:marker-of-a-password@{}", socket.local_addr().unwrap());
    for (value, advised) in
        [(&*gone, "it cannot be reached"), ("ftp://user:marker-of-a-password@host", "http://host:port")]
    {
        demo.surroundings.set("HTTPS_PROXY", value);
        let report = demo.examine(Report::default()).await;
        assert_fails(&report, Step::Proxy, advised);
        assert_holds_no_secret(&report, &demo);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_for_this_host_changes_nothing() {
    let mut demo = Demo::start(None).await.unwrap();
    demo.surroundings.set("HTTPS_PROXY", "http://user:marker-of-a-password@127.0.0.1:9");
    let report = demo.examine(Report::default()).await;
    assert_all_ok(&report);
    assert_holds_no_secret(&report, &demo);
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_found_before_anything_is_sent() {
    let mut demo = Demo::start(None).await.unwrap();
    demo.surroundings.set("SSL_CERT_FILE", "/nowhere/roots.pem");
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Tls, "SSL_CERT_FILE");
    assert!(finding(&report, Step::Tls).notes[0].contains("/nowhere/roots.pem"));
    assert_eq!(demo.server.token_requests(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_and_one_out_of_its_time_are_distinguished() {
    for (certificate, advised) in [
        (ServerCertificate::WrongName, "`tokenEndpoint`"),
        (ServerCertificate::Expired, "check the clock first"),
    ] {
        let server = TestIdaas::builder().certificate(certificate).start().await.unwrap();
        let demo = Demo::with(server, ClientAuthentication::SecretBasic).unwrap();
        let report = demo.examine(Report::default()).await;
        assert_fails(&report, Step::Tls, advised);
        assert_eq!(demo.server.token_requests(), 0, "an untrusted server gets nothing");
        assert!(printed(&report).contains("CN=tower-idaas test server"));
    }
}

#[tokio::test]
async fn behind_a_socks_proxy_everything_is_examined_as_behind_any_other() {
    let (mut demo, port) = elsewhere().await;
    let proxy = Proxy::start_socks(Some(("user", "marker-of-a-password")), port).await;
    demo.surroundings.set("ALL_PROXY", socks_url(&proxy.url(), "marker-of-a-password"));
    let report = demo.examine(Report::default()).await;
    assert!(report.is_healthy(), "{report:#?}");
    assert_skipped(&report, &[Step::Dns, Step::Tcp]);
    assert!(fact(&report, Step::Tls, "issuer").contains("tower-idaas test authority"));
    assert_holds_no_secret(&report, &demo);

    demo.surroundings.set("ALL_PROXY", socks_url(&proxy.url(), "marker-of-another"));
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Proxy, "check user and password");
    assert_holds_no_secret(&report, &demo);

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let gone = format!("http://{}", socket.local_addr().unwrap());
    demo.surroundings.set("ALL_PROXY", socks_url(&gone, "marker-of-a-password"));
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Proxy, "it cannot be reached");
    assert_skipped(&report, &[Step::Dns, Step::Tcp, Step::Tls, Step::Clock, Step::Token, Step::Claims]);
    assert_holds_no_secret(&report, &demo);
}

fn socks_url(url: &str, password: &str) -> String {
    url.replace("http://", &format!("socks5h://user:{password}@"))
}

#[tokio::test]
async fn each_step_of_the_connection_has_its_time_and_the_authorities_their_origin() {
    let demo = Demo::start(None).await.unwrap();
    let report = demo.examine(Report::default()).await;
    for step in [Step::Dns, Step::Tcp, Step::Tls] {
        assert!(fact(&report, step, "time").ends_with(" ms"), "{report:#?}");
    }
    let trusts = fact(&report, Step::Tls, "trusts");
    assert!(
        trusts.starts_with("1 from SSL_CERT_FILE (") && trusts.contains("root-certificate.pem"),
        "{trusts}"
    );

    let (mut demo, port) = elsewhere().await;
    let proxy = Proxy::start("200 Connection established", port).await;
    demo.surroundings.set("HTTPS_PROXY", proxy.url());
    let report = demo.examine(Report::default()).await;
    for name in ["dns", "tcp", "tunnel"] {
        assert!(fact(&report, Step::Proxy, name).ends_with(" ms"), "{report:#?}");
    }
}

#[tokio::test]
async fn a_developer_api_that_is_named_is_examined_as_well() {
    let demo = Demo::start(None).await.unwrap();
    let api = demo.server.start_developer_api().await.unwrap();
    let named = |host: &str| {
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&demo.config).unwrap()).unwrap();
        config["developerApiEndpoint"] = host.into();
        std::fs::write(&demo.config, config.to_string()).unwrap();
    };
    named(&api.endpoint());
    let report = demo.examine(Report::default()).await;
    assert!(report.findings().all(|finding| finding.mark == Mark::Ok), "{report:#?}");
    for name in ["dns", "tcp", "tls"] {
        assert!(fact(&report, Step::DeveloperApi, name).ends_with(" ms"), "{report:#?}");
    }

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    named(&format!("localhost:{}", socket.local_addr().unwrap().port()));
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::DeveloperApi, "`tcp` fails");
    assert!(report.has_token());
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_distinguished_from_one_that_does() {
    let demo = Demo::start(None).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail ready\r\n").await;
        }
    });
    let endpoint = demo.server.token_endpoint();
    let text = std::fs::read_to_string(&demo.config).unwrap();
    let other = format!("https://localhost:{port}/token");
    std::fs::write(&demo.config, text.replace(&endpoint, &other)).unwrap();
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Tls, "TLS 1.2 or 1.3 is needed");
    assert_skipped(&report, &[Step::Clock, Step::Token, Step::Claims]);
}
