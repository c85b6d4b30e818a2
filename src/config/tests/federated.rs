//! OIDC and PKCS7: the federated credential, where the program runs, and the token's file.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::authn::{Authenticator, Oidc, Pkcs7, assertion_source_fn};
use crate::config::tests::*;

const PATH: &str = "authnConfiguration.oidcTokenFilePath";
const PATH_VARIABLE: &str = "authnConfiguration.oidcTokenFilePathEnvVarName";
const DEFAULT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

fn oidc(parameters: Value) -> Value {
    let mut authn =
        json!({ "applicationFederatedCredentialName": "f", "clientDeployEnvironment": "KUBERNETES" });
    for (key, value) in parameters.as_object().unwrap() {
        authn[key] = value.clone();
    }
    authn
}

fn pkcs7(environment: &str) -> Value {
    json!({ "applicationFederatedCredentialName": "f", "clientDeployEnvironment": environment })
}

struct Fixture {
    folder: tempfile::TempDir,
    variables: ManualEnvironment,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let variables = ManualEnvironment::from_iter([("HOME", folder.path().as_os_str())]);
        Self { folder, variables }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
        self.path(name)
    }

    fn check(&self, parameters: Value) -> Result<(Config, Vec<String>), ConfigError> {
        let mut config_keys = ClientConfig::default();
        config_keys.fill(&method("OIDC", oidc(parameters))).unwrap();
        checked(&config_keys, Some("c.json"), &Environment::Manual(self.variables.clone()))
    }

    fn token_file(&self, parameters: Value) -> String {
        let (config, warnings) = self.check(parameters).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let method = debug(&config.method);
        assert!(method.contains("credential_name: \"f\""), "{method}");
        let (_, rest) = method.split_once("path: \"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// Refused for these reasons at this key and no other, and nothing secret is shown.
    fn refused(&self, parameters: Value, key: &str, reasons: &[&str]) {
        let error = self.check(parameters).map(|_| key).unwrap_err();
        assert_eq!(keys(&error), [key], "{error}");
        for reason in reasons {
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(!format!("{error:?}").contains(MARKER), "{error:?}");
    }
}

#[cfg(feature = "transport")]
#[test]
fn the_credential_and_the_place_must_be_set() {
    for name in ["OIDC", "PKCS7"] {
        for (parameters, lacks) in [
            (json!({}), vec![CREDENTIAL, DEPLOYED]),
            (json!({ "clientDeployEnvironment": "KUBERNETES" }), vec![CREDENTIAL]),
            (json!({ "applicationFederatedCredentialName": "f" }), vec![DEPLOYED]),
            (
                json!({ "applicationFederatedCredentialName": " ", "clientDeployEnvironment": "" }),
                vec![CREDENTIAL, DEPLOYED],
            ),
        ] {
            let error = check_text(&method(name, parameters)).unwrap_err();
            let found: Vec<_> = keys(&error).into_iter().filter(|key| *key != PATH).collect();
            assert!(lacks.iter().all(|key| found.contains(key)), "{error}");
        }
    }
}

#[cfg(feature = "transport")]
#[test]
fn each_method_runs_where_it_can() {
    for (environment, cloud) in [
        ("ALIBABA_CLOUD_ECS", "AlibabaCloudEcs"),
        ("ALIBABA_CLOUD_ECI", "AlibabaCloudEcs"),
        (" AWS_EC2 ", "AwsEc2"),
    ] {
        let (config, warnings) = check_text(&method("PKCS7", pkcs7(environment))).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let method = debug(&config.method);
        assert!(method.contains(cloud) && method.contains("credential_name: \"f\""), "{method}");
    }
    for environment in ["KUBERNETES", "alibaba_cloud_ecs", "GOOGLE_VM"] {
        let expected = "expected ALIBABA_CLOUD_ECS or ALIBABA_CLOUD_ECI or AWS_EC2";
        assert_refused(&method("PKCS7", pkcs7(environment)), DEPLOYED, expected);
    }
    let fixture = Fixture::new();
    let path = fixture.write("token", "t");
    for environment in ["ALIBABA_CLOUD_ECS", "kubernetes"] {
        let parameters = json!({ "clientDeployEnvironment": environment, "oidcTokenFilePath": path });
        fixture.refused(parameters, DEPLOYED, &["expected KUBERNETES or GOOGLE_VM"]);
    }
}

#[cfg(feature = "transport")]
#[test]
fn a_place_of_the_vendors_that_does_not_serve_the_method_is_refused_by_name() {
    let fixture = Fixture::new();
    let path = fixture.write("token", "t");
    let places = ["COMMON", "COMPUTER", "ALIBABA_CLOUD_ACK", "AWS_ESK", "HUAWEI_CLOUD_ECS", "CUSTOM"];
    for place in places.into_iter().chain(["KUBERNETES", "GOOGLE_VM"]) {
        assert_refused(&method("PKCS7", pkcs7(place)), DEPLOYED, &format!("is `{place}`; expected"));
    }
    for place in places.into_iter().chain(["ALIBABA_CLOUD_ECS", "ALIBABA_CLOUD_ECI", "AWS_EC2"]) {
        let parameters = json!({ "clientDeployEnvironment": place, "oidcTokenFilePath": path });
        fixture.refused(parameters, DEPLOYED, &[&format!("is `{place}`; expected KUBERNETES or GOOGLE_VM")]);
    }
}

#[cfg(feature = "transport")]
#[test]
fn a_google_machine_needs_no_token_file() {
    let fixture = Fixture::new();
    let on_google = |more: &str| json!({ "clientDeployEnvironment": "GOOGLE_VM", more: "/token" });
    let (config, warnings) = fixture.check(on_google("_")).unwrap();
    assert!(debug(&config.method).contains("alibaba-cloud-idaas-v2"), "{:?}", config.method);
    assert_eq!(warnings, Vec::<String>::new());
    let (_, warnings) = fixture.check(on_google("oidcTokenFilePath")).unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("is not used with GOOGLE_VM"), "{warnings:?}");
}

#[test]
fn the_path_wins_over_the_variable() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.write("one", "t"), fixture.write("other", "t"));
    fixture.variables.set("TOKEN_FILE", format!(" {other}\n"));
    assert_eq!(fixture.token_file(json!({ "oidcTokenFilePath": one })), one);
    assert_eq!(fixture.token_file(json!({ "oidcTokenFilePathEnvVarName": "TOKEN_FILE" })), other);
    let blank = json!({ "oidcTokenFilePath": "", "oidcTokenFilePathEnvVarName": "TOKEN_FILE" });
    assert_eq!(fixture.token_file(blank), other);
    let both = json!({ "oidcTokenFilePath": one, "oidcTokenFilePathEnvVarName": "TOKEN_FILE" });
    assert_eq!(fixture.token_file(both), one);
    assert_eq!(fixture.token_file(json!({ "oidcTokenFilePath": "~/one" })), "~/one");
}

