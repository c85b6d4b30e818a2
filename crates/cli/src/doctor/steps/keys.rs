//! The keys of the configuration file, as the crate judges them.

use super::super::config_file::ConfigFile;
use super::super::display;
use super::super::finding::{Finding, Step};
use super::built::{Built, Faults};

pub(crate) fn not_json(built: &Built) -> Finding {
    Finding::failed(Step::Keys, "the file is not a JSON object").notes(built.faults_of_file()).advise(
        "a comma, quote or brace is missing or superfluous, or this is another file",
        "correct the line that is named; comments and trailing commas are allowed",
    )
}

pub(crate) fn examine(config: &ConfigFile, built: &Built, faults: &Faults) -> Finding {
    let faults = faults.of(Step::Keys);
    let finding = match faults.len() {
        0 => Finding::ok(Step::Keys, display::text(config.method())),
        1 => Finding::failed(Step::Keys, "1 fault"),
        count => Finding::failed(Step::Keys, format!("{count} faults")),
    };
    let facts = [
        ("clientId", "client"),
        ("tokenEndpoint", "token endpoint"),
        ("openApiEndpoint", "OpenAPI"),
        ("scope", "scope"),
    ];
    let fact = |(key, name): (&str, _)| Some((name, config.get(key)?));
    // A faulty value may be a misplaced secret or hold a password, and is not repeated here; nor is a query, whatever is
    // in it.
    let is_good = |(key, _): &(&str, _)| !built.all().iter().any(|fault| fault.key() == *key);
    let facts = facts.into_iter().filter(is_good).filter_map(fact).filter(|(_, value)| !value.contains('@'));
    let without_query = |value: &str| display::text(value.split('?').next().unwrap_or_default());
    let finding = finding.facts(facts.map(|(name, value)| (name, without_query(value))));
    if !faults.is_empty() {
        return finding.notes(faults).advise(
            "the crate, and the vendor's own clients, would not start with this file",
            "correct every key that is listed; `did you mean` marks likely typing errors",
        );
    }
    // What the crate says of the certificate's time is reported in its own step.
    let warnings = built.warnings.iter().filter(|warning| !warning.starts_with("the client certificate"));
    warnings.fold(finding, Finding::warn)
}
