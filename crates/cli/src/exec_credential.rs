//! `idaas exec-credential`: a credential plugin of kubectl and of other clients of Kubernetes.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>

use clap::Args;
use serde_json::{Value, json};
use tower_idaas::environment::Environment;
use tower_idaas::{BoxError, Scope};

use crate::bearer::timestamp;
use crate::client::ConfigArguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::output::print;

/// What the caller requests, as an `ExecCredential` whose `spec` is filled.
const REQUEST: &str = "KUBERNETES_EXEC_INFO";
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// Prints a token as an ExecCredential of client.authentication.k8s.io/v1, which kubectl reads from a credential plugin.
/// What is printed on stdout is secret.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ExecCredentialArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The scope to request, `audience|permission` [default: the configured one]
    #[arg(long)]
    scope: Option<Scope>,
}

pub(crate) async fn run(arguments: ExecCredentialArguments) -> Result<(), Failure> {
    let ExecCredentialArguments { config, scope } = arguments;
    let version = requested_version()?;
    let idaas = config.client()?;
    let token = match scope {
        Some(scope) => idaas.token_for(&scope).await?,
        None => idaas.token().await?,
    };
    let credential = json!({
        "apiVersion": version,
        "kind": "ExecCredential",
        "status": {
            "token": token.expose_token(),
            "expirationTimestamp": timestamp(token.expires_at()),
        },
    });
    Ok(print(&format!("{credential:#}\n"))?)
}

/// The version that the caller speaks, which the response has to have; the newest for a caller that is not Kubernetes'.
fn requested_version() -> Result<&'static str, BoxError> {
    let [newest, _] = VERSIONS;
    let Some(request) = Environment::Process.variable(REQUEST).filter(|request| !request.is_empty()) else {
        return Ok(newest);
    };
    let request = request.to_str().and_then(|request| serde_json::from_str::<Value>(request).ok());
    let request = request.ok_or_else(|| format!("environment variable {REQUEST} is not JSON"))?;
    let requested = request.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let known = VERSIONS.into_iter().find(|version| *version == requested);
    known.ok_or_else(|| {
        format!("{REQUEST} requests an apiVersion that is not supported; set {newest} in the kubeconfig")
            .into()
    })
}