#[test]
fn the_default_path_is_that_of_kubernetes() {
    if std::path::Path::new(DEFAULT_PATH).exists() {
        return; // in a pod, where it is found
    }
    let fixture = Fixture::new();
    for unset in [json!({}), json!({ "oidcTokenFilePath": " ", "oidcTokenFilePathEnvVarName": "" })] {
        fixture.refused(unset, PATH, &["is missing", DEFAULT_PATH]);
    }
    for unset in [None, Some(""), Some(" ")] {
        unset.into_iter().for_each(|value| fixture.variables.set("TOKEN_FILE", value));
        let parameters = json!({ "oidcTokenFilePathEnvVarName": "TOKEN_FILE" });
        fixture.refused(parameters, PATH_VARIABLE, &["variable TOKEN_FILE is not set", DEFAULT_PATH]);
    }
}

#[test]
fn a_file_without_a_token_is_refused_with_its_path() {
    let fixture = Fixture::new();
    for (bytes, reason) in [(&b""[..], "is empty"), (b" \n", "is empty"), (b"hunter2\xff", "is not UTF-8")] {
        let path = fixture.write("token", bytes);
        fixture.refused(json!({ "oidcTokenFilePath": path }), PATH, &[&path, reason]);
        fixture.variables.set("TOKEN_FILE", &path);
        let parameters = json!({ "oidcTokenFilePathEnvVarName": "TOKEN_FILE" });
        fixture.refused(parameters, PATH_VARIABLE, &[&path, reason]);
    }
    let (absent, folder) = (fixture.path("none"), fixture.path("."));
    fixture.refused(json!({ "oidcTokenFilePath": absent }), PATH, &[&absent, "does not exist"]);
    fixture.refused(json!({ "oidcTokenFilePath": folder }), PATH, &["is a directory"]);
}

