//! The token request itself, by the crate.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout;
use tower_idaas::{Error, ErrorKind, Idaas, Token};

use super::super::config_file::ConfigFile;
use super::super::display;
use super::super::finding::{Finding, Step};

/// More than the crate takes with the longest time-outs that a file may ask for.
const LIMIT: Duration = Duration::from_secs(150);

pub(crate) async fn examine(idaas: &Idaas, config: &ConfigFile) -> (Finding, Option<Token>) {
    let start = Instant::now();
    let result = timeout(LIMIT, idaas.token()).await;
    let time = display::milliseconds(start.elapsed());
    match result {
        Ok(Ok(token)) => {
            let left = display::time_from(token.expires_at(), SystemTime::now());
            let finding = Finding::ok(Step::Token, "the server issued a token").fact("time", time);
            (finding.fact("expires", left), Some(token))
        }
        Ok(Err(error)) => (refused(&error, config).fact("time", time), None),
        Err(_) => (late(), None),
    }
}

fn late() -> Finding {
    Finding::failed(Step::Token, format!("no token within {LIMIT:?}")).advise(
        "a source of credentials or a metadata service accepts requests and sends no response, for longer than the \
         time-outs of the configuration allow",
        "check the result of the step `credential`; set RUST_LOG=debug in the service, whose log then has each attempt",
    )
}

fn refused(error: &Error, config: &ConfigFile) -> Finding {
    let (meaning, remedy) = advice(error, config);
    let id = error.request_id().map(|id| ("request id", display::text(id)));
    let status = error.status().map(|status| ("status", status.to_string()));
    let code = error.code().map(|code| ("error", display::text(code)));
    Finding::failed(Step::Token, "the server issued no token")
        .facts(status.into_iter().chain(code).chain(id))
        .notes([display::chain(error)])
        .advise(meaning, remedy)
}

fn advice(error: &Error, config: &ConfigFile) -> (&'static str, String) {
    match (error.kind(), error.code()) {
        (_, Some("invalid_client")) => {
            ("the server does not know this client, or does not accept its credential", credential(config))
        }
        (_, Some("invalid_scope" | "unauthorized_client" | "access_denied")) => (
            "the client is known, but the requested scope is not granted to it",
            format!(
                "grant the application `{}` in the IDaaS console, or correct `scope`",
                display::text(config.get("scope").unwrap_or_default())
            ),
        ),
        (ErrorKind::Credential, _) => {
            ("the credential cannot be read or signed with", "correct what the message names".into())
        }
        (ErrorKind::Refused, _) => (
            "the server understood the request and refused it",
            "if its message does not help, send the request id to the support of IDaaS".into(),
        ),
        (ErrorKind::Unavailable, _) => {
            ("the server is unavailable at the moment", "wait, and try again".into())
        }
        (ErrorKind::InvalidResponse, _) => (
            "the response is not from a token endpoint: it is a gateway's page, a login page or a redirect",
            "compare `tokenEndpoint`, path included, with the IDaaS console".into(),
        ),
        (ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Transport, _) => (
            "the connection worked in the steps before and fails now, or the proxy does not forward requests",
            "try again; with a proxy, check that it allows this host".into(),
        ),
        _ => ("the request failed", "see the message".into()),
    }
}

fn credential(config: &ConfigFile) -> String {
    match config.method() {
        "PRIVATE_KEY_JWT" => "compare `clientId` with the console, and register the public half of this private key",
        "PCA" => "compare `clientId` and `applicationFederatedCredentialName` with the console, and the certificate's \
                  issuer with the authority registered there",
        "OIDC" => "compare `applicationFederatedCredentialName` with the console, and issuer, subject and audience \
                   under `credential` with what it trusts",
        "PKCS7" => "compare `idaasInstanceId`, `clientId` and `applicationFederatedCredentialName` with the console",
        "CLIENT_SECRET_BASIC" => "compare `clientId` with the console, and set the variable to a secret that is valid \
                                  there; for one with characters other than letters and digits, \
                                  set `authnMethod` to CLIENT_SECRET_POST, which sends it without the encoding that \
                                  this server may not undo",
        _ => "compare `clientId` with the console, and set the variable to a secret that is valid there",
    }
    .to_owned()
}
