//! The methods that sign what they send: key and certificates are checked before anything is sent.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::authn::{AssertionSigner, Authenticator, ClientSecretJwt, Pca, PrivateKeyJwt, SigningAlgorithm};
use crate::config::tests::*;
use crate::error::Error;

const KEY_NAME: &str = "authnConfiguration.privateKeyEnvVarName";
const LEAF_NAME: &str = "authnConfiguration.clientX509Certificate";
const CHAIN_NAME: &str = "authnConfiguration.x509CertChains";

const KEY: &str = include_str!("../../../tests/golden/keys/ec_p256.pkcs8.pem");
const OTHER_KEY: &str = include_str!("../../../tests/golden/keys/rsa2048.pkcs1.pem");
const LEAF: &str = include_str!("../../../tests/golden/keys/pca_leaf_ec_p256.cert.pem");
const EXPIRED: &str = include_str!("../../../tests/golden/keys/pca_leaf_expired_rsa2048.cert.pem");
const CHAIN: &str = include_str!("../../../tests/golden/keys/pca_intermediate.cert.pem");

fn check_with(text: &str, variables: &[(&str, &str)]) -> Result<(Config, Vec<String>), ConfigError> {
    let mut config_keys = ClientConfig::default();
    config_keys.fill(text).unwrap();
    let variables = ManualEnvironment::from_iter(variables.iter().copied());
    checked(&config_keys, Some("c.json"), &Environment::Manual(variables))
}

fn private_key_jwt(variable: &str) -> String {
    method("PRIVATE_KEY_JWT", json!({ "privateKeyEnvVarName": variable }))
}

/// A PCA configuration in which some keys are changed.
fn pca(changes: Value) -> String {
    let mut authn = json!({
        "applicationFederatedCredentialName": "f", "privateKeyEnvVarName": "K",
        "clientX509Certificate": LEAF, "x509CertChains": CHAIN,
    });
    for (key, value) in changes.as_object().unwrap() {
        authn[key] = value.clone();
    }
    method("PCA", authn)
}

#[test]
fn a_usable_key_or_secret_is_accepted() {
    for key in [KEY, OTHER_KEY, &KEY.replace('\n', "\\n")] {
        let (config, warnings) = check_with(&private_key_jwt("K"), &[("K", key)]).unwrap();
        assert_eq!(config.method.name(), "PRIVATE_KEY_JWT");
        assert_eq!(warnings, Vec::<String>::new());
    }
    let text = method("CLIENT_SECRET_JWT", json!({ "clientSecretEnvVarName": "S" }));
    let (config, _) = check_with(&text, &[("S", "s3cret")]).unwrap();
    assert_eq!(config.method.name(), "CLIENT_SECRET_JWT");
    let error = check_with(&text, &[]).unwrap_err();
    assert_eq!(keys(&error), [SECRET_NAME]);
}

#[test]
fn an_unusable_key_is_refused_by_the_name_of_its_variable() {
    for (value, reason) in [
        (None, "cannot be used: environment variable K is not set"),
        (Some(""), "environment variable K is empty"),
        (Some(" \n"), "environment variable K is empty"),
        (Some("hunter2"), "environment variable K holds no private key; expected the text"),
        (Some("/etc/hunter2.pem"), "holds what looks like the path of a file; expected the text"),
        (Some(LEAF), "holds a certificate and no private key"),
        (Some("-----BEGIN PRIVATE KEY-----\nhunter2"), "is cut short"),
    ] {
        let variables: Vec<_> = value.into_iter().map(|value| ("K", value)).collect();
        for text in [private_key_jwt("K"), pca(json!({}))] {
            let error = check_with(&text, &variables).unwrap_err();
            assert_eq!(keys(&error), [KEY_NAME], "{error}");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!format!("{error} {error:?}").contains(MARKER), "{error}");
        }
    }
}

