//! Keys that are missing, mistyped, unknown or set twice.

use serde_json::{Value, json};

use crate::config::tests::*;

#[test]
fn every_key_may_be_written_in_snake_case() {
    let text = r#"{
        "idaas_instance_id": "i", "client_id": "c", "issuer": "https://t.example.com",
        "token_endpoint": "https://t.example.com/token", "scope": "a|b", "open_api_endpoint": "o.example.com",
        "developer_api_endpoint": "d.example.com", "device_authorization_endpoint": "https://t.example.com/device",
        "authn_configuration": {
            "identity_type": "CLIENT", "authn_method": "CLIENT_SECRET_BASIC",
            "client_secret_env_var_name": "APP_SECRET", "private_key_env_var_name": "K",
            "application_federated_credential_name": "f", "client_deploy_environment": "KUBERNETES",
            "oidc_token_file_path": "/t", "oidc_token_file_path_env_var_name": "T",
            "client_x509_certificate": "x", "x509_cert_chains": "y", "plugin_name": "p"
        },
        "http_configuration": { "connect_timeout": 2000, "read_timeout": 60000, "unsafe_ignore_ssl_cert": false }
    }"#;
    let (config, warnings) = check_text(text).unwrap();
    // All are known, but a client secret uses few of them.
    assert!(
        warnings.iter().all(|warning| warning.contains("is not used by CLIENT_SECRET_BASIC")),
        "{warnings:?}"
    );
    assert_eq!((config.connect_timeout, config.read_timeout), (ms(2000), ms(60_000)));
    assert_eq!(config.method.name(), "CLIENT_SECRET_BASIC");
    assert!(config.device_authorization_endpoint.is_some());
}

#[test]
fn what_must_be_there_and_is_not_is_named() {
    for path in ["idaasInstanceId", "clientId", "issuer", "tokenEndpoint", METHOD, SECRET_NAME] {
        assert_refused(&with(&[(path, remove())]), path, "is missing; expected ");
        assert_refused(&with(&[(path, Value::Null)]), path, "is missing; expected ");
        assert_refused(&with(&[(path, json!(""))]), path, "is blank; expected ");
        assert_refused(&with(&[(path, json!(" \n"))]), path, "is blank; expected ");
    }
    assert_refused(&with(&[("authnConfiguration", remove())]), "authnConfiguration", "is missing");
    assert_refused(&with(&[("authnConfiguration", Value::Null)]), "authnConfiguration", "is missing");
    assert_refused(&with(&[("scope", json!(" "))]), "scope", "is blank");
}

#[test]
fn a_value_of_another_type_is_refused_without_being_shown() {
    let integer = "expected an integer number of milliseconds from 2000 to 60000";
    for (path, value, reason) in [
        ("clientId", json!(123), "expected a string, found a number"),
        ("scope", json!([MARKER]), "expected a string, found an array"),
        ("tokenEndpoint", json!(5), "expected a string, found a number"),
        ("issuer", json!({ MARKER: 1 }), "expected a string, found an object"),
        (SECRET_NAME, json!(true), "expected a string, found true or false"),
        ("authnConfiguration.pluginName", json!(5), "expected a string, found a number"),
        ("authnConfiguration", json!([]), "expected an object, found an array"),
        ("httpConfiguration", json!(MARKER), "expected an object, found a string"),
        ("httpConfiguration.unsafeIgnoreSslCert", json!(MARKER), "expected true or false, found a string"),
        ("httpConfiguration.connectTimeout", json!(0), integer),
        ("httpConfiguration.connectTimeout", json!(-1), integer),
        ("httpConfiguration.connectTimeout", json!(1999), integer),
        ("httpConfiguration.connectTimeout", json!(60_001), integer),
        ("httpConfiguration.connectTimeout", json!(u64::MAX), integer),
        ("httpConfiguration.connectTimeout", json!("5000"), integer),
        ("httpConfiguration.connectTimeout", json!(5000.5), integer),
        ("httpConfiguration.connectTimeout", json!(true), integer),
        ("httpConfiguration.readTimeout", json!(1999), integer),
    ] {
        assert_refused(&with(&[(path, value)]), path, reason);
    }
    let huge = with(&[]).replace("4000", "1e99999");
    assert_refused(&huge, "httpConfiguration.connectTimeout", integer);
}

#[test]
fn an_unknown_key_is_a_warning_while_all_else_is_well() {
    let text = with(&[("clientSecret", json!(MARKER)), ("authnConfiguration.comment", json!(MARKER))]);
    let (config, warnings) = check_text(&text).unwrap();
    assert_eq!(
        warnings,
        [
            "`clientSecret` is an unknown key; did you mean `authnConfiguration.clientSecretEnvVarName`? (line 1)",
            "`authnConfiguration.comment` is an unknown key (line 1)"
        ]
    );
    assert!(!format!("{config:?}").contains(MARKER));
}

