//! Idle connections that a NAT between client and server has forgotten: nothing comes back on them, and no reset.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::builder;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower_idaas::clock::ManualClock;
use tower_idaas::{Idaas, Scope};
use tower_idaas_testing::{StsService, TestIdaas};

/// A read time-out that no connection may cost.
const AMPLE: Duration = Duration::from_secs(20);

/// Passes connections on to a server of the loopback interface, until it forgets them.
struct Nat {
    port: u16,
    forgotten: watch::Sender<()>,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Nat {
    async fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (forgotten, _) = watch::channel(());
        let connections = Arc::<AtomicUsize>::default();
        let (counted, forgetting) = (Arc::clone(&connections), forgotten.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut forgotten = forgetting.subscribe();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        // Both stay open, and nothing passes.
                        _ = forgotten.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, forgotten, connections, accepting }
    }

    fn endpoint(&self) -> String {
        format!("localhost:{}", self.port)
    }

    fn forget(&self) {
        self.forgotten.send_replace(());
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What this takes is a fraction of the read time-out.
async fn in_time<T>(scene: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = scene.await;
    assert!(begun.elapsed() < AMPLE / 4, "{:?}", begun.elapsed());
    result
}

fn other() -> Scope {
    "api://other|read".parse().unwrap()
}

#[tokio::test]
async fn a_connection_that_a_nat_has_forgotten_costs_tokens_and_stored_secrets_no_read_timeout() {
    let issuer = TestIdaas::start().await.unwrap();
    let api = issuer.start_developer_api().await.unwrap();
    api.store_api_key("one", "k3y-1");
    api.store_api_key("two", "k3y-2");
    let (before_issuer, before_api) = (Nat::before(issuer.port()).await, Nat::before(api.port()).await);
    let endpoint =
        issuer.token_endpoint().replace(&issuer.port().to_string(), &before_issuer.port.to_string());
    let idaas = builder(&issuer)
        .token_endpoint(endpoint)
        .developer_api_endpoint(before_api.endpoint())
        .read_timeout(AMPLE)
        .build()
        .unwrap();
    idaas.token().await.unwrap();
    idaas.api_key("one").unwrap().key_text().await.unwrap();
    before_issuer.forget();
    before_api.forget();
    in_time(idaas.token_for(&other())).await.unwrap();
    in_time(async { idaas.api_key("two").unwrap().key_text().await }).await.unwrap();
    assert_eq!((before_issuer.connections(), before_api.connections()), (2, 2));
}

#[tokio::test]
async fn a_connection_that_a_nat_has_forgotten_costs_signed_calls_no_read_timeout() {
    let clock = ManualClock::new();
    let issuer = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
    let open_api = issuer.start_open_api().await.unwrap();
    let sts = issuer.start_sts(&open_api).await.unwrap();
    let (before_open_api, before_sts) = (Nat::before(open_api.port()).await, Nat::before(sts.port()).await);
    let folder = tempfile::tempdir().unwrap();
    let config = open_api.write_config(folder.path()).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(&open_api.endpoint(), &before_open_api.endpoint())).unwrap();
    let token_file = folder.path().join("rrsa-token");
    let write_token = || {
        let token = issuer.service_account_token().audience(StsService::TOKEN_AUDIENCE);
        token.write_to(&token_file).unwrap();
    };
    write_token();
    let idaas = Idaas::builder()
        .config_file(config)
        .environment(sts.environment(&token_file))
        .clock(clock.clone())
        .root_certificate(issuer.root_certificate_pem())
        .sts_endpoint(before_sts.endpoint())
        .read_timeout(AMPLE)
        .build()
        .unwrap();
    idaas.token().await.unwrap();
    // Past the life of what STS issues, but not past that of idle connections.
    clock.advance(Duration::from_secs(2 * 3600));
    write_token();
    before_open_api.forget();
    before_sts.forget();
    in_time(idaas.token_for(&other())).await.unwrap();
    assert_eq!((before_open_api.connections(), before_sts.connections()), (2, 2));
    assert_eq!((sts.credentials_issued(), open_api.tokens_issued()), (2, 2));
}
