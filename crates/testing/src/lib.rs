//! An IDaaS to test against, in process, and an API that its tokens protect.
//!
//! Nothing here is a mock of this crate: [`TestIdaas`] is an HTTPS server on the loopback interface that
//! verifies its clients, by secret, signature or certificate, refuses what the real service refuses, and signs
//! what it issues; a [`ProtectedApi`] accepts a token only if signature, issuer, audience, permission and life
//! are right. So a test covers what goes over the wire, whatever client sends it.
//!
//! # Without an IDaaS
//!
//! Where it matters *that* your service sends a token, and not how it gets one, a token made up will do:
//! [`Idaas::fixed`](tower_idaas::Idaas::fixed) gives it at once, always, and without a server.
//!
//! ```
//! use http::{Request, Response, header::AUTHORIZATION};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_idaas::{BoxError, Idaas};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let api = service_fn(|request: Request<String>| async move {
//!     assert_eq!(request.headers()[AUTHORIZATION], "Bearer made-up");
//!     Ok::<_, BoxError>(Response::new("7 cups of tea"))
//! });
//! let client = Idaas::fixed("made-up")?.layer().layer(api); // what the service under test is given
//! let response = client.oneshot(Request::get("https://stock.example.com/tea").body(String::new())?).await?;
//! assert_eq!(response.into_body(), "7 cups of tea");
//! # Ok(())
//! # }
//! ```
//!
//! # The whole way
//!
//! Where the way to the token matters too, or what happens when it fails, start the real thing:
//!
//! ```
//! use http::{Request, StatusCode};
//! use http_body_util::Empty;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{Layer, ServiceExt};
//! use tower_idaas::BoxError;
//! use tower_idaas_testing::TestIdaas;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let server = TestIdaas::start().await?;
//! let orders = server.api("api://orders").permission("read").plain_http().start().await?;
//! let idaas = server.handle().scope("api://orders|read").build()?;
//! let client = idaas.layer().layer(Client::builder(TokioExecutor::new()).build_http());
//!
//! let request = || Request::get(orders.url()).body(Empty::<bytes::Bytes>::new());
//! assert_eq!(client.clone().oneshot(request()?).await?.status(), StatusCode::OK);
//! orders.revoke_all_issued_before_now();
//! assert_eq!(client.clone().oneshot(request()?).await?.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(client.oneshot(request()?).await?.status(), StatusCode::OK);
//! assert_eq!((server.tokens_issued(), orders.accepted()), (2, 2));
//! # Ok(())
//! # }
//! ```
//!
//! # A token, and what it opens
//!
//! Clients need to trust [`root_certificate_pem`](TestIdaas::root_certificate_pem), or, if they read
//! `SSL_CERT_FILE`, the file that [`write_root_certificate`](TestIdaas::write_root_certificate) writes.
//! [`write_config`](TestIdaas::write_config) writes the `client-config.json`, and
//! [`environment`](TestIdaas::environment) holds the secret that it names. [`handle`](TestIdaas::handle) does all that for a handle of this crate's; here a plain
//! client asks by hand:
//!
//! ```
//! use http::{Request, StatusCode, header};
//! use http_body_util::{BodyExt, Full};
//! # use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! # use rustls::pki_types::{CertificateDer, pem::PemObject};
//! use tower_idaas_testing::TestIdaas;
//!
//! # fn client_that_trusts(
//! #     pem: &str,
//! # ) -> Client<
//! #     hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>,
//! #     Full<bytes::Bytes>,
//! # > {
//! #     let mut roots = rustls::RootCertStore::empty();
//! #     roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
//! #     let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
//! #     let tls = rustls::ClientConfig::builder_with_provider(provider)
//! #         .with_safe_default_protocol_versions()
//! #         .unwrap()
//! #         .with_root_certificates(roots)
//! #         .with_no_client_auth();
//! #     let connector = hyper_rustls::HttpsConnectorBuilder::new()
//! #         .with_tls_config(tls)
//! #         .https_only()
//! #         .enable_all_versions()
//! #         .build();
//! #     Client::builder(TokioExecutor::new()).build(connector)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let idaas = TestIdaas::start().await?;
//! let orders = idaas.api("api://orders").permission("read").start().await?;
//! let client = client_that_trusts(idaas.root_certificate_pem());
//!
//! let form = form_urlencoded::Serializer::new(String::new())
//!     .append_pair("grant_type", "client_credentials")
//!     .append_pair("client_id", idaas.client_id())
//!     .append_pair("client_secret", idaas.secret().expose_secret())
//!     .append_pair("scope", "api://orders|read")
//!     .finish();
//! let request = Request::post(idaas.token_endpoint())
//!     .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
//!     .body(Full::from(form))?;
//! let json = client.request(request).await?.into_body().collect().await?.to_bytes();
//! let json: serde_json::Value = serde_json::from_slice(&json)?;
//! let token = json["access_token"].as_str().ok_or("no token")?;
//!
//! let request = Request::get(orders.url())
//!     .header(header::AUTHORIZATION, format!("Bearer {token}"))
//!     .body(Full::default())?;
//! assert_eq!(client.request(request).await?.status(), StatusCode::OK);
//! assert_eq!((idaas.tokens_issued(), orders.accepted()), (1, 1));
//! # Ok(())
//! # }
//! ```
//!
//! # When things go wrong
//!
//! | to see what happens when | do |
//! |---|---|
//! | a token ends | give the builder a [`ManualClock`](TestIdaasBuilder::clock), and advance it |
//! | a live token is refused | [`revoke`](ProtectedApi::revoke) it at the API |
//! | the secret is rotated | [`set_secret`](TestIdaas::set_secret) |
//! | the private key is rotated | [`set_public_key`](TestIdaas::set_public_key), [`certify`](TestIdaas::certify) |
//! | a Kubernetes token is rotated, expired, for another audience | [`service_account_token`](TestIdaas::service_account_token) |
//! | the machine has no metadata service, or one that does not respond | give a [`MetadataService`] a [`Behaviour`] |
//! | a metadata service's document is damaged or missing | [`MetadataService::set_document`] |
//! | a program runs on Azure or Google Cloud | start a [`MetadataService`], which has their interfaces as well |
//! | a program runs in a job of GitHub Actions | [`start_github_actions`](TestIdaas::start_github_actions) |
//! | a stored API key is replaced, is disabled, or is of another type; a user must consent | start a [`DeveloperApi`], and store in it what the test needs |
//! | a cloud role's credentials end, or the DeveloperAPI fails | start a [`DeveloperApi`]; [`set_session_duration`](DeveloperApi::set_session_duration), or give it a [`Behaviour`] |
//! | a role's credentials sign requests of another SDK | start an [`ObjectStorage`], which verifies them |
//! | tokens come from the OpenAPI (PLUGIN) | [`start_open_api`](TestIdaas::start_open_api) |
//! | an Alibaba Cloud access key is rotated, expires, is gone | [`OpenApiService::add_access_key`], [`OpenApiService::remove_access_key`] |
//! | a RAM role's credential ends, STS or the metadata service fails | [`StsService`], [`MetadataService::attach_role`], [`CredentialsUriService`] |
//! | the endpoint fails, throttles, redirects, or sends an invalid response | [`set_behaviour`](Controls::set_behaviour), [`behave_once`](Controls::behave_once) |
//! | many callers meet one request in flight | [`Behaviour::Hold`], [`wait_for_held`](Controls::wait_for_held), [`release`](Controls::release): no sleeping |
//! | the endpoint is gone, and comes back | [`down`](Controls::down), [`up`](Controls::up) |
//! | a proxy's clock is wrong, a cache responds | [`Behaviour::date`], [`Behaviour::aged`] |
//! | the body is compressed, or starts with a mark | [`Behaviour::gzip`], [`Behaviour::byte_order_mark`] |
//! | a response has many or folded header fields, a malformed head, or interim responses before it | [`Behaviour::many_headers`], [`Behaviour::FoldedHeaders`], [`Behaviour::Interim`], [`Behaviour::Raw`] |
//! | a gateway refuses without JSON | [`Behaviour::status`], [`Behaviour::response`] |
//! | `Retry-After` is no integer | [`Behaviour::unavailable`] |
//! | the OpenAPI's gateway throttles | [`Behaviour::throttled`], [`Behaviour::throttled_by_rate_limit`] |
//! | what an exchange yields is no access token | [`Behaviour::not_an_access_token`] |
//! | a proxy stands before the servers, and refuses | [`TestProxy`] |
//! | a file is read while it is written | [`TornFile`] |
//! | tokens come from a source of yours | [`ScriptedSource`] |
//! | clients are other processes | give the servers ports: [`TestIdaasBuilder::port`], [`TestIdaas::start_open_api_on`], [`TestIdaas::start_developer_api_on`], [`TestIdaas::start_metadata_service_on`]; or run `idaas emulate` |
//! | TLS fails | [`TestIdaasBuilder::certificate`], [`Behaviour::HangHandshake`] |
//!
//! All servers but the protected API have the same [`Controls`], so that each of them can be given a behaviour as the
//! token endpoint can. The protected API speaks HTTP and no gRPC: the test of a gRPC client starts a tonic server that
//! verifies the header with [`TestIdaas::jwks`], as the example `grpc` of `tower-idaas` does.
//!
//! The servers run on the Tokio runtime that starts them, which needs its I/O and time drivers, and stop
//! when they are dropped, be it inside or outside of that runtime.

