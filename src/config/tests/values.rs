//! What each key's value may be.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::config::tests::*;

#[test]
fn an_absent_http_configuration_means_the_defaults() {
    for absent in [remove(), Value::Null, json!({}), json!({ "connectTimeout": null })] {
        let (config, warnings) = check_text(&with(&[("httpConfiguration", absent)])).unwrap();
        assert_eq!((config.connect_timeout, config.read_timeout), (ms(5000), ms(10_000)));
        assert_eq!(warnings, Vec::<String>::new());
    }
    let (config, _) = check_text(&with(&[("httpConfiguration.connectTimeout", json!(60_000))])).unwrap();
    assert_eq!(config.connect_timeout, ms(60_000));
}

#[test]
fn a_method_that_cannot_be_used_is_refused_with_what_can() {
    let supported = "expected CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, ";
    for (name, reason) in [
        ("FOO", supported),
        ("client_secret_post", "did you mean `CLIENT_SECRET_POST`?"),
        ("CLIENT_SECRET_PSOT", "did you mean `CLIENT_SECRET_POST`?"),
        ("PLUGIN_", "did you mean `PLUGIN`?"),
    ] {
        assert_refused(&with(&[(METHOD, json!(name))]), METHOD, reason);
    }
    for identity in ["FOO", "HUMAN", "client"] {
        let path = "authnConfiguration.identityType";
        assert_refused(&with(&[(path, json!(identity))]), path, "expected CLIENT");
    }
}

#[test]
fn an_id_that_would_forge_a_line_of_a_log_is_refused_with_its_character() {
    for key in ["clientId", "idaasInstanceId"] {
        for (id, odd) in [
            ("app\r\nX: y", "U+000D at position 4"),
            ("app\u{1b}[31m", "U+001B at position 4"),
            ("app\u{0}x", "U+0000 at position 4"),
            ("app\u{85}x", "U+0085 at position 4"),
            ("app\u{202e}", "U+202E at position 4"),
            ("app\u{2028}x", "U+2028 at position 4"),
            ("\u{feff}app", "U+FEFF at position 1"),
        ] {
            assert_refused(&with(&[(key, json!(id))]), key, odd);
        }
        for id in [" app \n", "app:fake id+%\u{e9}"] {
            check_text(&with(&[(key, json!(id))])).unwrap();
        }
    }
    let name = "authnConfiguration.applicationFederatedCredentialName";
    for (of, environment) in [("OIDC", "KUBERNETES"), ("PKCS7", "AWS_EC2")] {
        // Without it, that is a fault as well.
        if of == "PKCS7" && !cfg!(feature = "transport") {
            continue;
        }
        let authn = json!({
            "applicationFederatedCredentialName": "fed\nname",
            "clientDeployEnvironment": environment,
            "oidcTokenFilePath": "/token"
        });
        let text = method(of, authn);
        assert_refused(&text, name, "U+000A at position 4");
    }
}

#[test]
fn a_scope_is_checked_as_a_scope() {
    for (scope, reason) in [
        ("a|x b|x", "expected one audience"),
        ("a|b|c", "expected one `|` per item"),
        ("a|", "expected `audience|permission`"),
        ("a|x,a|y", "not commas"),
        (&format!("a|{}", "b".repeat(1_000_000)), "is longer than 8192 bytes"),
    ] {
        assert_refused(&with(&[("scope", json!(scope))]), "scope", reason);
    }
    for scope in [" a|x ", "a|x a|x"] {
        let (config, _) = check_text(&with(&[("scope", json!(scope))])).unwrap();
        assert_eq!(config.scope.as_str(), scope.trim());
    }
}

#[test]
fn an_absent_scope_is_the_vendors_default_with_a_warning() {
    for absent in [remove(), Value::Null] {
        let (config, warnings) = check_text(&with(&[("scope", absent)])).unwrap();
        assert_eq!(config.scope.as_str(), "urn:cloud:idaas:pam|cloud_account:obtain_access_credential");
        assert!(warnings.len() == 1 && warnings[0].starts_with("`scope` is missing"), "{warnings:?}");
        for part in [
            "`urn:cloud:idaas:pam|cloud_account:obtain_access_credential`",
            "permission is in no document of the vendor",
            "`urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential`",
            "`urn:cloud:idaas:pam|.all`",
        ] {
            assert!(warnings[0].contains(part), "{part} is missing in: {warnings:?}");
        }
    }
}

