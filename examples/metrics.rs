//! Serves the metrics of a client as Prometheus reads them, and shows them once.
//!
//! ```console
//! $ cargo run --example metrics --features metrics
//! ```
//!
//! It needs no account: an IDaaS and an API in the same process. One token is revoked, so that the API rejects it, and
//! then the IDaaS fails.

#![allow(clippy::print_stdout)]

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::{BoxError, Idaas, SecretSource};
use tower_idaas_testing::{Behaviour, TestIdaas};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let buckets = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("idaas_refresh_seconds".into()), &buckets)?
        .install_recorder()?;
    // A histogram keeps every measurement until it is collected; this bounds that where Prometheus does not come.
    let upkeep = prometheus.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });

    let issuer = TestIdaas::start().await?;
    let api = issuer.api(issuer.scope().audience()).permission("read").plain_http().start().await?;
    let idaas = Idaas::builder()
        .environment(issuer.environment())
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(issuer.client_id())
        .issuer(issuer.issuer())
        .token_endpoint(issuer.token_endpoint())
        .scope(issuer.scope().as_str())
        .authenticator(ClientSecretPost::new(SecretSource::variable(TestIdaas::SECRET_VARIABLE)))
        .root_certificate(issuer.root_certificate_pem())
        .build()?;

    // What a service has anyway: a place where metrics are collected from.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let observed = idaas.clone();
    let collect = move || {
        observed.record_metrics();
        std::future::ready(prometheus.render())
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", get(collect))).await });

    // Some traffic: a first fetch, a 401 and the fetch that follows from it, and a fetch that fails.
    let http: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut client = ServiceBuilder::new().layer(idaas.layer()).service(http.clone());
    for revoked in [false, true, false] {
        if revoked {
            api.revoke_all_issued_before_now();
        }
        let response = client.ready().await?.call(Request::get(api.url()).body(Empty::new())?).await?;
        println!("# the API responds with {}", response.status());
    }
    issuer.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    let elsewhere = "api://elsewhere|read".parse()?;
    let failed = idaas.token_for(&elsewhere).await;
    println!("# one fetch failed: {}", failed.is_err());

    let response = http.get(format!("http://{address}/metrics").parse()?).await?;
    let text = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&text));
    Ok(())
}
