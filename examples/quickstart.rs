//! In under 20 seconds, offline: an IDaaS and a protected API in this process, the vendor's
//! configuration file, a hyper client with the layer; a cold start of 1,000 requests, then several token
//! lives under load.
//!
//! ```console
//! $ cargo run --example quickstart
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::io::{IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::set_header::SetRequestHeader;
use tower_idaas::{BoxError, Idaas, IdaasService};
use tower_idaas_testing::{Behaviour, ClientAuthentication, ProtectedApi, TestIdaas};

const CONFIG: &str = "CLOUD_IDAAS_CONFIG_PATH";
const ROOTS: &str = "SSL_CERT_FILE";
const SECRET: &str = "not-a-real-secret-quickstart";

const LIFE: Duration = Duration::from_secs(4);
const LIVES: usize = 4;
const COLD_REQUESTS: usize = 1_000;
const WORKERS: usize = 16;
/// So slow is the issuer from the second token on: a request that waited for a refresh would show.
const SLOW: Duration = Duration::from_millis(300);

type Http = Client<hyper_rustls::HttpsConnector<HttpConnector>, Empty<Bytes>>;

fn main() -> ExitCode {
    let result = match std::env::var_os(CONFIG).zip(std::env::var_os(ROOTS)) {
        Some((config, roots)) if std::env::var_os("QUICKSTART").is_some() => {
            story(&PathBuf::from(config), &PathBuf::from(roots))
        }
        _ => start_over(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Starts this program again with the environment that a service has in production.
fn start_over() -> Result<ExitCode, BoxError> {
    let folder = tempfile::tempdir()?;
    let status = Command::new(std::env::current_exe()?)
        .env("QUICKSTART", "1")
        .env(CONFIG, folder.path().join("client-config.json"))
        .env(ROOTS, folder.path().join("root-certificate.pem"))
        .env(TestIdaas::SECRET_VARIABLE, SECRET)
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[tokio::main]
async fn story(config: &Path, roots: &Path) -> Result<ExitCode, BoxError> {
    let server = TestIdaas::builder()
        .client("app_quickstart", SECRET)
        .scope("api://orders|read")
        .token_life(LIFE)
        .start()
        .await?;
    let api = server.api("api://orders").permission("read").start().await?;
    let method = ClientAuthentication::SecretBasic;
    std::fs::write(config, server.client_config(method))?;
    std::fs::write(roots, server.root_certificate_pem())?;

    println!("tower-idaas quickstart\n");
    println!("  IDaaS  {}  (a token lives {} s)", server.token_endpoint(), LIFE.as_secs());
    println!("  API    {}  (verifies each token)", api.url());
    println!("  file   {}  ({method})\n", config.display());

    // These four lines are all that a service needs.
    let idaas = Idaas::from_env()?;
    let http = http_client(server.root_certificate_pem())?;
    let client = ServiceBuilder::new().layer(idaas.layer()).service(http.clone());

    let cold_failures = cold_start(&client, &server, &api).await;
    let cold_tokens = server.token_requests();
    let load = load(&client, &server, &api).await;
    let (with, without) = latencies(client, &idaas, http, &api).await?;

    let requests = COLD_REQUESTS + load.requests;
    let failed = cold_failures + load.failed;
    println!("\nwhat happened");
    println!("  requests        {requests}");
    println!("  failed          {failed}");
    println!("  token requests  {}  ({cold_tokens} cold, then 1 per token)", server.token_requests());
    println!("  refreshes       {}, and {} requests waited for one", load.refreshes, load.waited);
    println!("  median latency  {with:.2?} with the layer, {without:.2?} with a constant header");
    Ok(if failed == 0 && cold_tokens == 1 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn http_client(root_certificate: &str) -> Result<Http, BoxError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root_certificate.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http2().build();
    Ok(Client::builder(TokioExecutor::new()).http2_only(true).build(connector))
}

/// One request; true when the API let it in.
async fn get<S>(service: S, url: &str) -> bool
where
    S: Service<Request<Empty<Bytes>>, Response = http::Response<hyper::body::Incoming>>,
{
    let Ok(request) = Request::get(url).body(Empty::new()) else {
        return false;
    };
    let Ok(response) = service.oneshot(request).await else {
        return false;
    };
    let status = response.status();
    response.into_body().collect().await.is_ok() && status == StatusCode::OK
}

async fn cold_start(client: &IdaasService<Http>, server: &TestIdaas, api: &ProtectedApi) -> usize {
    println!("cold start: {COLD_REQUESTS} requests at once, and no token yet");
    let start = Instant::now();
    let requests: Vec<_> = (0..COLD_REQUESTS)
        .map(|_| {
            let (client, url) = (client.clone(), api.url().to_owned());
            tokio::spawn(async move { get(client, &url).await })
        })
        .collect();
    let mut failed = 0;
    for request in requests {
        failed += usize::from(!request.await.unwrap_or(false));
    }
    println!("  {} served, {failed} failed, in {:.0?}", COLD_REQUESTS - failed, start.elapsed());
    println!("  token requests: {}\n", server.token_requests());
    failed
}

#[derive(Default)]
struct Load {
    requests: usize,
    failed: usize,
    waited: usize,
    refreshes: usize,
}

/// Requests without a pause, until the token was refreshed several times.
async fn load(client: &IdaasService<Http>, server: &TestIdaas, api: &ProtectedApi) -> Load {
    println!("load: {LIVES} token lives, and from now on the issuer takes {SLOW:.0?} for a token");
    server.set_behaviour(Behaviour::Slow(SLOW));
    #[derive(Default)]
    struct Counts {
        requests: AtomicUsize,
        failed: AtomicUsize,
        waited: AtomicUsize,
    }
    let counts = Arc::new(Counts::default());
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (client, url, counts) = (client.clone(), api.url().to_owned(), Arc::clone(&counts));
            tokio::spawn(async move {
                loop {
                    let start = Instant::now();
                    let good = get(client.clone(), &url).await;
                    counts.failed.fetch_add(usize::from(!good), Ordering::Relaxed);
                    counts.waited.fetch_add(usize::from(start.elapsed() >= SLOW), Ordering::Relaxed);
                    counts.requests.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();

    let start = Instant::now();
    let live = stdout().is_terminal();
    let mut seen = server.tokens_issued();
    while server.tokens_issued() <= LIVES && start.elapsed() < LIFE * 4 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let issued = server.tokens_issued();
        let (requests, failed) =
            (counts.requests.load(Ordering::Relaxed), counts.failed.load(Ordering::Relaxed));
        let line = format!(
            "  {:4.1} s   {requests:6} requests   {failed} failed   {} refreshes",
            start.elapsed().as_secs_f64(),
            issued.saturating_sub(1)
        );
        match (live, issued > seen) {
            (true, _) => print!("\r{line}"),
            (false, true) => println!("{line}"),
            (false, false) => {}
        }
        seen = issued;
        let _ = stdout().flush();
    }
    if live {
        println!();
    }
    // The last refresh is served to a few more requests before the load ends.
    tokio::time::sleep(SLOW).await;
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    Load {
        requests: counts.requests.load(Ordering::Relaxed),
        failed: counts.failed.load(Ordering::Relaxed),
        waited: counts.waited.load(Ordering::Relaxed),
        refreshes: server.tokens_issued().saturating_sub(1),
    }
}

/// Median round trips, in turns, one request at a time: with the layer, and with a header that never changes.
async fn latencies(
    mut with: IdaasService<Http>,
    idaas: &Idaas,
    http: Http,
    api: &ProtectedApi,
) -> Result<(Duration, Duration), BoxError> {
    let header = idaas.token().await?.expose_authorization()?;
    let mut without = SetRequestHeader::overriding(http, AUTHORIZATION, header);
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let start = Instant::now();
        get(&mut with, api.url()).await;
        times.0.push(start.elapsed());
        let start = Instant::now();
        get(&mut without, api.url()).await;
        times.1.push(start.elapsed());
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    Ok((median(times.0), median(times.1)))
}
