//! A host with two addresses, the first of which drops packets, stays silent or breaks off: every client reaches the
//! other in time.
//!
//! `localhost` is such a host: the servers of these tests listen at `127.0.0.1`, and its other address is tried first.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use crate::support::builder;
use crate::support::proxy::Proxy;
use crate::support::raw::{Blackhole, Manner, RawServer};
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ErrorKind, Idaas, IdaasBuilder};
use tower_idaas_testing::TestIdaas;

/// Short of nothing on a busy machine.
const AMPLE: Duration = Duration::from_secs(20);

fn port(url: &str) -> u16 {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.split([':', '/']).nth(1).unwrap().parse().unwrap()
}

/// The same server by the name of its host.
fn by_name(url: &str) -> String {
    url.replace("127.0.0.1", "localhost")
}

/// Makes the other address of `localhost` drop packets at the port of this URL.
async fn drop_packets_for(url: &str) -> Blackhole {
    Blackhole::dig((Ipv6Addr::LOCALHOST, port(url)).into()).await
}

/// Gets a token in a fraction of the time that one address alone would take.
async fn gets_a_token(builder: IdaasBuilder) -> Idaas {
    gets_a_token_within(AMPLE, builder).await
}

async fn gets_a_token_within(limit: Duration, builder: IdaasBuilder) -> Idaas {
    let idaas = builder.connect_timeout(limit).build().unwrap();
    let start = Instant::now();
    idaas.token().await.unwrap();
    assert!(start.elapsed() < AMPLE / 4, "{:?}", start.elapsed());
    idaas
}

#[tokio::test]
async fn an_address_that_drops_packets_does_not_take_the_time_of_the_other() {
    let issuer = TestIdaas::start().await.unwrap();
    let _hole = drop_packets_for(&issuer.token_endpoint()).await;
    gets_a_token(builder(&issuer)).await;
}

#[tokio::test]
async fn an_address_of_a_proxy_that_drops_packets_does_not_take_the_time_of_the_other() {
    const HOST: &str = "idaas.example.test";
    let issuer = TestIdaas::builder().host_name(HOST).start().await.unwrap();
    let endpoint = issuer.token_endpoint();
    let http = Proxy::start("200 OK", port(&endpoint)).await;
    let socks = Proxy::start_socks(None, port(&endpoint)).await;
    let socks_url = socks.url().replace("http", "socks5h");
    for (proxy, url) in [(&http, http.url()), (&socks, socks_url)] {
        let _hole = drop_packets_for(&url).await;
        let environment = ManualEnvironment::from_iter([("HTTPS_PROXY", by_name(&url))]);
        let endpoint = endpoint.replace("localhost", HOST);
        gets_a_token(builder(&issuer).token_endpoint(endpoint).environment(environment)).await;
        assert_eq!(proxy.tunnels().len(), 1, "{url}");
    }
}

#[tokio::test]
async fn an_address_that_accepts_and_then_says_nothing_or_breaks_off_is_not_the_last_one_tried() {
    const HOST: &str = "idaas.example.test";
    // Of which each address gets a quarter, once it has accepted.
    let limit = Duration::from_secs(2);
    let issuer = TestIdaas::builder().host_name(HOST).start().await.unwrap();
    let endpoint = issuer.token_endpoint();
    let proxy = Proxy::start("200 OK", port(&endpoint)).await;
    let socks = Proxy::start_socks(None, port(&endpoint)).await;
    for manner in [Manner::Silent, Manner::Says("")] {
        let other = |url: &str| RawServer::start_at((Ipv6Addr::LOCALHOST, port(url)).into(), manner);
        let in_place = other(&endpoint).await;
        gets_a_token_within(limit, builder(&issuer)).await;
        assert_eq!(in_place.stop().await, 1, "{manner:?}");
        for url in [proxy.url(), socks.url().replace("http", "socks5h")] {
            let in_place = other(&url).await;
            let environment = ManualEnvironment::from_iter([("HTTPS_PROXY", by_name(&url))]);
            let endpoint = endpoint.replace("localhost", HOST);
            let builder = builder(&issuer).token_endpoint(endpoint).environment(environment);
            gets_a_token_within(limit, builder).await;
            assert_eq!(in_place.stop().await, 1, "{manner:?} {url}");
        }
    }
    assert_eq!((proxy.tunnels().len(), socks.tunnels().len(), issuer.tokens_issued()), (2, 2, 6));
}

#[cfg(feature = "aliyun")]
#[tokio::test]
async fn an_address_of_an_api_that_drops_packets_does_not_take_the_time_of_the_other() {
    use tower_idaas_testing::StsService;

    let issuer = TestIdaas::start().await.unwrap();
    let open_api = issuer.start_open_api().await.unwrap();
    let sts = issuer.start_sts(&open_api).await.unwrap();
    let developer_api = issuer.start_developer_api().await.unwrap();
    let uri = issuer.start_credentials_uri(&open_api).await.unwrap();
    let metadata = issuer.start_metadata_service().await.unwrap();
    metadata.attach_role("test-role", &open_api);
    let mut holes = Vec::new();
    for url in [open_api.endpoint(), sts.endpoint(), developer_api.endpoint(), uri.uri(), metadata.address()]
    {
        holes.push(drop_packets_for(&url).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let config = open_api.write_config(folder.path()).unwrap();
    let client = |environment| {
        Idaas::builder()
            .config_file(&config)
            .environment(environment)
            .root_certificate(issuer.root_certificate_pem())
            .sts_endpoint(sts.endpoint())
            .metadata_address(by_name(&metadata.address()))
    };

    let token_file = folder.path().join("rrsa-token");
    issuer.service_account_token().audience(StsService::TOKEN_AUDIENCE).write_to(&token_file).unwrap();
    gets_a_token(client(sts.environment(token_file))).await;
    assert_eq!((sts.credentials_issued(), open_api.tokens_issued()), (1, 1));

    let environment = uri.environment();
    environment.set("ALIBABA_CLOUD_CREDENTIALS_URI", by_name(&uri.uri()));
    gets_a_token(client(environment)).await;
    gets_a_token(client(ManualEnvironment::from_iter([("ALIBABA_CLOUD_ECS_METADATA", "test-role")]))).await;
    assert_eq!((metadata.requests().len(), open_api.tokens_issued()), (2, 3));

    developer_api.store_api_key("model", "k3y");
    let idaas = gets_a_token(builder(&issuer).developer_api_endpoint(developer_api.endpoint())).await;
    let start = Instant::now();
    idaas.api_key("model").unwrap().key_text().await.unwrap();
    assert!(start.elapsed() < AMPLE / 4, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_host_whose_addresses_all_drop_packets_costs_one_connect_timeout() {
    let hole = Blackhole::dig(([127, 0, 0, 1], 0).into()).await;
    let port = hole.address().port();
    let _other = Blackhole::dig((Ipv6Addr::LOCALHOST, port).into()).await;
    let issuer = TestIdaas::start().await.unwrap();
    let limit = Duration::from_millis(300);
    let idaas = builder(&issuer).token_endpoint(format!("https://localhost:{port}/token"));
    let start = Instant::now();
    let error = idaas.connect_timeout(limit).build().unwrap().token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true), "{error}");
    assert!(error.to_string().contains("within 300ms"), "{error}");
    assert!(start.elapsed() < limit + AMPLE / 4, "{:?}", start.elapsed());
}
