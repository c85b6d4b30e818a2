//! Two services: a shop that users call, and the stock that it calls, once as itself and once on behalf of the
//! user who asks. Both are axum services on the loopback interface, with an IDaaS beside them.
//!
//! ```console
//! $ cargo run --example service_to_service
//! ```
#![allow(clippy::print_stdout)]

mod verifier;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_idaas::{BoxError, Idaas, IdaasService, Secret, SubjectToken};
use tower_idaas_testing::TestIdaas;

use crate::verifier::Verifier;

type Http = Client<HttpConnector, Empty<Bytes>>;

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// What the shop needs to respond.
#[derive(Clone)]
struct Shop {
    idaas: Idaas,
    stock: IdaasService<Http>,
    stock_url: String,
}

impl Shop {
    fn router(self, verifier: Verifier) -> Router {
        Router::new()
            .route("/tea", get(tea))
            .route("/my/tea", get(my_tea))
            .route_layer(middleware::from_fn_with_state(verifier, verify))
            .route("/ready", get(ready))
            .with_state(self)
    }

    async fn request_stock(self, subject: Option<SubjectToken>) -> Result<String, StatusCode> {
        let mut request = http::Request::get(self.stock_url)
            .body(Empty::new())
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        if let Some(subject) = subject {
            request.extensions_mut().insert(subject);
        }
        let response = self.stock.oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        match text(response).await {
            Ok((StatusCode::OK, text)) => Ok(text),
            _ => Err(StatusCode::BAD_GATEWAY),
        }
    }
}

/// Ready while there is a token. The probe never waits: without one it starts a refresh in the background.
async fn ready(State(shop): State<Shop>) -> StatusCode {
    if shop.idaas.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// As the shop itself.
async fn tea(State(shop): State<Shop>) -> Result<String, StatusCode> {
    shop.request_stock(None).await
}

/// On behalf of the user: the layer exchanges the user's token, verified by now, for one that names the user and opens
/// the stock alone.
async fn my_tea(State(shop): State<Shop>, headers: HeaderMap) -> Result<String, StatusCode> {
    let user = SubjectToken::from_bearer(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    shop.request_stock(Some(user)).await
}

fn stock_router(verifier: Verifier) -> Router {
    let tea = async |Extension(claims): Extension<Value>| {
        let caller = claims.get("sub").and_then(Value::as_str).unwrap_or("unknown");
        format!("7 cups, for {caller}")
    };
    Router::new().route("/tea", get(tea)).layer(middleware::from_fn_with_state(verifier, verify))
}

/// Lets requests with a valid token through, with its claims attached.
async fn verify(
    State(verifier): State<Verifier>,
    mut request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claims = verifier.verify(header.unwrap_or_default()).map_err(|_| StatusCode::UNAUTHORIZED)?;
    request.extensions_mut().insert(claims);
    Ok(next.run(request).await)
}

/// Serves for as long as the program runs, and says where.
async fn serve(router: Router) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn text(response: http::Response<hyper::body::Incoming>) -> Result<(StatusCode, String), BoxError> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}

/// What a user, or a probe, gets at this URL.
async fn visit(url: String, token: Option<&Secret>) -> Result<String, BoxError> {
    let mut request = http::Request::get(url);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    let (status, text) = text(http().request(request.body(Empty::new())?).await?).await?;
    Ok(format!("{status}  {text}"))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let issuer = TestIdaas::builder()
        .client("app_shop", "not-a-real-secret")
        .scope("api://stock|read")
        .start()
        .await?;
    let verifier = |audience| Verifier::new(&issuer.jwks(), issuer.issuer(), audience);
    let stock_url = format!("{}/tea", serve(stock_router(verifier("api://stock")?)).await?);

    // In a service: `Idaas::from_env()?`.
    let idaas = issuer.handle().build()?;
    let shop = Shop { stock: idaas.layer().layer(http()), idaas, stock_url: stock_url.clone() };
    let shop = serve(shop.router(verifier("api://shop")?)).await?;
    println!("IDaaS {}\nshop  {shop}\nstock {stock_url}\n", issuer.issuer());

    let alice = issuer.user_token("alice", &"api://shop|read".parse()?)?;
    let bob = issuer.user_token("bob", &"api://shop|read".parse()?)?;
    println!("GET stock/tea, no token      {}", visit(stock_url, None).await?);
    println!("GET shop/ready, at start     {}", visit(format!("{shop}/ready"), None).await?);
    println!("GET shop/tea                 {}", visit(format!("{shop}/tea"), Some(&alice)).await?);
    println!("GET shop/ready               {}", visit(format!("{shop}/ready"), None).await?);
    println!("GET shop/my/tea, as alice    {}", visit(format!("{shop}/my/tea"), Some(&alice)).await?);
    println!("GET shop/my/tea, as bob      {}", visit(format!("{shop}/my/tea"), Some(&bob)).await?);
    println!("GET shop/my/tea, as alice    {}", visit(format!("{shop}/my/tea"), Some(&alice)).await?);
    println!("GET shop/my/tea, no token    {}", visit(format!("{shop}/my/tea"), None).await?);
    println!("\ntokens: {}, one for the shop and one for each user", issuer.tokens_issued());
    Ok(())
}
