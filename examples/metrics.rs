//! Serves the metrics of a client as Prometheus reads them, and shows them once.
//!
//! ```sh
//! cargo run --example metrics --features metrics
//! ```
//!
//! It needs no account: an IDaaS in the same process issues the tokens, fails once, and one token is rejected.

#![allow(clippy::print_stdout)]

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tower_idaas::testing::{Behaviour, TestIdaas};
use tower_idaas::{BoxError, Idaas, SecretSource};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let prometheus = PrometheusBuilder::new().install_recorder()?;

    let issuer = TestIdaas::start().await?;
    let idaas = Idaas::builder()
        .environment(issuer.environment())
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(issuer.client_id())
        .issuer(issuer.issuer())
        .token_endpoint(issuer.token_endpoint())
        .scope(issuer.scope().as_str())
        .client_secret_post(SecretSource::variable(TestIdaas::SECRET_VARIABLE))
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

    // Some traffic: a first fetch, a rejected token, and a fetch that fails behind it.
    idaas.warm().await?;
    idaas.invalidate(&idaas.token().await?);
    idaas.warm().await?;
    issuer.set_behaviour(Behaviour::status(StatusCode::SERVICE_UNAVAILABLE));
    let elsewhere = "api://elsewhere|read".parse()?;
    let failed = idaas.token_for(&elsewhere).await;
    println!("# one fetch failed: {}", failed.is_err());

    let client: Client<_, Empty<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(format!("http://{address}/metrics").parse()?).await?;
    let text = answer.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&text));
    Ok(())
}
