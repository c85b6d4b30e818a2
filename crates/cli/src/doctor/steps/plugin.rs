//! PLUGIN: where the Alibaba Cloud credential behind the OpenAPI call comes from.

use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;
use super::metadata;
use crate::input;

/// What each source of the vendor's chain needs, in its order; before the last one, there is the role of the instance.
const SOURCES: [(&str, &[&str]); 5] = [
    ("environment", &["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"]),
    (
        "OIDC role",
        &["ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE"],
    ),
    ("CLI profile", &[]),
    ("profile file", &[]),
    ("credentials URI", &["ALIBABA_CLOUD_CREDENTIALS_URI"]),
];

pub(crate) async fn examine(surroundings: &Surroundings) -> Finding {
    let mut has_source = false;
    let mut facts = Vec::new();
    for (name, variables) in SOURCES {
        let found = match variables {
            [] => file_of(name, surroundings),
            variables => all_set(variables, surroundings),
        };
        has_source |= found.is_ok();
        facts.push((name, found.unwrap_or_else(|missing| missing)));
    }
    let is_disabled = surroundings
        .first(&["ALIBABA_CLOUD_ECS_METADATA_DISABLED"])
        .is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let address = surroundings.metadata_address.as_deref().unwrap_or(metadata::ALIBABA_CLOUD);
    // Checked last, and only if it matters: where there is none it takes a second to find out.
    let instance = match (is_disabled, has_source) {
        (true, _) => "switched off".to_owned(),
        (false, true) => "not checked".to_owned(),
        (false, false) if metadata::is_in_reach(address).await => {
            has_source = true;
            format!("the metadata service at {address} is within reach")
        }
        (false, false) => format!("no metadata service at {address} within 1 s"),
    };
    // In its place: the credentials URI comes last.
    facts.insert(facts.len().saturating_sub(1), ("ECS RAM role", instance));
    let finding = match has_source {
        true => Finding::ok(Step::Credential, "an Alibaba Cloud credential, from the vendor's chain"),
        false => Finding::failed(Step::Credential, "no Alibaba Cloud credential was found").advise(
            "the OpenAPI takes signed calls only, and no source of the vendor's chain has a credential",
            "set ALIBABA_CLOUD_ACCESS_KEY_ID and …_SECRET, log in with the Aliyun CLI, or attach a RAM role to the instance or pod",
        ),
    };
    finding.facts(facts)
}

fn all_set(variables: &[&str], surroundings: &Surroundings) -> Result<String, String> {
    match variables.iter().find(|name| surroundings.first(&[name]).is_none()) {
        None => Ok("its variables are set".to_owned()),
        Some(name) => Err(format!("{name} is not set")),
    }
}

fn file_of(name: &str, surroundings: &Surroundings) -> Result<String, String> {
    let disabled = surroundings.first(&["ALIBABA_CLOUD_CLI_PROFILE_DISABLED"]);
    if name == "CLI profile" && disabled.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true")) {
        return Err("switched off".to_owned());
    }
    let (variable, default, other) = match name {
        "CLI profile" => ("ALIBABA_CLOUD_CONFIG_FILE", "~/.aliyun/config.json", None),
        _ => (
            "ALIBABA_CLOUD_CREDENTIALS_FILE",
            "~/.alibabacloud/credentials",
            Some("~/.alibabacloud/credentials.ini"),
        ),
    };
    let (first, other) = match surroundings.first(&[variable]) {
        Some((_, path)) => (path, None),
        None => (default.to_owned(), other),
    };
    let mut paths = [Some(first.as_str()), other].into_iter().flatten();
    match paths.find(|path| input::is_file(&surroundings.expand(path.as_ref()))) {
        Some(path) => Ok(format!("{path} is there")),
        None => Err(format!("{first} is not there")),
    }
}
