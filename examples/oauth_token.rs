//! Calls a third party's API with an access token that IDaaS gets there: the program holds no client secret of the third
//! party, and a user who must consent first learns where.
//!
//! It runs offline, against an IDaaS, a DeveloperAPI and a third party in this process:
//!
//! ```console
//! $ cargo run --example oauth_token
//! ```
//!
//! With a configuration of your own, `Idaas::from_env()` takes the place of `server.handle()`, and a client that speaks
//! TLS that of the plain one.
#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, ServiceExt};
use tower_idaas::aliyun::ConsentRequired;
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxError, Error};
use tower_idaas_testing::{DeveloperApi, TestIdaas};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let clock = ManualClock::new();
    let server = TestIdaas::builder().clock(clock.clone()).start().await?;
    let developer_api = Arc::new(server.start_developer_api().await?);
    developer_api.add_credential_provider("git", Duration::from_secs(3600), "repo", &[]);
    developer_api.require_consent("git", true);
    let origin = format!("http://{}", start_third_party(Arc::clone(&developer_api)).await?);

    let idaas = server.handle().developer_api_endpoint(developer_api.endpoint()).build()?;
    // The token goes to the third party, and nowhere else.
    let layer = idaas.oauth_token("git")?.with_scope("repo").layer([&origin])?;
    let client = layer.layer(Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>());
    let request = || Request::get(format!("{origin}/repositories")).body(Empty::new());

    let error = client.clone().oneshot(request()?).await.err().ok_or("there is no token yet")?;
    let error: &Error = error.downcast_ref().ok_or("this is not about a token")?;
    let consent = ConsentRequired::of(error).ok_or("no consent is requested")?;
    println!("{error}");
    println!(
        "(a user is sent to an address of {} bytes, and consents)",
        consent.expose_authorization_url().len()
    );
    developer_api.require_consent("git", false);
    // A missing consent is remembered for a few seconds, so that not each request reaches IDaaS.
    clock.advance(Duration::from_secs(10));

    for hours in [0, 0, 1] {
        clock.advance(Duration::from_secs(hours * 3600));
        let response = client.clone().oneshot(request()?).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        println!("after {hours} h: {status}: {}", String::from_utf8_lossy(&answer));
        if status != StatusCode::OK {
            return Err("the third party did not answer".into());
        }
    }
    println!(
        "IDaaS got {} requests: for the consent, and once for each token",
        developer_api.requests().len()
    );
    assert_eq!(developer_api.requests().len(), 3);

    // Where a third party wants the program's own credentials, IDaaS keeps those: an OAuth client.
    developer_api.store_oauth_client("crm", "client-at-the-crm", "its-secret");
    let oauth_client = idaas.oauth_client("crm")?.credentials().await?;
    println!(
        "at the CRM, the program is `{}`, with a secret of {} bytes",
        oauth_client.client_id(),
        oauth_client.client_secret().expose_secret().len()
    );
    Ok(())
}

/// An API on the loopback interface that takes the tokens of its authorization server.
async fn start_third_party(tokens: Arc<DeveloperApi>) -> Result<SocketAddr, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/repositories", get(list)).with_state(tokens);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn list(
    State(tokens): State<Arc<DeveloperApi>>,
    headers: HeaderMap,
) -> Result<&'static str, StatusCode> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match token.is_some_and(|token| tokens.has_issued("git", token)) {
        true => Ok("tea, cups"),
        false => Err(StatusCode::UNAUTHORIZED),
    }
}
