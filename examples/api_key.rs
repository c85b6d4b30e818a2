//! Asks a language model with an API key stored in IDaaS: the program holds no key, and a key that is rotated in IDaaS
//! is used without a restart.
//!
//! It runs offline, against an IDaaS, a DeveloperAPI and a model in this process:
//!
//! ```console
//! $ cargo run --example api_key
//! ```
//!
//! With a configuration of your own, `Idaas::from_env()` takes the place of [`Idaas::builder`], and a client that speaks
//! TLS that of the plain one.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use http::HeaderName;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::retry::RetryLayer;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_idaas::authn::ClientSecretBasic;
use tower_idaas::{BoxError, Idaas, RetryUnauthorized, SecretSource};
use tower_idaas_testing::TestIdaas;

/// The key that the model takes.
type AcceptedKey = Arc<Mutex<&'static str>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let server = TestIdaas::start().await?;
    let developer_api = server.start_developer_api().await?;
    developer_api.store_api_key("model", "sk-of-today");
    let accepted = AcceptedKey::new(Mutex::new("sk-of-today"));
    let model = start_model(Arc::clone(&accepted)).await?;

    let idaas = Idaas::builder()
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(server.client_id())
        .issuer(server.issuer())
        .token_endpoint(server.token_endpoint())
        .developer_api_endpoint(developer_api.endpoint())
        .scope("urn:cloud:idaas:pam|.all")
        .authenticator(ClientSecretBasic::new(SecretSource::value(server.secret())))
        .root_certificate(server.root_certificate_pem())
        .build()?;

    // The key goes to the model, into the header that this model reads, and nowhere else.
    let origin = format!("http://{model}");
    let key = idaas.api_key("model")?.layer([&origin])?.header(HeaderName::from_static("x-api-key"));
    let mut client = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryUnauthorized::new()))
        .layer(key)
        .service(Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>());

    for (question, rotated) in
        [("How many cups?", false), ("And how many now?", false), ("Still there?", true)]
    {
        if rotated {
            developer_api.store_api_key("model", "sk-of-tomorrow");
            *accepted.lock().map_err(|_| "the model has panicked")? = "sk-of-tomorrow";
            println!("(the key is rotated)");
        }
        let body = serde_json::json!({ "messages": [{ "role": "user", "content": question }] });
        let request = Request::post(format!("{origin}/v1/chat/completions"))
            .header("content-type", "application/json")
            .body(Full::<bytes::Bytes>::from(body.to_string()))?;
        let response = client.ready().await?.call(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        println!("{question} {status}: {}", String::from_utf8_lossy(&body));
        if status != StatusCode::OK {
            return Err("the model refused the request".into());
        }
    }
    println!("IDaaS got {} requests for the key", developer_api.requests().len());
    assert_eq!(developer_api.requests().len(), 2, "one for each key");
    Ok(())
}

/// A model on the loopback interface that takes one key.
async fn start_model(accepted: AcceptedKey) -> Result<SocketAddr, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(accepted);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn complete(
    State(accepted): State<AcceptedKey>,
    headers: HeaderMap,
) -> Result<&'static str, StatusCode> {
    let accepted = accepted.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    match headers.get("x-api-key") {
        Some(key) if key == *accepted => Ok("seven"),
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}
