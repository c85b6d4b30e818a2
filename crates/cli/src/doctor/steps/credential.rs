//! What the client proves itself with, by method.

use super::super::config_file::ConfigFile;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;
use super::built::Faults;
use super::{metadata, pca, plugin, private_key, service_account};

pub(crate) fn skipped(needed: Step) -> Finding {
    Finding::skipped(Step::Credential, format!("needs `{}`", needed.as_str()))
}

pub(crate) async fn examine(config: &ConfigFile, faults: &Faults, surroundings: &Surroundings) -> Finding {
    let faults = faults.of(Step::Credential);
    match config.method() {
        method if method.starts_with("CLIENT_SECRET_") && !faults.is_empty() => {
            Finding::failed(Step::Credential, "the client secret cannot be used").notes(faults).advise(
                "the client has no secret to authenticate with",
                "put the secret, and nothing else, where the configuration says",
            )
        }
        "CLIENT_SECRET_BASIC" | "CLIENT_SECRET_POST" => {
            Finding::ok(Step::Credential, "a client secret; only the server can check whether it is correct")
        }
        "CLIENT_SECRET_JWT" => {
            Finding::ok(Step::Credential, "a client secret that signs").fact("algorithm", "HS256")
        }
        "PRIVATE_KEY_JWT" => private_key::examine(config, faults, surroundings),
        "PCA" => pca::examine(config, faults, surroundings),
        "OIDC" if config.is_on_google_cloud() => metadata::examine(config, faults, surroundings).await,
        "OIDC" => service_account::examine(config, faults, surroundings),
        "PKCS7" => metadata::examine(config, faults, surroundings).await,
        "PLUGIN" => plugin::examine(surroundings).await,
        _ => skipped(Step::Keys),
    }
}