#[test]
fn the_files_algorithm_must_suit_the_files_key() {
    const ALGORITHM: &str = "authnConfiguration.signingAlgorithm";
    for (algorithm, key) in [("RS512", None), ("ES256", Some(KEY_NAME)), ("rs256", Some(ALGORITHM))] {
        let parameters = json!({ "privateKeyEnvVarName": "K", "signingAlgorithm": algorithm });
        let checked = check_with(&method("PRIVATE_KEY_JWT", parameters), &[("K", OTHER_KEY)]);
        match key {
            None => assert!(debug(&checked.unwrap().0.method).contains("Rs512")),
            Some(key) => assert_eq!(keys(&checked.unwrap_err()), [key]),
        }
    }
}

#[test]
fn a_key_id_goes_with_the_key_and_a_blank_one_is_none() {
    let parameters = |id: &str| json!({ "privateKeyEnvVarName": "K", "privateKeyId": id });
    let (config, _) = check_with(&method("PRIVATE_KEY_JWT", parameters(" 2026-11 ")), &[("K", KEY)]).unwrap();
    assert!(debug(&config.method).contains("key_id: Some(\"2026-11\")"), "{:?}", config.method);
    let (config, _) = check_with(&method("PRIVATE_KEY_JWT", parameters(" ")), &[("K", KEY)]).unwrap();
    assert!(debug(&config.method).contains("key_id: None"), "{:?}", config.method);
}

#[test]
fn the_name_of_the_keys_variable_is_required_and_is_not_the_key() {
    for (parameters, reason) in [
        (json!({}), "is missing"),
        (json!({ "privateKeyEnvVarName": null }), "is missing"),
        (json!({ "privateKeyEnvVarName": "  " }), "is blank"),
        (json!({ "privateKeyEnvVarName": KEY }), "never the key itself"),
        (json!({ "privateKeyEnvVarName": "$K" }), "without `$`"),
    ] {
        let error = check_with(&method("PRIVATE_KEY_JWT", parameters), &[("K", KEY)]).unwrap_err();
        assert_eq!(keys(&error), [KEY_NAME]);
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!error.to_string().contains(KEY.lines().nth(1).unwrap()), "{error}");
    }
}

#[test]
fn certificates_that_fit_the_key_are_accepted() {
    for changes in [
        json!({}),
        json!({ "clientX509Certificate": LEAF.replace('\n', "\\n"), "x509CertChains": CHAIN.replace('\n', "\\n") }),
        json!({ "clientX509Certificate": LEAF.replace('\n', "\r\n") }),
        json!({ "x509CertChains": null }),
        json!({ "x509CertChains": " " }),
        json!({
            "privateKeyFilePath": "", "clientX509CertificatePath": " ", "x509CertChainsPath": "",
            "privateKeyPassphraseEnvVarName": "", "privateKeyId": "", "signingAlgorithm": " ", "identityType": "",
        }),
        json!({ "clientX509Certificate": format!("{LEAF}{CHAIN}"), "x509CertChains": null }),
    ] {
        let (config, warnings) = check_with(&pca(changes), &[("K", KEY)]).unwrap();
        assert_eq!(config.method.name(), "PCA");
        assert_eq!(warnings, Vec::<String>::new());
    }
}

