//! gRPC over tonic: a client whose calls leave with a token, unary and streaming, and a server that verifies
//! each one. Both and an IDaaS run in this process.
//!
//! ```console
//! $ cargo run --example grpc
//! ```
#![allow(clippy::print_stdout)]

mod verifier;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use tower::ServiceBuilder;
use tower_idaas::BoxError;
use tower_idaas_testing::TestIdaas;

use crate::verifier::Verifier;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = TestIdaas::builder().scope("api://orders|read").start().await?;

    // The server: every call is verified; and now and then it refuses one, as if its token were revoked.
    let verifier = Verifier::new(&issuer.jwks(), issuer.issuer(), "api://orders")?;
    let refusals = Arc::new(AtomicUsize::new(0));
    let to_refuse = Arc::clone(&refusals);
    let verify = move |request: Request<()>| {
        let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let header = header.ok_or_else(|| Status::unauthenticated("no token"))?;
        verifier.verify(header).map_err(|error| Status::unauthenticated(error.to_string()))?;
        if to_refuse.swap(0, Ordering::SeqCst) > 0 {
            return Err(Status::unauthenticated("the token was revoked"));
        }
        Ok(request)
    };
    let (reporter, health) = health_reporter();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?;
    let origin = format!("http://{}", incoming.local_addr()?);
    let server = Server::builder().add_service(InterceptedService::new(health, verify));
    tokio::spawn(server.serve_with_incoming(incoming));

    // The client. In a service: `Idaas::from_env()?`.
    let idaas = issuer.handle().build()?;
    let channel = Channel::from_shared(origin.clone())?.connect().await?;
    let service = ServiceBuilder::new().layer(idaas.layer().grpc()).service(channel.clone());
    // A channel adds its origin behind the layer; named here, the layer can check where tokens go.
    let mut client = HealthClient::with_origin(service, origin.parse()?);

    let request = HealthCheckRequest::default;
    let response = client.check(request()).await?.into_inner();
    println!("check                {:?}", response.status());

    let mut statuses = client.watch(request()).await?.into_inner();
    println!("watch                {:?}", statuses.message().await?.unwrap_or_default().status());
    reporter.set_service_status("", ServingStatus::NotServing).await;
    println!("  and a bit later    {:?}", statuses.message().await?.unwrap_or_default().status());
    println!("tokens so far        {}", issuer.tokens_issued());

    refusals.store(1, Ordering::SeqCst);
    if let Err(status) = client.check(request()).await {
        println!("a refused call       {:?}: {}", status.code(), status.message());
    }
    let response = client.check(request()).await?.into_inner();
    println!("the next one         {:?}, with token number {}", response.status(), issuer.tokens_issued());

    if let Err(status) = HealthClient::new(channel).check(request()).await {
        println!("without the layer    {:?}: {}", status.code(), status.message());
    }
    Ok(())
}