#[test]
fn a_token_pasted_in_place_of_its_path_is_not_shown() {
    let fixture = Fixture::new();
    let (token, problem) = ("eyJhunter2.eyJhunter2.hunter2", "a token stands where the path");
    fixture.refused(json!({ "oidcTokenFilePath": token }), PATH, &[problem]);
    fixture.variables.set("TOKEN_FILE", token);
    fixture.refused(json!({ "oidcTokenFilePathEnvVarName": "TOKEN_FILE" }), PATH_VARIABLE, &[problem]);
    let pasted = "eyJhunter2hunter2hunter2hunter2.eyJhunter2.hunter2";
    if !std::path::Path::new(DEFAULT_PATH).exists() {
        let parameters = json!({ "oidcTokenFilePathEnvVarName": pasted });
        fixture.refused(parameters, PATH_VARIABLE, &["of this name is not set"]);
    }
}

#[test]
fn a_key_of_another_method_is_a_warning() {
    let fixture = Fixture::new();
    let path = fixture.write("token", "t");
    let (_, warnings) = fixture
        .check(json!({ "oidcTokenFilePath": path, "privateKeyEnvVarName": "K", "pluginName": " ", "clientSecretEnvVarName": null }))
        .unwrap();
    assert_eq!(
        warnings,
        [
            "`authnConfiguration.privateKeyEnvVarName` is not used by OIDC; remove it, or check authnMethod (line 1)"
        ]
    );
}

#[test]
fn what_code_gives_is_checked_likewise() {
    let fixture = Fixture::new();
    let check = |method: Arc<dyn Authenticator>| {
        let mut config_keys = ClientConfig::default();
        config_keys.fill(&with(&[])).unwrap();
        config_keys.authenticator = Some(method);
        checked(&config_keys, None, &Environment::Manual(fixture.variables.clone())).map(|_| ())
    };
    let oidc = |name: &str, path: &str| Arc::new(Oidc::from_file(name, path));
    let error = check(oidc(" ", "~/token")).unwrap_err();
    assert_eq!(keys(&error), ["credential_name", "token_file"]);
    assert!(error.to_string().contains("`credential_name` is blank"), "{error}");
    assert!(error.to_string().contains(&fixture.path("token")), "{error}");
    fixture.write("token", "t");
    check(oidc("f", "~/token")).unwrap();
    let error = check(oidc("f", "eyJhunter2.eyJhunter2.hunter2")).unwrap_err();
    assert!(error.to_string().contains("a token stands where the path"), "{error}");
    assert!(!format!("{error:?}").contains(MARKER), "{error:?}");
    let source = || assertion_source_fn(|_| async { Ok(Secret::new("MIIB")) });
    check(Arc::new(Pkcs7::from_source("f", source()))).unwrap();
    assert_eq!(keys(&check(Arc::new(Pkcs7::from_source("", source()))).unwrap_err()), ["credential_name"]);
}

#[cfg(feature = "transport")]
#[test]
fn an_address_that_cannot_be_used_is_a_fault_and_one_that_is_not_used_too() {
    let source = assertion_source_fn(|_| async { Ok(Secret::new("MIIB")) });
    for (method, reason) in [
        (Pkcs7::alibaba_cloud_ecs("f").metadata_address("https://a"), "is not an address"),
        (Pkcs7::from_source("f", source).metadata_address("http://a"), "uses no metadata service"),
    ] {
        let mut config_keys = ClientConfig::default();
        config_keys.fill(&with(&[])).unwrap();
        config_keys.authenticator = Some(Arc::new(method));
        let error = checked(&config_keys, None, &environment()).unwrap_err();
        assert_eq!(keys(&error), ["metadata_address"]);
        assert!(error.to_string().contains(reason), "{error}");
    }
    let mut config_keys = ClientConfig::default();
    config_keys.fill(&with(&[])).unwrap();
    config_keys.metadata_address = Some("http://a".to_owned());
    config_keys.authenticator = Some(Arc::new(ClientSecretPost::new(SecretSource::variable("APP_SECRET"))));
    let error = checked(&config_keys, None, &environment()).unwrap_err();
    assert!(error.to_string().contains("set it on the authenticator"), "{error}");
}

proptest! {
    #[test]
    fn no_path_and_no_name_makes_the_checks_panic(text in any::<String>()) {
        let fixture = Fixture::new();
        let _ = fixture.check(json!({ "oidcTokenFilePath": text }));
        let _ = fixture.check(json!({ "oidcTokenFilePathEnvVarName": text }));
        let _ = fixture.check(json!({ "clientDeployEnvironment": text }));
        let _ = check_text(&method("PKCS7", pkcs7(&text)));
    }
}