#[test]
fn keys_that_say_nothing_to_this_client_are_known_and_silent() {
    let mut config = base();
    for (key, value) in [
        ("$schema", json!("https://example.com/client-config.schema.json")),
        ("_comment", json!("of the team that owns it")),
        ("_", json!([1, 2])),
        ("jwkEndpoint", json!("https://tenant.example.com/jwks")),
    ] {
        config[key] = value.clone();
        config["authnConfiguration"][key] = value.clone();
        config["httpConfiguration"][key] = value;
    }
    config["authnConfiguration"]["humanAuthenticateClientId"] = json!("app_human");
    config["authnConfiguration"]["authenticationSubject"] = json!("CLIENT");
    config["jwk_endpoint"] = json!(null);
    let (_, warnings) = check_text(&config.to_string()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_secret_in_the_place_of_a_key_is_not_shown() {
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----";
    for secret in [PEM, "hunter2Kq2vWm9TzR4pLnD8fYh", "hunter2 hunter2", &"hunter2.".repeat(7)] {
        let mut config = base();
        config[secret] = json!(1);
        config["authnConfiguration"][secret] = json!(1);
        let (_, warnings) = check_text(&config.to_string()).unwrap();
        let shown = warnings.join("\n");
        assert!(shown.contains("has an unknown key, which is not shown"), "{shown}");
        assert!(shown.contains("`authnConfiguration` has an unknown key, which is not shown"), "{shown}");
        assert!(warnings.len() == 2 && !shown.contains(MARKER), "{shown}");
        config["clientId"] = Value::Null;
        let error = check_text(&config.to_string()).unwrap_err();
        let shown = format!("{error} {error:#} {error:?}");
        assert!(shown.contains("which is not shown") && !shown.contains(MARKER), "{shown}");
    }
}

#[test]
fn a_large_file_makes_no_large_message() {
    let long = MARKER.repeat(20_000);
    let mut texts = Vec::new();
    let strangers: Vec<String> = (0..60_000).map(|index| format!("\"key{index}\": {index}")).collect();
    texts.push(format!("{{{}}}", strangers.join(", ")));
    texts.push(format!("{{\"authnConfiguration\": {{{}}}, \"{long}\": 1}}", strangers.join(", ")));
    texts.push(format!("{{{}}}", "\"clientId\": \"x\", ".repeat(50_000) + "\"clientId\": 1"));
    for path in ClientConfig::paths() {
        texts.push(with(&[(path, json!(long))]));
        texts.push(with(&[(path, json!(format!("/{}", "hunter2/".repeat(20_000))))]));
    }
    for name in ["OIDC", "PCA", "PRIVATE_KEY_JWT", "PLUGIN", "PKCS7"] {
        for key in ["oidcTokenFilePath", "oidcTokenFilePathEnvVarName", "pluginName", "privateKeyFilePath"] {
            texts.push(method(name, json!({ key: format!("/{}", "hunter2/".repeat(20_000)) })));
        }
    }
    for text in texts {
        match check_text(&text) {
            Ok((_, warnings)) => assert!(warnings.concat().len() < 8_192),
            Err(error) => {
                let shown = format!("{error} {error:#} {error:?}");
                assert!(shown.len() < 16_384, "{} bytes", shown.len());
            }
        }
    }
}

#[test]
fn a_misspelt_key_is_named_beside_the_missing_one() {
    for (key, slip) in [("clientId", "ClientID"), (SECRET_NAME, "authnConfiguration.clientSecretEnvVarNam")] {
        let text = with(&[(key, remove()), (slip, json!(MARKER))]);
        let error = check_text(&text).unwrap_err();
        assert_eq!(keys(&error), [key, slip]);
        assert!(error.to_string().contains(&format!("did you mean `{key}`?")), "{error}");
        assert!(!error.to_string().contains(MARKER));
    }
}

#[test]
fn a_key_set_twice_is_refused_in_either_spelling() {
    let text = with(&[]);
    for again in ["\"clientId\": \"hunter2\"", "\"client_id\": \"hunter2\"", "\"client_id\": null"] {
        assert_refused(&text.replacen('{', &format!("{{{again},\n"), 1), "clientId", "is set more than once");
    }
    let text = format!("{},\n\"authn_configuration\": {{}}}}", text.strip_suffix('}').unwrap());
    assert_refused(&text, "authnConfiguration", "is set more than once, first on line 1; keep one (line 2)");
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_keys() {
    let text = with(&[
        ("httpConfiguration.readTimeout", json!(1)),
        ("httpConfiguration.connectTimeout", json!("x")),
        (SECRET_NAME, json!("UNSET_SECRET")),
        ("scope", json!("x")),
        ("tokenEndpoint", json!(5)),
        ("clientId", json!("")),
        ("idaasInstanceId", remove()),
        ("stranger", json!(MARKER)),
    ]);
    let error = check_text(&text).unwrap_err();
    assert_eq!(
        keys(&error),
        [
            "idaasInstanceId",
            "clientId",
            "tokenEndpoint",
            "scope",
            SECRET_NAME,
            "httpConfiguration.connectTimeout",
            "httpConfiguration.readTimeout",
            "stranger"
        ]
    );
    assert!(error.to_string().starts_with("configuration c.json has 8 faults: `idaasInstanceId` is missing"));
}

#[test]
fn faults_know_their_lines() {
    let text = "{\n\"clientId\": 5,\n\n\"scope\": \"x\"}";
    let error = check_text(text).unwrap_err();
    let line = |key| error.faults().iter().find(|fault| fault.key() == key).unwrap().line();
    assert_eq!((line("clientId"), line("scope"), line("issuer")), (Some(2), Some(4), None));
}
