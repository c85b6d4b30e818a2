//! From the text of a file to a configuration or its faults: every row of bad input, end to end.

mod assertion;
mod federated;
mod keys;
mod loading;
mod plugin;
mod values;

use std::time::Duration;

use serde_json::{Value, json};

use crate::authn::ClientSecretPost;
use crate::config::*;
use crate::environment::{Environment, ManualEnvironment};
use crate::secret::SecretSource;

const SECRET: &str = "s3cret-of-the-environment";
const MARKER: &str = "hunter2";

fn environment() -> Environment {
    Environment::Manual(ManualEnvironment::from_iter([("APP_SECRET", SECRET), ("EMPTY_SECRET", "")]))
}

fn base() -> Value {
    json!({
        "idaasInstanceId": "idaas_fake0001",
        "clientId": "app_fake0001",
        "issuer": "https://tenant.example.com/api/v2/iauths_system/oauth2",
        "tokenEndpoint": "https://tenant.example.com/api/v2/iauths_system/oauth2/token",
        "scope": "api.example.com|read:file",
        "openApiEndpoint": "eiam.cn-hangzhou.aliyuncs.com",
        "developerApiEndpoint": "eiam-developerapi.cn-hangzhou.aliyuncs.com",
        "authnConfiguration": {
            "identityType": "CLIENT",
            "authnMethod": "CLIENT_SECRET_POST",
            "clientSecretEnvVarName": "APP_SECRET"
        },
        "httpConfiguration": { "connectTimeout": 4000, "readTimeout": 8000 }
    })
}

/// The working file with some keys changed, or taken out by `remove()`.
fn with(changes: &[(&str, Value)]) -> String {
    let mut config = base();
    for (path, value) in changes {
        let (section, key) =
            path.split_once('.').map_or((None, *path), |(section, key)| (Some(section), key));
        let object = match section {
            Some(section) => config[section].as_object_mut().unwrap(),
            None => config.as_object_mut().unwrap(),
        };
        if *value == remove() {
            object.remove(key);
        } else {
            object.insert(key.to_owned(), value.clone());
        }
    }
    config.to_string()
}

/// A value that no test gives to a key: `null` is one of its own.
fn remove() -> Value {
    json!("\u{0}remove")
}

fn method(name: &str, parameters: Value) -> String {
    let mut authn = parameters;
    authn["authnMethod"] = name.into();
    with(&[("authnConfiguration", authn)])
}

fn checked(
    keys: &ClientConfig,
    origin: Option<&str>,
    environment: &Environment,
) -> Result<(Config, Vec<String>), ConfigError> {
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    check::check(keys, origin, &CheckContext::new(environment, now))
}

fn load(file: &ConfigFile, keys: ClientConfig, environment: &Environment) -> Result<Config, ConfigError> {
    Config::load(file, keys, &CheckContext::new(environment, std::time::UNIX_EPOCH))
}

/// A method's name in messages of tests.
fn debug(method: &Method) -> String {
    format!("{method:?}")
}

fn check_text(text: &str) -> Result<(Config, Vec<String>), ConfigError> {
    let mut config_keys = ClientConfig::default();
    config_keys.fill(text).map_err(|fault| ConfigError::all(Some("c.json"), vec![fault]))?;
    checked(&config_keys, Some("c.json"), &environment())
}

/// The text is refused for this reason at this key, for no other, and no value is shown.
fn assert_refused(text: &str, key: &str, reason: &str) {
    let error = check_text(text).map(|_| text).unwrap_err();
    assert!(keys(&error) == [key], "{text}\n{error}");
    assert!(error.to_string().contains(reason), "{text}\n{error}");
    assert!(error.to_string().starts_with("configuration c.json: "), "{error}");
    assert!(!format!("{error} {error:#} {error:?}").contains(MARKER), "{error:?}");
}

fn keys(error: &ConfigError) -> Vec<&str> {
    error.faults().iter().map(|fault| fault.key()).collect()
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const METHOD: &str = "authnConfiguration.authnMethod";
const SECRET_NAME: &str = "authnConfiguration.clientSecretEnvVarName";
const CREDENTIAL: &str = "authnConfiguration.applicationFederatedCredentialName";
const DEPLOYED: &str = "authnConfiguration.clientDeployEnvironment";
