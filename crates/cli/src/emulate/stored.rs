//! `--stored`: what the DeveloperAPI has for clients.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tower_idaas::BoxError;
use tower_idaas_testing::{CloudVendor, DeveloperApi};

use crate::input;

const EXPECTED: &str = "expected a JSON object with `api_keys` (texts by name), `oauth_clients` (`id` and `secret` by \
                        name), `providers` (`scope`, `parameters`, `token_life`, `consent` by name) and `roles` \
                        (ARNs that begin with `acs:ram:`, `arn:aws` or `qcs:`)";

/// It has no `Debug`, because it holds secrets.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(super) struct Stored {
    api_keys: BTreeMap<String, String>,
    oauth_clients: BTreeMap<String, OauthClient>,
    providers: BTreeMap<String, Provider>,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OauthClient {
    id: String,
    secret: String,
}

/// A third party whose tokens IDaaS gets.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Provider {
    /// Separated by spaces; any where there are none.
    scope: String,
    parameters: Vec<String>,
    token_life: Life,
    /// Whether a user must consent first.
    consent: bool,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Life(Duration);

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Role(String, CloudVendor);

/// What is stored in the file. An error holds none of its secrets.
pub(super) fn read(file: &Path) -> Result<Stored, BoxError> {
    let wrong = |problem: &str| BoxError::from(format!("{}: {problem}", file.display()));
    let text = input::text(file).map_err(|error| wrong(&error.to_string()))?;
    serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("is not understood (line {}); {EXPECTED}", error.line())))
}

impl Stored {
    pub(super) fn put_into(self, api: &DeveloperApi) {
        let Self { api_keys, oauth_clients, providers, roles } = self;
        for (name, key) in api_keys {
            api.store_api_key(name, key);
        }
        for (name, OauthClient { id, secret }) in oauth_clients {
            api.store_oauth_client(name, id, secret);
        }
        for (name, Provider { scope, parameters, token_life: Life(life), consent }) in providers {
            let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
            api.add_credential_provider(&name, life, &scope, &parameters);
            api.require_consent(&name, consent);
        }
        for Role(arn, vendor) in roles {
            api.add_role(arn, vendor);
        }
    }
}

impl Default for Provider {
    fn default() -> Self {
        let life = Life(Duration::from_secs(3600));
        Self { scope: String::new(), parameters: Vec::new(), token_life: life, consent: false }
    }
}

impl TryFrom<String> for Life {
    type Error = humantime::DurationError;

    fn try_from(life: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&life).map(Self)
    }
}

impl TryFrom<String> for Role {
    type Error = &'static str;

    fn try_from(arn: String) -> Result<Self, Self::Error> {
        let vendors = [
            ("acs:ram:", CloudVendor::AlibabaCloud),
            ("arn:aws", CloudVendor::Aws),
            ("qcs:", CloudVendor::TencentCloud),
        ];
        let vendor = vendors.into_iter().find(|(prefix, _)| arn.starts_with(prefix));
        let (_, vendor) = vendor.ok_or("is not the ARN of a role of a cloud that is known")?;
        Ok(Self(arn, vendor))
    }
}
