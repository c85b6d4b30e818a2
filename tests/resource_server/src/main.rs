//! The receiving side, as `docs/verify.md` shows it: an API behind `tower-oauth2-resource-server` takes the tokens that
//! the library puts on requests, also after the issuer has begun to sign with another key. `cargo run` in this folder; CI
//! does.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_idaas::{Idaas, Scope, SubjectToken};
use tower_idaas_testing::TestIdaas;
use tower_oauth2_resource_server::error::AuthError;
use tower_oauth2_resource_server::error_handler::ErrorHandler;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;
/// Shorter than in production, so that a rotated key is seen soon.
const REFRESH: Duration = Duration::from_millis(100);

type Api = BoxCloneSyncService<Request<String>, Response<String>, Error>;

// The code of docs/verify.md, from here to its end.

#[derive(Clone, Deserialize)]
struct Claims {
    sub: String,
    scope: String,
}

impl Claims {
    fn allow(&self, permission: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == permission)
    }
}

/// Says which 401 means the token, so that clients fetch another one (RFC 6750 section 3.1).
struct Challenge;

impl<B: Default> ErrorHandler<B> for Challenge {
    fn map_error(&self, error: AuthError) -> Response<B> {
        let challenge = match error {
            AuthError::MissingAuthorizationHeader => "Bearer",
            _ => r#"Bearer error="invalid_token""#,
        };
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

async fn resource_server(
    issuer: &str,
    jwks_url: &str,
    audience: &str,
    http: reqwest::Client,
) -> Result<OAuth2ResourceServer<Claims>> {
    let claims = ClaimsValidationSpec::new().exp(true).iss(issuer).aud(&vec![audience.to_owned()]);
    let tenant = TenantConfiguration::builder(issuer)
        .claims_validation(claims)
        .allowed_algorithms(&[Algorithm::RS256])
        .jwks_url(jwks_url)
        .jwks_refresh_interval(REFRESH)
        .http_client(http)
        .build()
        .await?;
    Ok(OAuth2ResourceServer::builder().add_tenant(tenant).build().await?)
}

// The end of that code.

/// Responds to verified requests with the permission `read` alone; on behalf of users it exchanges their token first.
fn api(server: &OAuth2ResourceServer<Claims>, idaas: Idaas) -> Api {
    let orders = move |request: Request<String>| {
        let idaas = idaas.clone();
        async move {
            let mut response = Response::new(String::new());
            let claims = request.extensions().get::<Claims>().ok_or("the request was not verified")?;
            if !claims.allow("read") {
                *response.status_mut() = StatusCode::FORBIDDEN;
            } else if request.uri().path() == "/on-behalf" {
                let user = SubjectToken::from_bearer(request.headers()).ok_or("there is no token")?;
                let stock: Scope = "api://stock|read".parse()?;
                idaas.exchange_for(&user, &stock).await?;
            }
            *response.body_mut() = claims.sub.clone();
            Ok::<_, Error>(response)
        }
    };
    let verified = ServiceBuilder::new()
        .layer(server.into_layer_with_error_handler(Arc::new(Challenge)))
        .service_fn(orders);
    BoxCloneSyncService::new(verified)
}

fn request(path: &str, token: &str) -> Result<Request<String>> {
    let request = Request::get(format!("https://orders.example{path}"));
    Ok(request.header(AUTHORIZATION, format!("Bearer {token}")).body(String::new())?)
}

async fn status(api: &Api, path: &str, token: &str) -> Result<StatusCode> {
    Ok(api.clone().oneshot(request(path, token)?).await?.status())
}

/// Waits until the API takes the tokens of this client; the keys come in the background.
async fn is_served(api: &Api, idaas: &Idaas) -> Result<()> {
    let client = idaas.layer().layer(api.clone());
    for _ in 0..200 {
        let request = Request::get("https://orders.example/").body(String::new())?;
        if client.clone().oneshot(request).await?.status() == StatusCode::OK {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the API takes no token".into())
}

#[tokio::main]
async fn main() -> Result<()> {
    let scopes = ["api://orders|read api://orders|write", "api://stock|read"];
    let issuer = scopes.iter().fold(TestIdaas::builder(), |issuer, scope| issuer.scope(*scope)).start().await?;
    let stranger = TestIdaas::builder().scope("api://orders|read").start().await?;
    let idaas = issuer.handle().build()?;
    let root = reqwest::Certificate::from_pem(issuer.root_certificate_pem().as_bytes())?;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build()?;

    // The issuer may be down when the API starts: its tokens are refused until the keys have come.
    issuer.down().await;
    let discovery = TenantConfiguration::builder(issuer.issuer()).http_client(http.clone()).build().await;
    assert!(discovery.is_err(), "discovery needs the issuer");
    let server = resource_server(issuer.issuer(), &issuer.jwks_url(), "api://orders", http).await?;
    let api = api(&server, idaas.clone());
    issuer.up().await?;
    is_served(&api, &idaas).await?;

    let token = async |scope: &str| -> Result<String> {
        Ok(idaas.token_for(&scope.parse()?).await?.expose_token().to_owned())
    };
    assert_eq!(status(&api, "/", &token("api://orders|write").await?).await?, StatusCode::FORBIDDEN);
    assert_eq!(status(&api, "/", &token("api://stock|read").await?).await?, StatusCode::UNAUTHORIZED);
    let foreign = stranger.handle().build()?.token().await?.expose_token().to_owned();
    assert_eq!(status(&api, "/", &foreign).await?, StatusCode::UNAUTHORIZED);

    // A user's token is exchanged once it is verified; what is no token of ours costs no token request.
    let alice = issuer.user_token("alice", &"api://orders|read".parse()?)?;
    let before = issuer.token_requests();
    assert_eq!(status(&api, "/on-behalf", &foreign).await?, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&api, "/on-behalf", "not-a-token").await?, StatusCode::UNAUTHORIZED);
    assert_eq!(issuer.token_requests(), before);
    assert_eq!(status(&api, "/on-behalf", alice.expose_secret()).await?, StatusCode::OK);
    assert_eq!(issuer.token_requests(), before + 1);

    issuer.rotate_signing_key()?;
    let old = idaas.token().await?;
    idaas.invalidate(&old);
    is_served(&api, &idaas).await?;
    assert!(idaas.token().await?.expose_token() != old.expose_token(), "the token is still the old one");
    println!("the API takes good tokens and no others, and takes them after the key was rotated");
    Ok(())
}
