//! Over reqwest: requests with a token, in one line each. An IDaaS and an API run in this process.
//!
//! ```console
//! $ cargo run --example reqwest --features reqwest
//! ```
#![allow(clippy::print_stdout)]

use tower::{Service, ServiceBuilder, ServiceExt};
use tower_idaas::{BoxError, Idaas, SendError};
use tower_idaas_testing::TestIdaas;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = TestIdaas::builder().scope("api://orders|read").start().await?;
    let orders = server.api("api://orders").permission("read").plain_http().start().await?;

    // In a service: `Idaas::from_env()?`.
    let idaas = server.handle().build()?;
    // Without `no_proxy`, reqwest takes requests to this machine to HTTP_PROXY as well, in plain text.
    // With reqwest's own policy, a second redirect could take the token to another origin.
    let http = reqwest::Client::builder().no_proxy().redirect(Idaas::redirect_policy()).build()?;

    let response = idaas.send(http.get(orders.url())).await?.error_for_status()?;
    println!("send           {}  {}", response.status(), response.text().await?);

    orders.revoke_all_issued_before_now();
    let response = idaas.send(http.post(orders.url()).body("two cups of tea")).await?;
    let (rejected, tokens) = (orders.unauthorized(), server.tokens_issued());
    println!("token revoked  {}  after {rejected} rejection, with token number {tokens}", response.status());

    // With Tower, and with whatever layers besides.
    let mut client = ServiceBuilder::new()
        .retry(tower_idaas::RetryUnauthorized::new())
        .layer(idaas.layer())
        .service(http.clone());
    let response = client.ready().await?.call(http.get(orders.url()).build()?).await?;
    println!("through Tower  {}", response.status());

    let api = idaas.layer().allow_origins(["https://api.example.com"])?;
    match api.send(http.get("https://elsewhere.example.com/")).await {
        Err(SendError::Token(error)) => println!("elsewhere      {error}"),
        Err(SendError::Http(error)) => println!("elsewhere      {error}"),
        other => println!("elsewhere      {other:?}"),
    }
    Ok(())
}