#[test]
fn the_host_of_another_api_is_warned_of() {
    for (key, host, warned) in [
        (
            "openApiEndpoint",
            "eiam-developerapi.cn-hangzhou.aliyuncs.com",
            Some("is the host of the DeveloperAPI"),
        ),
        ("openApiEndpoint", "eiam.cn-hangzhou.aliyuncs.com", None),
        (
            "developerApiEndpoint",
            "https://eiam.cn-hangzhou.aliyuncs.com",
            Some("is the host of the EIAM OpenAPI"),
        ),
        ("developerApiEndpoint", "eiam-developerapi.cn-hangzhou.aliyuncs.com", None),
        ("developerApiEndpoint", "eiam.example.com", None),
    ] {
        let (_, warnings) = check_text(&with(&[(key, json!(host))])).unwrap();
        assert_eq!(warnings.len(), usize::from(warned.is_some()), "{warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains(warned.unwrap_or_default())), "{warnings:?}");
    }
}

#[test]
fn an_endpoint_is_mended_or_refused() {
    for (given, used, warned) in [
        ("http://t.example.com/token", "https://t.example.com/token", 1),
        ("http://127.0.0.1:8080/token", "http://127.0.0.1:8080/token", 0),
        ("t.example.com/token", "https://t.example.com/token", 0),
        ("https://t.example.com/token ", "https://t.example.com/token", 0),
        ("https://t.example.com/token?a=b", "https://t.example.com/token?a=b", 0),
    ] {
        let (config, warnings) = check_text(&with(&[("tokenEndpoint", json!(given))])).unwrap();
        assert_eq!(config.token_endpoint.unwrap().to_string(), used);
        assert_eq!(warnings.len(), warned, "{warnings:?}");
    }
    for (given, reason) in [
        ("ftp://t.example.com/hunter2", "scheme other than https"),
        ("https://", "has no host"),
        ("https://user:hunter2@t.example.com/", "user name or password"),
        ("https://t.example.com/\nhunter2", "no URL may hold"),
        ("hunter2", "is not a URL"),
    ] {
        for path in ["tokenEndpoint", "issuer", "openApiEndpoint", "developerApiEndpoint"] {
            assert_refused(&with(&[(path, json!(given))]), path, reason);
        }
    }
    for blank in ["", " "] {
        let (config, _) = check_text(&with(&[("openApiEndpoint", json!(blank))])).unwrap();
        assert!(config.open_api_endpoint.is_none());
    }
}

#[test]
fn the_secrets_variable_must_have_a_value_and_is_named() {
    assert_refused(
        &with(&[(SECRET_NAME, json!("UNSET_SECRET"))]),
        SECRET_NAME,
        "variable UNSET_SECRET is not set",
    );
    assert_refused(
        &with(&[(SECRET_NAME, json!("EMPTY_SECRET"))]),
        SECRET_NAME,
        "variable EMPTY_SECRET is empty",
    );
}

#[test]
fn a_secret_pasted_in_place_of_its_variables_name_is_not_shown() {
    for pasted in ["hunter2 hunter2", "hunter2+/=", "CSyhunter2hunter2hunter2hunter2"] {
        let text = with(&[(SECRET_NAME, json!(pasted))]);
        assert_refused(&text, SECRET_NAME, "never the secret itself");
        let mut config_keys = ClientConfig::default();
        config_keys.fill(&text).unwrap();
        assert!(!format!("{config_keys:?}").contains(MARKER));
    }
}

#[test]
fn tls_is_verified_whatever_the_file_says() {
    let (_, warnings) = check_text(&with(&[("httpConfiguration.unsafeIgnoreSslCert", json!(true))])).unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("SSL_CERT_FILE"), "{warnings:?}");
}

#[test]
fn a_secret_source_set_in_code_is_tried_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    for (secret, reason, has_cause) in [
        (SecretSource::variable("UNSET_SECRET"), "variable UNSET_SECRET is not set".to_owned(), false),
        (SecretSource::file(&missing), missing.display().to_string(), true),
    ] {
        let mut config_keys = ClientConfig::default();
        config_keys.fill(&with(&[])).unwrap();
        config_keys.authenticator = Some(Arc::new(ClientSecretPost::new(secret)));
        let error = checked(&config_keys, None, &environment()).unwrap_err();
        assert!(error.to_string().contains(&reason), "{error}");
        assert_eq!(std::error::Error::source(&error).is_some(), has_cause);
    }
}

proptest! {
    #[test]
    fn no_value_of_any_key_makes_the_checks_panic(
        path in prop::sample::select(ClientConfig::paths()),
        text in any::<String>(),
    ) {
        prop_assume!(json!(text) != remove());
        let _ = check_text(&with(&[(path, json!(text))]));
    }
}
