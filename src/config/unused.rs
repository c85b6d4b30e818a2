//! Keys that the chosen method does not read: most often what is left of another method's configuration.

use crate::config::check::Checker;
use crate::config::model::AuthnKeys;

/// Warns of each.
pub(super) fn warn(checker: &mut Checker<'_>, authn: &AuthnKeys, method: &str) {
    for field in authn.texts() {
        let used = is_read_by(field.key(), method);
        // A blank one says nothing: templates leave unused keys blank.
        if !used && field.get().is_some_and(|text| !text.trim().is_empty()) {
            checker.warn(field.fault(format!("is not used by {method}; remove it, or check authnMethod")));
        }
    }
}

fn is_read_by(key: &str, method: &str) -> bool {
    match key {
        "clientSecretEnvVarName" => method.starts_with("CLIENT_SECRET_"),
        "privateKeyEnvVarName" => ["PRIVATE_KEY_JWT", "PCA"].contains(&method),
        "applicationFederatedCredentialName" => ["PKCS7", "OIDC", "PCA"].contains(&method),
        "clientDeployEnvironment" => ["PKCS7", "OIDC"].contains(&method),
        "oidcTokenFilePath" | "oidcTokenFilePathEnvVarName" => method == "OIDC",
        "clientX509Certificate" | "x509CertChains" => method == "PCA",
        "pluginName" => method == "PLUGIN",
        _ => true,
    }
}
