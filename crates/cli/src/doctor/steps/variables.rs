//! The environment variables that the configuration names: set or not, and never what they hold.

use std::ffi::OsString;

use super::super::config_file::ConfigFile;
use super::super::display;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;
use super::built::Faults;

/// The keys that name variables, by the methods that read them.
const KEYS: [(&str, &[&str]); 4] = [
    ("clientSecretEnvVarName", &["CLIENT_SECRET_BASIC", "CLIENT_SECRET_POST", "CLIENT_SECRET_JWT"]),
    ("privateKeyEnvVarName", &["PRIVATE_KEY_JWT", "PCA"]),
    ("privateKeyPassphraseEnvVarName", &["PRIVATE_KEY_JWT", "PCA"]),
    ("oidcTokenFilePathEnvVarName", &["OIDC"]),
];

/// Whether the credential is what a variable holds.
pub(crate) fn are_the_credential(config: &ConfigFile) -> bool {
    config.method().starts_with("CLIENT_SECRET_") || matches!(config.method(), "PRIVATE_KEY_JWT" | "PCA")
}

pub(crate) fn examine(config: &ConfigFile, faults: &Faults, surroundings: &Surroundings) -> Finding {
    let named: Vec<&str> = KEYS
        .iter()
        .filter(|(_, methods)| methods.contains(&config.method()))
        .filter(|(key, _)| *key != "oidcTokenFilePathEnvVarName" || !config.is_on_google_cloud())
        .filter_map(|(key, _)| config.get(key))
        .collect();
    if named.is_empty() {
        return Finding::skipped(Step::Variables, "the configuration names none");
    }
    let faults = faults.of(Step::Variables);
    let mut finding = match faults.is_empty() {
        true => Finding::ok(Step::Variables, "set; values are never shown"),
        false => Finding::failed(Step::Variables, "not all are set").notes(faults).advise(
            "the process has no value in a variable that the configuration names; one exported in another shell, \
             or set for another user or unit, is not seen here",
            "set it where the service is started: `Environment=` of a unit, `env` of a container, `export` in a shell",
        ),
    };
    for name in named {
        let Some(name) = display::variable_name(name) else {
            finding =
                finding.warn("a key holds a text that does not look like a variable's name; it is not shown");
            continue;
        };
        let value = surroundings.variable(name);
        let is_secret = config.get("clientSecretEnvVarName") == Some(name);
        finding.notes.push(format!("{name}: {}", state(value.as_ref())));
        if is_secret && value.is_some_and(has_blanks_around) {
            finding = finding
                .warn(format!("{name} begins or ends with white space, which is sent as part of the secret"));
        }
    }
    finding
}

fn state(value: Option<&OsString>) -> String {
    match value.map(|value| value.to_str()) {
        None => "not set".to_owned(),
        Some(None) => "set, but not to Unicode text".to_owned(),
        Some(Some(text)) if text.trim().is_empty() => "set, but blank".to_owned(),
        Some(Some(text)) => format!("set, {}", display::length_class(text.chars().count())),
    }
}

/// One line break at the end is not part of the secret.
fn has_blanks_around(value: OsString) -> bool {
    let Ok(text) = value.into_string() else { return false };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    text.trim() != text
}
