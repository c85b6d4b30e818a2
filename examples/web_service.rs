//! A service as it runs in production: an axum server that calls two APIs with reqwest, each with a scope and an origin
//! of its own; with time-outs, retries, logs, metrics, probes, and a graceful shutdown.
//!
//! ```console
//! $ cargo run --example web_service --features metrics,reqwest
//! ```
//!
//! It runs offline: IDaaS and both APIs are in this process. A test of such a service gives it `Idaas::fixed`, or
//! starts the same servers.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_idaas::{BoxError, Idaas, IdaasLayer, Scope, SendError};
use tower_idaas_testing::TestIdaas;
use tracing_subscriber::EnvFilter;

/// Of a request to an API, the wait for a token included.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;
/// The time-out of the first token. An issuer that is down does not keep the service from starting.
const PREFETCH: Duration = Duration::from_secs(10);

/// An API that the service calls: what puts tokens on its requests, and where it is.
#[derive(Clone)]
struct Api {
    scope: Scope,
    layer: IdaasLayer,
    http: reqwest::Client,
    url: String,
}

impl Api {
    /// Tokens of this scope, which go to this API and nowhere else.
    fn new(idaas: &Idaas, http: &reqwest::Client, scope: Scope, url: &str) -> Result<Self, BoxError> {
        let origin = reqwest::Url::parse(url)?.origin().ascii_serialization();
        let layer = idaas.layer().scope(&scope).allow_origins([origin])?;
        Ok(Self { scope, layer, http: http.clone(), url: url.to_owned() })
    }

    /// A request that may be repeated. `send` replays it after a 401 by itself; this repeats what the API may have got
    /// over. An error of the token is final: the library has made its own attempts, and refuses more until its pause is
    /// over.
    async fn get(&self) -> Result<String, SendError> {
        let mut attempt = 1;
        loop {
            let sent = self.layer.send(self.http.get(&self.url).timeout(TIMEOUT)).await;
            let error = match sent.and_then(|response| Ok(response.error_for_status()?)) {
                Ok(response) => return Ok(response.text().await?),
                Err(SendError::Http(error)) => error,
                Err(error) => return Err(error),
            };
            let may_pass = error.status().is_none_or(|status| status.is_server_error());
            if attempt == ATTEMPTS || !may_pass {
                return Err(error.into());
            }
            tokio::time::sleep(Duration::from_millis(100) * attempt).await;
            attempt += 1;
        }
    }
}

/// What the service needs to respond.
#[derive(Clone)]
struct Shop {
    idaas: Idaas,
    orders: Api,
    stock: Api,
    prometheus: PrometheusHandle,
}

impl Shop {
    fn router(self) -> Router {
        Router::new()
            .route("/tea", get(tea))
            .route("/ready", get(ready))
            .route("/live", get(|| async { StatusCode::OK }))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn tea(State(shop): State<Shop>) -> Result<String, StatusCode> {
    let (orders, stock) = tokio::join!(shop.orders.get(), shop.stock.get());
    match (orders, stock) {
        (Ok(orders), Ok(stock)) => Ok(format!("orders {orders}, stock {stock}")),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "an API cannot be called");
            Err(StatusCode::BAD_GATEWAY)
        }
    }
}

/// Returns at once: two APIs are two scopes, and the service needs a token of each. Where there is none, a refresh starts
/// in the background.
async fn ready(State(shop): State<Shop>) -> StatusCode {
    // Both are looked at, so that both refreshes start.
    let ready = [&shop.orders, &shop.stock].map(|api| shop.idaas.is_ready_for(&api.scope));
    if ready == [true; 2] { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(shop): State<Shop>) -> String {
    shop.idaas.record_metrics();
    shop.prometheus.render()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // For JSON: `.json()` as well, with the feature `json` of tracing-subscriber.
    tracing_subscriber::fmt().with_env_filter(EnvFilter::new("warn,tower_idaas=debug")).init();
    let buckets = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("idaas_refresh_seconds".into()), &buckets)?
        .install_recorder()?;

    let issuer = TestIdaas::builder().scope("api://orders|read").scope("api://stock|read").start().await?;
    let orders_api = issuer.api("api://orders").permission("read").plain_http().start().await?;
    let stock_api = issuer.api("api://stock").permission("read").plain_http().start().await?;

    // In a service: `Idaas::from_env()?`.
    let idaas = issuer.handle().build()?;
    // Without `no_proxy`, reqwest takes requests to this machine to HTTP_PROXY as well, in plain text.
    // With reqwest's own policy, a second redirect could take the token to another origin.
    let http = reqwest::Client::builder().no_proxy().redirect(Idaas::redirect_policy()).build()?;
    let (orders, stock) = ("api://orders|read".parse()?, "api://stock|read".parse()?);
    let shop = Shop {
        orders: Api::new(&idaas, &http, orders, orders_api.url())?,
        stock: Api::new(&idaas, &http, stock, stock_api.url())?,
        idaas: idaas.clone(),
        prometheus,
    };

    let prefetch = async {
        tokio::try_join!(idaas.prefetch_for(&shop.orders.scope), idaas.prefetch_for(&shop.stock.scope))
    };
    match tokio::time::timeout(PREFETCH, prefetch).await {
        Ok(Err(error)) if !error.is_transient() => return Err(error.into()),
        _ => {}
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    // In a service: SIGTERM, by `tokio::signal`; docs/deploy.md has the lines.
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, shop.router()).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let serving = tokio::spawn(async move { serving.await });

    for (path, revoked) in [("/live", false), ("/ready", false), ("/tea", false), ("/tea", true)] {
        if revoked {
            stock_api.revoke_all_issued_before_now();
        }
        let response = http.get(format!("{url}{path}")).send().await?.error_for_status()?;
        println!("GET {path}  {}  {}", response.status(), response.text().await?);
    }
    let metrics = http.get(format!("{url}/metrics")).send().await?.text().await?;
    let refreshes = metrics.lines().filter(|line| line.starts_with("idaas_refreshes_total"));
    refreshes.for_each(|line| println!("{line}"));

    // Requests in progress are served; then the last clones of the handle are dropped, and nothing is left to do.
    let _ = stop.send(());
    serving.await??;
    println!("stopped");
    Ok(())
}
