//! A program that has made other choices than `tower-idaas`: `jsonwebtoken` on RustCrypto, rustls on `ring`. Both go
//! on working beside it. `cargo run` in this folder; CI does.

use std::error::Error;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::{Idaas, SecretSource};
use tower_idaas_testing::TestIdaas;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    without_a_provider_the_fault_says_what_to_do()?;
    // Installs the provider that is compiled in, and panics where there are two.
    let _ = ClientConfig::builder();
    let server = TestIdaas::start().await?;
    let root = server.root_certificate_pem();
    a_jwt_of_ones_own()?;
    let token = a_token_of_ours(&server).await?;
    a_connection_of_ones_own(root.as_bytes(), &server.jwks_url()).await?;
    println!("a token of {} bytes, a JWT and a TLS connection of the program's own", token.len());
    Ok(())
}

/// Neither the feature nor the program has chosen one yet.
fn without_a_provider_the_fault_says_what_to_do() -> Result<()> {
    let fault = Idaas::builder()
        .instance_id("idaas_1")
        .client_id("app_1")
        .issuer("https://issuer.example")
        .token_endpoint("https://issuer.example/token")
        .scope("api://x|read")
        .authenticator(ClientSecretPost::new(SecretSource::value("not-a-real-secret".to_owned())))
        .build()
        .expect_err("there is no provider");
    for part in ["rustls-aws-lc-rs", "install_default()", "main"] {
        assert!(fault.to_string().contains(part), "{fault}");
    }
    Ok(())
}

/// With the process-wide choice of `jsonwebtoken`: a second backend in the tree would make it panic.
fn a_jwt_of_ones_own() -> Result<()> {
    let claims = serde_json::json!({ "sub": "alice", "exp": 4_102_444_800_u64 });
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"shared"))?;
    let key = DecodingKey::from_secret(b"shared");
    let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &Validation::new(Algorithm::HS256))?;
    assert_eq!(decoded.claims, claims);
    Ok(())
}

/// Over the TLS connection that the library opens.
async fn a_token_of_ours(server: &TestIdaas) -> Result<String> {
    let idaas = server.handle().build()?;
    Ok(idaas.token().await?.expose_token().to_owned())
}

/// With `ring`, which is the only provider that is compiled in.
async fn a_connection_of_ones_own(root: &[u8], url: &str) -> Result<()> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(root) {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let authority = url.trim_start_matches("https://").split('/').next().unwrap_or_default().to_owned();
    let host = authority.split(':').next().unwrap_or_default().to_owned();
    let stream = tokio::net::TcpStream::connect(&authority).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from(host)?, stream).await?;
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    Ok(())
}
