//! Over hyper's own client, HTTP/1 and HTTP/2. An IDaaS and an API run in this process.
//!
//! ```console
//! $ cargo run --example hyper
//! ```
#![allow(clippy::print_stdout)]

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_idaas::BoxError;
use tower_idaas_testing::TestIdaas;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = TestIdaas::builder().scope("api://orders|read").start().await?;
    let orders = server.api("api://orders").permission("read").plain_http().start().await?;

    // In a service: `Idaas::from_env()?`.
    let idaas = server.handle().build()?;

    for http2 in [false, true] {
        let http = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
        let mut client = ServiceBuilder::new().layer(idaas.layer()).service(http);

        let request = Request::get(orders.url()).body(Empty::<Bytes>::new())?;
        let response = client.ready().await?.call(request).await?;
        println!("{:?}  {}", response.version(), response.status());
        let body = response.into_body().collect().await?.to_bytes();
        println!("  {}", str::from_utf8(&body)?);
    }
    println!("tokens fetched: {}", server.tokens_issued());
    Ok(())
}
