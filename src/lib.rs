//! A Tower [`Layer`](tower::Layer) that puts a cached machine-to-machine bearer token of Alibaba Cloud
//! IDaaS (EIAM) on every outgoing HTTP request.
//!
#![cfg_attr(feature = "reqwest", doc = "```no_run")]
#![cfg_attr(not(feature = "reqwest"), doc = "```ignore")]
//! use tower::ServiceBuilder;
//! use tower_idaas::Idaas;
//!
//! # async fn example() -> Result<(), tower_idaas::BoxError> {
//! let idaas = Idaas::from_env()?;
//! let http = reqwest::Client::builder().redirect(Idaas::redirect_policy()).build()?;
//! let response = idaas.send(http.get("https://api.example.com/orders")).await?;
//!
//! // Or through Tower, as with hyper, tonic and other services:
//! let client = ServiceBuilder::new().layer(idaas.layer()).service(http);
//! # Ok(())
//! # }
//! ```
//!
//! [`Idaas`] is the client: built once, from the vendor's `client-config.json` or in code ([`IdaasBuilder`]), and
//! cloned freely; clones share the tokens. [`Idaas::layer`] wraps HTTP clients, `Idaas::send` sends a request of
//! reqwest, [`Idaas::token`] returns the token itself. Nothing is fetched before a request needs a token, and no task
//! runs between refreshes, unless [`Idaas::keep_fresh`] starts one.
//!
//! ![The way of a request: the layer checks the destination and adds a cached token][request.svg]
//!
//! # The manual
//!
//! | page | |
//! |---|---|
//! | [Getting started](docs::getting_started) | the console, each method by file and in code, each client; the order of layers |
//! | [Features](docs::features) | what each feature of the crate turns on; which TLS and JWT backend |
//! | [Configuration](docs::configuration) | each key and variable |
//! | [Failures](docs::failures) | when a token is fetched, what requests see when that fails, what to do |
//! | [Observability](docs::observability) | events, metrics, alerts, a dashboard |
//! | [Deploy](docs::deploy) | probes, secrets, manifests, proxies, authorities |
//! | [Verify](docs::verify) | the receiving side |
//! | [Scale](docs::scale) | many scopes, many users, many instances |
//! | [Security](docs::security) | where tokens go, and what is kept secret |
//! | [Performance](docs::performance) | figures, and how to repeat them |
//! | [Testing](docs::testing) | your own tests |
//! | [The program `idaas`](docs::program) | tokens and credentials for shells and other programs; the doctor |
//! | [Alibaba Cloud](docs::alibaba_cloud) | credentials of cloud roles, secrets stored in IDaaS |
//! | [Migrating](docs::migrating) | from the Python SDK and its adapters |
//! | [The world](docs::world) | what networks, clocks and files do, and what is done about it |
//!
//! # What to look up first
//!
//! | item | for |
//! |---|---|
//! | [`IdaasBuilder`] | everything that can be set |
//! | [`authn`] | one type for each method |
//! | [`IdaasLayer`] | scopes, origins, gRPC, any other client |
//! | [`ErrorKind`] | what can fail |
//! | [`TokenSource`], [`authn::Authenticator`] | tokens and methods of your own |
//!
#![doc = include_str!("../docs/pictures/rustdoc.links")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "aliyun")]
#[cfg_attr(docsrs, doc(cfg(feature = "aliyun")))]
pub mod aliyun;
pub mod authn;
mod cache;
mod client;
pub mod clock;
mod config;
/// The manual, a page each. These modules hold text alone and no items.
#[cfg(any(
    all(doc, not(doctest)),
    all(doctest, feature = "aliyun", feature = "metrics", feature = "reqwest", feature = "test-util")
))]
pub mod docs {
    /// A page, with links to other pages that work in rustdoc: the first definition of a link counts, and those in the
    /// file work in the repository.
    macro_rules! pages {
        ($($name:ident = $file:literal,)*) => {$(
            #[doc = "[alibaba-cloud.md]: crate::docs::alibaba_cloud"]
            #[doc = "[configuration.md]: crate::docs::configuration"]
            #[doc = "[deploy.md]: crate::docs::deploy"]
            #[doc = "[failures.md]: crate::docs::failures"]
            #[doc = "[features.md]: crate::docs::features"]
            #[doc = "[getting-started.md]: crate::docs::getting_started"]
            #[doc = "[migrating.md]: crate::docs::migrating"]
            #[doc = "[observability.md]: crate::docs::observability"]
            #[doc = "[program.md]: crate::docs::program"]
            #[doc = "[scale.md]: crate::docs::scale"]
            #[doc = "[testing.md]: crate::docs::testing"]
            #[doc = "[verify.md]: crate::docs::verify"]
            #[doc = include_str!("../docs/pictures/rustdoc.links")]
            #[doc = "[alerts]: crate::docs::samples#alertsyaml"]
            #[doc = "[basic]: crate::docs::samples#client_secret_basicjson"]
            #[doc = "[post]: crate::docs::samples#client_secret_postjson"]
            #[doc = "[jwt]: crate::docs::samples#client_secret_jwtjson"]
            #[doc = "[key]: crate::docs::samples#private_key_jwtjson"]
            #[doc = "[pca]: crate::docs::samples#pcajson"]
            #[doc = "[k8s]: crate::docs::samples#oidc_kubernetesjson"]
            #[doc = "[google]: crate::docs::samples#oidc_googlejson"]
            #[doc = "[pkcs7]: crate::docs::samples#pkcs7json"]
            #[doc = "[plugin]: crate::docs::samples#pluginjson"]
            #[doc = "[policy]: crate::docs::security_policy"]
            #[doc = "[dashboard]: crate::docs::samples#dashboardjson"]
            #[doc = "[kubernetes]: crate::docs::samples#kubernetesyaml"]
            #[doc = "[kubernetes_secret]: crate::docs::samples#kubernetes_secretyaml"]
            #[doc = "[dockerfile]: crate::docs::samples#idaasdockerfile"]
            #[doc = "[compose]: crate::docs::samples#composeyaml"]
            #[doc = ""]
            #[doc = include_str!(concat!("../docs/", $file))]
            pub mod $name {}
        )*};
    }