mod aliyun;
mod api;
mod bearer;
mod builder;
mod certificates;
mod client_configuration;
mod github_actions;
mod idaas;
mod issuer;
mod jwt;
mod names;
mod scripted_source;
mod server;
mod token_file;

pub use aliyun::access_key::AccessKey;
pub use aliyun::cloud_account::CloudVendor;
pub use aliyun::credentials_uri::CredentialsUriService;
pub use aliyun::developer_api::DeveloperApi;
pub use aliyun::metadata_document::MetadataDocument;
pub use aliyun::metadata_service::MetadataService;
pub use aliyun::object_storage::ObjectStorage;
pub use aliyun::open_api::OpenApiService;
pub use aliyun::sts::StsService;
pub use api::{ProtectedApi, ProtectedApiBuilder};
pub use bearer::ApiRefusal;
pub use builder::TestIdaasBuilder;
pub use certificates::ServerCertificate;
pub use github_actions::GithubActions;
pub use idaas::TestIdaas;
pub use issuer::client_authentication::ClientAuthentication;
pub use issuer::request::ReceivedRequest;
pub use issuer::service_account::ServiceAccountToken;
pub use scripted_source::ScriptedSource;
pub use server::behaviour::{Behaviour, ResponseChange};
pub use server::controls::Controls;
pub use server::proxy::{TestProxy, Tunnel};
pub use server::requests::ServiceRequest;
pub use token_file::TornFile;
