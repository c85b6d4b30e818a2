//! Scopes as the servers here read them.

use tower_idaas::Scope;

/// The scope, or what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error: tower_idaas::ConfigError| {
        error.faults().first().map_or_else(String::new, |fault| fault.problem().to_owned())
    })
}