    pages! {
        alibaba_cloud = "alibaba-cloud.md",
        configuration = "configuration.md",
        deploy = "deploy.md",
        failures = "failures.md",
        features = "features.md",
        getting_started = "getting-started.md",
        migrating = "migrating.md",
        observability = "observability.md",
        performance = "performance.md",
        program = "program.md",
        scale = "scale.md",
        security = "security.md",
        security_policy = "../SECURITY.md",
        testing = "testing.md",
        verify = "verify.md",
        world = "world.md",
    }

    /// The files of `docs/samples`, one behind another.
    macro_rules! samples {
        ($($language:ident $file:literal,)*) => {
            /// A complete configuration file for each method, manifests, alert rules for Prometheus, and a dashboard for
            /// Grafana.
            $(
                #[doc = concat!("\n# ", $file, "\n\n```", stringify!($language), "\n")]
                #[doc = include_str!(concat!("../docs/samples/", $file))]
                #[doc = "```"]
            )*
            pub mod samples {}
        };
    }

    samples! {
        json "client_secret_basic.json",
        json "client_secret_post.json",
        json "client_secret_jwt.json",
        json "private_key_jwt.json",
        json "pca.json",
        json "oidc_kubernetes.json",
        json "oidc_google.json",
        json "pkcs7.json",
        json "plugin.json",
        yaml "kubernetes.yaml",
        yaml "kubernetes_secret.yaml",
        dockerfile "idaas.Dockerfile",
        yaml "compose.yaml",
        yaml "alerts.yaml",
        json "dashboard.json",
    }
}
pub mod environment;
mod error;
mod host;
pub mod explanation {
    //! How a configuration is understood, for programs that explain it.

    #[doc(inline)]
    pub use crate::client::builder::explanation::{Explanation, Proxy, Route};
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    #[doc(inline)]
    pub use crate::transport::{Probe, ProbeStep, ServerTime};
}
mod scope;
mod secret;
pub mod service;
mod telemetry;
pub mod token;
mod transport;
mod wire;

pub use client::builder::IdaasBuilder;
pub use client::idaas::Idaas;
pub use error::{BoxError, BoxFuture, ConfigError, ConfigFault, Error, ErrorKind};
pub use scope::Scope;
pub use secret::{Secret, SecretSource};
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
#[doc(inline)]
pub use service::SendError;
#[doc(inline)]
pub use service::{IdaasLayer, IdaasService, NoToken, RetryUnauthorized};
#[doc(inline)]
pub use token::{RefreshGuard, SubjectToken, Token, TokenResponse, TokenSource};

/// The README's code compiles.
#[cfg(all(doctest, feature = "reqwest", feature = "transport"))]
#[doc = include_str!("../README.md")]
struct Readme;