#[test]
fn certificates_that_cannot_be_used_are_refused() {
    for (changes, key, reason) in [
        (json!({ "applicationFederatedCredentialName": " " }), CREDENTIAL, "is blank"),
        (json!({ "applicationFederatedCredentialName": null }), CREDENTIAL, "is missing"),
        (json!({ "clientX509Certificate": null }), LEAF_NAME, "is missing"),
        (json!({ "clientX509Certificate": "  " }), LEAF_NAME, "is blank"),
        (json!({ "clientX509Certificate": "hunter2" }), LEAF_NAME, "holds no certificate"),
        (json!({ "clientX509Certificate": &LEAF[..90] }), LEAF_NAME, "is cut short"),
        (json!({ "clientX509Certificate": KEY }), LEAF_NAME, "holds a private key"),
        (json!({ "clientX509Certificate": EXPIRED }), LEAF_NAME, "environment variable K does not match"),
        (json!({ "x509CertChains": "hunter2" }), CHAIN_NAME, "holds no certificate"),
    ] {
        let error = check_with(&pca(changes), &[("K", KEY)]).unwrap_err();
        assert_eq!(keys(&error), [key], "{error}");
        assert!(!error.to_string().contains("in code"), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!error.to_string().contains(MARKER), "{error}");
    }
    let all = json!({
        "applicationFederatedCredentialName": "", "clientX509Certificate": "x", "x509CertChains": "y",
        "privateKeyEnvVarName": "UNSET",
    });
    let error = check_with(&pca(all), &[]).unwrap_err();
    assert_eq!(keys(&error), [KEY_NAME, CREDENTIAL, LEAF_NAME, CHAIN_NAME]);
}

#[derive(Debug)]
struct Own;

impl AssertionSigner for Own {
    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Es256
    }

    fn sign<'a>(&'a self, _: &'a [u8]) -> crate::BoxFuture<'a, Result<Vec<u8>, Error>> {
        Box::pin(async { Ok(vec![0; 64]) })
    }
}

#[test]
fn what_code_gives_is_checked_likewise() {
    let value = |text: &str| SecretSource::value(text.to_owned());
    let check = |method: Arc<dyn Authenticator>| {
        let mut config_keys = ClientConfig::default();
        config_keys.fill(&with(&[("authnConfiguration", remove())])).unwrap();
        config_keys.authenticator = Some(method);
        checked(&config_keys, None, &environment()).map(|_| ()).map_err(|error| error.to_string())
    };
    let private_key = |text: &str| PrivateKeyJwt::new(value(text));
    let pca =
        |name: &str, certificates: &str, key: &str| Arc::new(Pca::new(name, value(certificates), value(key)));
    check(Arc::new(private_key(KEY))).unwrap();
    check(Arc::new(private_key(OTHER_KEY).algorithm(SigningAlgorithm::Rs512))).unwrap();
    check(Arc::new(PrivateKeyJwt::new(Own))).unwrap();
    check(Arc::new(PrivateKeyJwt::new(Own).algorithm(SigningAlgorithm::Es256))).unwrap();
    check(pca("f", &format!("{LEAF}{CHAIN}"), KEY)).unwrap();
    check(pca("f", EXPIRED, OTHER_KEY)).unwrap();
    let unset = ClientSecretJwt::new(SecretSource::variable("UNSET"));
    let cases: [(Arc<dyn Authenticator>, &str); 8] = [
        (
            Arc::new(private_key("hunter2")),
            "`private_key` cannot be used: the value set in code holds no private key",
        ),
        (
            Arc::new(private_key(KEY).algorithm(SigningAlgorithm::Rs256)),
            "cannot sign with RS256; expected ES256",
        ),
        (
            Arc::new(PrivateKeyJwt::new(Own).algorithm(SigningAlgorithm::Rs256)),
            "signs with ES256, not with RS256",
        ),
        (Arc::new(private_key(KEY).key_id(" ")), "`key_id` is blank"),
        (pca("f", LEAF, OTHER_KEY), "does not match the certificate"),
        (pca(" ", LEAF, KEY), "`credential_name` is blank"),
        (pca("f", "hunter2", "hunter2"), "has 2 faults: "),
        (Arc::new(unset), "`client_secret` cannot be used: environment variable UNSET is not set"),
    ];
    for (method, reason) in cases {
        let error = check(method).unwrap_err();
        assert!(error.contains(reason) && !error.contains(MARKER), "{error}");
    }
}

