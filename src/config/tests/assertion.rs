//! The methods that sign what they send: key and certificates are checked before anything is sent.

use serde_json::{Value, json};

use crate::authn::{AssertionSigner, SigningAlgorithm};
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
    let mut given = ClientConfig::default();
    given.fill(text).unwrap();
    let variables = ManualEnvironment::from_iter(variables.iter().copied());
    check::check(&given, Some("c.json"), &Environment::Manual(variables))
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
        assert!(matches!(config.authn, AuthnMethod::PrivateKeyJwt { .. }));
        assert_eq!(warnings, Vec::<String>::new());
    }
    let text = method("CLIENT_SECRET_JWT", json!({ "clientSecretEnvVarName": "S" }));
    let (config, _) = check_with(&text, &[("S", "s3cret")]).unwrap();
    assert!(matches!(config.authn, AuthnMethod::ClientSecretJwt { .. }));
    let error = check_with(&text, &[]).unwrap_err();
    assert_eq!(keys(&error), [SECRET_NAME]);
}

#[test]
fn an_unusable_key_is_refused_by_the_name_of_its_variable() {
    for (value, reason) in [
        (None, "leads to no private key: environment variable K is not set"),
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
fn an_algorithm_given_in_code_must_suit_the_files_key() {
    for (algorithm, suits) in [(SigningAlgorithm::Rs512, true), (SigningAlgorithm::Es256, false)] {
        let mut given = ClientConfig::default();
        given.fill(&private_key_jwt("K")).unwrap();
        given.signing_algorithm = Some(algorithm);
        let variables = Environment::Manual(ManualEnvironment::from_iter([("K", OTHER_KEY)]));
        let checked = check::check(&given, None, &variables);
        assert_eq!(checked.is_ok(), suits);
        assert!(checked.err().is_none_or(|error| keys(&error) == [KEY_NAME]));
    }
}

#[test]
fn the_name_of_the_keys_variable_is_required_and_is_not_the_key() {
    for (parameters, reason) in [
        (json!({}), "is missing"),
        (json!({ "privateKeyEnvVarName": null }), "is missing"),
        (json!({ "privateKeyEnvVarName": "  " }), "is blank"),
        (json!({ "privateKeyEnvVarName": KEY }), "never the key itself"),
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
        json!({ "clientX509Certificate": format!("{LEAF}{CHAIN}"), "x509CertChains": null }),
    ] {
        let (config, warnings) = check_with(&pca(changes), &[("K", KEY)]).unwrap();
        assert!(matches!(config.authn, AuthnMethod::Pca(_)));
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
        (json!({ "x509CertChains": "" }), CHAIN_NAME, "is blank"),
        (json!({ "x509CertChains": "hunter2" }), CHAIN_NAME, "holds no certificate"),
    ] {
        let error = check_with(&pca(changes), &[("K", KEY)]).unwrap_err();
        assert_eq!(keys(&error), [key], "{error}");
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
    let check = |method: AuthnMethod, algorithm| {
        let mut given = ClientConfig::default();
        given.fill(&with(&[("authnConfiguration", remove())])).unwrap();
        given.authn_in_code = Some(method);
        given.signing_algorithm = algorithm;
        check::check(&given, None, &environment()).map(|_| ()).map_err(|error| error.to_string())
    };
    let private_key = |text: &str| AuthnMethod::PrivateKeyJwt { key: value(text).into() };
    let pca = |name: &str, certificates: &str, key: &str| {
        AuthnMethod::Pca(Pca {
            credential_name: name.to_owned(),
            certificates: value(certificates).into(),
            key: value(key).into(),
        })
    };
    check(private_key(KEY), None).unwrap();
    check(private_key(OTHER_KEY), Some(SigningAlgorithm::Rs512)).unwrap();
    check(AuthnMethod::PrivateKeyJwt { key: Own.into() }, None).unwrap();
    check(pca("f", &format!("{LEAF}{CHAIN}"), KEY), None).unwrap();
    check(pca("f", EXPIRED, OTHER_KEY), None).unwrap();
    let unset = AuthnMethod::ClientSecretJwt { secret: SecretSource::variable("UNSET") };
    for (method, algorithm, reason) in [
        (private_key("hunter2"), None, "the value given in code holds no private key"),
        (private_key(KEY), Some(SigningAlgorithm::Rs256), "cannot sign with RS256; expected ES256"),
        (pca("f", LEAF, OTHER_KEY), None, "does not match the certificate"),
        (pca(" ", LEAF, KEY), None, "applicationFederatedCredentialName` is blank"),
        (pca("f", "hunter2", "hunter2"), None, "has 2 faults: "),
        (unset, None, "no client secret: environment variable UNSET is not set"),
    ] {
        let error = check(method, algorithm).unwrap_err();
        assert!(error.contains(reason) && !error.contains(MARKER), "{error}");
    }
}
