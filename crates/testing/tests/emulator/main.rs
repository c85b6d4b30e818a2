//! The in-process IDaaS keeps its promises, seen through a real HTTP client.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod api;
mod behaviours;
mod clients;
mod connections;
mod servers;
mod tokens;
mod world;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, LOCATION,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tower_idaas::clock::ManualClock;
use tower_idaas_testing::{ApiRefusal, Behaviour, ClientAuthentication, ServerCertificate, TestIdaas};

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

const FORM: &str = "application/x-www-form-urlencoded";

fn client(idaas: &TestIdaas, version: Version) -> Http {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(idaas.root_certificate_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    let connector = match version {
        Version::HTTP_2 => connector.enable_http2().build(),
        _ => connector.enable_http1().build(),
    };
    Client::builder(TokioExecutor::new()).http2_only(version == Version::HTTP_2).build(connector)
}

fn token_request(idaas: &TestIdaas, form: &str) -> Request<Full<Bytes>> {
    Request::post(idaas.token_endpoint())
        .header(CONTENT_TYPE, FORM)
        .body(Full::from(form.to_owned()))
        .unwrap()
}

fn form(idaas: &TestIdaas, scope: &str) -> String {
    format!("grant_type=client_credentials&client_id={}&scope={scope}", idaas.client_id())
}

fn post_form(idaas: &TestIdaas, scope: &str) -> String {
    format!("{}&client_secret={}", form(idaas, scope), idaas.secret().expose_secret())
}

fn basic(id: &str, secret: &str) -> HeaderValue {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))).parse().unwrap()
}

async fn body(response: Response<hyper::body::Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn json_of(response: Response<hyper::body::Incoming>) -> Value {
    serde_json::from_slice(&body(response).await).unwrap()
}

/// Sends the form; the status and the JSON of the response.
async fn send_form(http: &Http, idaas: &TestIdaas, form: &str) -> (StatusCode, Value) {
    let response = http.request(token_request(idaas, form)).await.unwrap();
    (response.status(), json_of(response).await)
}

async fn token(http: &Http, idaas: &TestIdaas, scope: &str) -> String {
    let (status, json) = send_form(http, idaas, &post_form(idaas, scope)).await;
    assert_eq!(status, StatusCode::OK, "{json}");
    json["access_token"].as_str().unwrap().to_owned()
}

async fn call(http: &Http, url: &str, token: &str) -> Response<hyper::body::Incoming> {
    let request =
        Request::get(url).header(AUTHORIZATION, format!("Bearer {token}")).body(Full::default()).unwrap();
    http.request(request).await.unwrap()
}