#[test]
fn keys_and_certificates_may_be_in_files_which_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (key, leaf, chain) = (write("key", KEY), write("leaf", LEAF), write("chain", CHAIN));
    let pem = |leaf: &str| {
        json!({
            "applicationFederatedCredentialName": "f", "privateKeyFilePath": key,
            "clientX509CertificatePath": leaf, "x509CertChainsPath": chain,
        })
    };
    let (config, warnings) = check_with(&method("PCA", pem(&leaf)), &[]).unwrap();
    assert_eq!((config.method.name(), warnings), ("PCA", Vec::new()));
    let (config, _) =
        check_with(&method("PRIVATE_KEY_JWT", json!({ "privateKeyFilePath": key })), &[]).unwrap();
    assert!(debug(&config.method).contains(&key), "{:?}", config.method);
    let secret = write("secret", "s3cret\n");
    for name in ["CLIENT_SECRET_BASIC", "CLIENT_SECRET_POST", "CLIENT_SECRET_JWT"] {
        let blank = json!({ "clientSecretFilePath": secret, "clientSecretEnvVarName": "" });
        check_with(&method(name, blank), &[]).unwrap();
        let blank = json!({ "clientSecretFilePath": " ", "clientSecretEnvVarName": "S" });
        check_with(&method(name, blank), &[("S", "s3cret")]).unwrap();
        let (config, _) = check_with(&method(name, json!({ "clientSecretFilePath": secret })), &[]).unwrap();
        assert_eq!(config.method.name(), name);
        assert!(debug(&config.method).contains(&secret), "{:?}", config.method);
    }

    let missing = folder.path().join("missing").display().to_string();
    let other = write("other", EXPIRED);
    let of_secret = |parameters| method("CLIENT_SECRET_POST", parameters);
    for (text, key, reason) in [
        (method("PCA", pem(&missing)), "clientX509CertificatePath", missing.as_str()),
        (method("PCA", pem(&other)), "clientX509CertificatePath", "does not match the certificate in file"),
        (of_secret(json!({ "clientSecretFilePath": missing })), "clientSecretFilePath", &missing),
        (
            of_secret(json!({ "clientSecretFilePath": " " })),
            "clientSecretEnvVarName",
            "is missing; expected the name of the environment variable that holds the client secret, or its path in",
        ),
        (
            of_secret(json!({ "clientSecretFilePath": "", "clientSecretEnvVarName": " " })),
            "clientSecretEnvVarName",
            "is blank; expected",
        ),
        (
            of_secret(json!({ "clientSecretFilePath": secret, "clientSecretEnvVarName": "S" })),
            "clientSecretFilePath",
            "is set beside `clientSecretEnvVarName`",
        ),
        (of_secret(json!({})), "clientSecretEnvVarName", "or its path in `clientSecretFilePath`"),
    ] {
        let error = check_with(&text, &[("S", "s3cret")]).unwrap_err();
        assert_eq!(keys(&error), [format!("authnConfiguration.{key}")], "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_key_under_a_passphrase_takes_it_from_the_variable_that_is_named() {
    const ENCRYPTED: &str = include_str!("../../../tests/odd_keys/ec_p256.pkcs8.default.pem");
    const PASSPHRASE_NAME: &str = "authnConfiguration.privateKeyPassphraseEnvVarName";
    let text = method(
        "PRIVATE_KEY_JWT",
        json!({ "privateKeyEnvVarName": "K", "privateKeyPassphraseEnvVarName": "P" }),
    );
    let check = |passphrase: Option<&str>| {
        let passphrase = passphrase.map(|passphrase| ("P", passphrase));
        let variables: Vec<_> = [("K", ENCRYPTED)].into_iter().chain(passphrase).collect();
        check_with(&text, &variables)
    };
    let (config, warnings) = check(Some("correct horse")).unwrap();
    assert_eq!((config.method.name(), warnings), ("PRIVATE_KEY_JWT", Vec::new()));
    for (passphrase, key) in [(None, PASSPHRASE_NAME), (Some(""), PASSPHRASE_NAME), (Some(MARKER), KEY_NAME)]
    {
        let error = check(passphrase).unwrap_err();
        assert_eq!(keys(&error), [key], "{error}");
        assert!(!format!("{error:?}").contains(MARKER), "{error:?}");
    }
}
