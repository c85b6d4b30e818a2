//! `authnConfiguration`: from its keys to the value of a method.

use std::sync::Arc;

use http::Uri;

use crate::authn::{
    AssertionKey, Authenticator, ClientSecretBasic, ClientSecretJwt, ClientSecretPost, Pca, PrivateKeyJwt,
    SigningAlgorithm, option,
};
use crate::config::checker::Checker;
use crate::config::keys::{AuthnKeys, ClientConfig};
use crate::config::model::Method;
use crate::config::names::{described, nearest};
use crate::config::section::Field;
use crate::config::{deployment, plugin};
use crate::environment::looks_like_a_variable;
use crate::error::ConfigFault;
use crate::secret::{Expected, SecretSource};

/// All methods that IDaaS knows.
const METHODS: [&str; 8] = [
    "CLIENT_SECRET_BASIC",
    "CLIENT_SECRET_POST",
    "CLIENT_SECRET_JWT",
    "PRIVATE_KEY_JWT",
    "PKCS7",
    "OIDC",
    "PCA",
    "PLUGIN",
];
const EXPECTED: &str = "CLIENT_SECRET_BASIC, CLIENT_SECRET_POST, CLIENT_SECRET_JWT, PRIVATE_KEY_JWT, PKCS7, OIDC, \
    PCA or PLUGIN";

const CLIENT_SECRET: &str = "the client secret";
const PRIVATE_KEY: &str = "the private key";

/// The method set in code, else the file's. Its faults are collected even when the token endpoint is missing.
pub(super) fn method(
    keys: &ClientConfig,
    token_endpoint: Option<&Uri>,
    checker: &mut Checker<'_>,
) -> Option<Method> {
    let in_code = [
        ("token_source", keys.has_source),
        ("plugin_name", keys.is_plugin),
        ("authenticator", keys.authenticator.is_some()),
    ];
    let mut in_code = in_code.iter().filter(|(_, is_set)| *is_set);
    if let (Some((first, _)), Some((second, _))) = (in_code.next(), in_code.next()) {
        checker.fault(ConfigFault::new(*first, format!("is set beside `{second}`; set one of the two")));
        return None;
    }
    if keys.has_source {
        return Some(Method::Source);
    }
    if keys.is_plugin {
        return plugin::plugin(checker, keys);
    }
    let authenticator = match &keys.authenticator {
        Some(authenticator) => {
            if keys.metadata_address.is_some() {
                let problem = "is set beside an authenticator; set it on the authenticator";
                checker.fault(ConfigFault::new("metadata_address", problem));
            }
            authenticator.check(checker.context).into_iter().for_each(|fault| checker.fault(fault));
            Arc::clone(authenticator)
        }
        None => match of_file(keys, checker)? {
            FileMethod::Authenticator(authenticator) => authenticator,
            FileMethod::Plugin => return plugin::plugin(checker, keys),
        },
    };
    Some(Method::Endpoint { authenticator, token_endpoint: token_endpoint?.clone() })
}

enum FileMethod {
    Authenticator(Arc<dyn Authenticator>),
    Plugin,
}

fn of_file(keys: &ClientConfig, checker: &mut Checker<'_>) -> Option<FileMethod> {
    let authn = &keys.authn;
    if keys.authn_section.is_absent() && authn.authn_method.is_absent() {
        checker.fault(keys.authn_section.fault("is missing; expected an object with `authnMethod`"));
        return None;
    }
    if keys.authn_section.get().is_none() && authn.authn_method.is_absent() {
        return None; // something else than an object, whose fault is collected
    }
    checker.one_of(&authn.identity_type, &["CLIENT"]);
    let name = checker.required(&authn.authn_method, EXPECTED)?;
    let address = keys.metadata_address.as_deref();
    let method: Option<Arc<dyn Authenticator>> = match name.as_str() {
        "CLIENT_SECRET_BASIC" => Some(Arc::new(ClientSecretBasic::new(secret(authn, checker)))),
        "CLIENT_SECRET_POST" => Some(Arc::new(ClientSecretPost::new(secret(authn, checker)))),
        "CLIENT_SECRET_JWT" => Some(Arc::new(ClientSecretJwt::new(secret(authn, checker)))),
        "PRIVATE_KEY_JWT" => Some(Arc::new(private_key_jwt(authn, checker))),
        "PCA" => Some(Arc::new(pca(authn, checker))),
        "OIDC" => deployment::oidc(authn, address, checker),
        "PKCS7" => deployment::pkcs7(authn, address, checker),
        "PLUGIN" => {
            warn_of_unused(checker, authn, &name);
            return Some(FileMethod::Plugin);
        }
        name => {
            let meant = nearest(name, METHODS).map(|method| format!("; did you mean `{method}`?"));
            let found = described(name, METHODS);
            let problem = format!("{found}; expected {EXPECTED}{}", meant.unwrap_or_default());
            checker.fault(authn.authn_method.fault(problem));
            return None;
        }
    };
    warn_of_unused(checker, authn, &name);
    let method = method?;
    check(&*method, authn, checker);
    Some(FileMethod::Authenticator(method))
}

/// Collects the method's own faults, each at the key that the option was read from.
fn check(method: &dyn Authenticator, authn: &AuthnKeys, checker: &mut Checker<'_>) {
    for fault in method.check(checker.context) {
        match key_of(fault.key(), authn) {
            // A missing value was replaced by an empty one, whose fault would be a second one for the same key.
            Some(field) if checker.is_faulty(field.path()) => {}
            Some(_)
                if fault.key() == option::PRIVATE_KEY
                    && checker.is_faulty(authn.private_key_passphrase_env_var_name.path()) => {}
            Some(field) => checker.fault(field.take_over(fault)),
            None => checker.fault(fault),
        }
    }
}

/// The key that a method's option is read from.
fn key_of<'k>(option: &str, authn: &'k AuthnKeys) -> Option<&'k Field<String>> {
    let used = |first: &'k Field<String>, second: &'k Field<String>| match second.is_unset() {
        true => first,
        false => second,
    };
    match option {
        option::CLIENT_SECRET => {
            Some(used(&authn.client_secret_env_var_name, &authn.client_secret_file_path))
        }
        option::PRIVATE_KEY => Some(used(&authn.private_key_env_var_name, &authn.private_key_file_path)),
        option::KEY_ID => Some(&authn.private_key_id),
        option::CREDENTIAL_NAME => Some(&authn.application_federated_credential_name),
        option::CERTIFICATES => {
            Some(used(&authn.client_x509_certificate, &authn.client_x509_certificate_path))
        }
        option::CERTIFICATE_CHAIN => Some(used(&authn.x509_cert_chains, &authn.x509_cert_chains_path)),
        option::TOKEN_FILE => match authn.oidc_token_file_path.is_unset() {
            true => Some(&authn.oidc_token_file_path_env_var_name).filter(|field| !field.is_unset()),
            false => None,
        }
        .or(Some(&authn.oidc_token_file_path)),
        _ => None,
    }
}

fn secret(authn: &AuthnKeys, checker: &mut Checker<'_>) -> SecretSource {
    place(&authn.client_secret_env_var_name, &authn.client_secret_file_path, CLIENT_SECRET, checker)
}

fn private_key(authn: &AuthnKeys, checker: &mut Checker<'_>) -> AssertionKey {
    let key = place(&authn.private_key_env_var_name, &authn.private_key_file_path, PRIVATE_KEY, checker);
    let key = AssertionKey::from(key);
    let passphrase = &authn.private_key_passphrase_env_var_name;
    if passphrase.is_unset() {
        return key;
    }
    let name =
        checker.required(passphrase, "the name of the environment variable that holds the key's passphrase");
    let name = name.unwrap_or_default();
    match checker.context.read_expected(&SecretSource::variable(&name), Expected::passphrase()) {
        Ok(_) => {}
        Err(_) if checker.is_faulty(passphrase.path()) => {}
        Err(error) => checker.fault(passphrase.fault(format!("cannot be used: {error}"))),
    }
    key.passphrase(SecretSource::variable(name))
}

fn private_key_jwt(authn: &AuthnKeys, checker: &mut Checker<'_>) -> PrivateKeyJwt {
    let key = private_key(authn, checker);
    let mut method = PrivateKeyJwt::new(key);
    if let Some(algorithm) = algorithm(authn, checker) {
        method = method.algorithm(algorithm);
    }
    if let Some(id) = authn.private_key_id.used() {
        method = method.key_id(id);
    }
    method
}

fn pca(authn: &AuthnKeys, checker: &mut Checker<'_>) -> Pca {
    let key = private_key(authn, checker);
    let name =
        checker.required_id(&authn.application_federated_credential_name, "the federated credential's name");
    let certificate = (&authn.client_x509_certificate, &authn.client_x509_certificate_path);
    let chain = (&authn.x509_cert_chains, &authn.x509_cert_chains_path);
    let certificates = text(certificate.0, certificate.1, "the certificate in PEM form", checker);
    let mut pca = Pca::new(name.unwrap_or_default(), certificates, key);
    // A leaf that the root itself signed has no chain.
    if !chain.0.is_unset() || !chain.1.is_unset() {
        pca = pca.certificate_chain(text(
            chain.0,
            chain.1,
            "the intermediate certificates in PEM form",
            checker,
        ));
    }
    if let Some(algorithm) = algorithm(authn, checker) {
        pca = pca.algorithm(algorithm);
    }
    if let Some(id) = authn.private_key_id.used() {
        pca = pca.key_id(id);
    }
    pca
}

fn algorithm(authn: &AuthnKeys, checker: &mut Checker<'_>) -> Option<SigningAlgorithm> {
    use SigningAlgorithm::{Es256, Es384, Es512, Rs256, Rs384, Rs512};
    const ALGORITHMS: [SigningAlgorithm; 6] = [Rs256, Rs384, Rs512, Es256, Es384, Es512];
    checker.one_of(&authn.signing_algorithm, &ALGORITHMS.map(SigningAlgorithm::as_str));
    let name = authn.signing_algorithm.used()?;
    ALGORITHMS.into_iter().find(|algorithm| algorithm.as_str() == name)
}

/// Where the secret or the key is: in a variable, or in a file.
fn place(
    variable: &Field<String>,
    file: &Field<String>,
    what: &str,
    checker: &mut Checker<'_>,
) -> SecretSource {
    if let Some(path) = path(variable, file, what, checker) {
        return SecretSource::file(path);
    }
    let expected =
        format!("the name of the environment variable that holds {what}, or its path in `{}`", file.key());
    let name = checker.required(variable, &expected).unwrap_or_default();
    if !looks_like_a_variable(&name) && checker.context.environment().variable(&name).is_none() {
        checker.fault(variable.fault(format!(
            "does not look like the name of an environment variable, and none of that name has a value; expected the \
             name of the variable, without `$`, and never the {} itself",
            what.rsplit(' ').next().unwrap_or(what)
        )));
    }
    SecretSource::variable(name)
}

/// The text itself, or the file that it is in.
fn text(inline: &Field<String>, file: &Field<String>, what: &str, checker: &mut Checker<'_>) -> SecretSource {
    match path(inline, file, what, checker) {
        Some(path) => SecretSource::file(path),
        None => {
            let expected = format!("{what}, or its path in `{}`", file.key());
            let text = checker.required(inline, &expected).unwrap_or_default();
            SecretSource::value_of_key(text, inline.key())
        }
    }
}

/// The path of the file, if there is one and it does not contradict the other key.
fn path(
    other: &Field<String>,
    file: &Field<String>,
    what: &str,
    checker: &mut Checker<'_>,
) -> Option<String> {
    if file.is_unset() {
        return None;
    }
    if other.is_used() {
        checker.fault(file.fault(format!("is set beside `{}`; keep one of the two", other.key())));
    }
    checker
        .required_path(file, &format!("the path of the file that holds {what}"))
        .or_else(|| Some(String::new()))
}

/// Warns of keys that the method does not read: most often they are left from another method's configuration.
fn warn_of_unused(checker: &mut Checker<'_>, authn: &AuthnKeys, method: &str) {
    for field in authn.texts() {
        if field.is_used() && !is_read_by(field.key(), method) {
            checker.warn(field.fault(format!("is not used by {method}; remove it, or check authnMethod")));
        }
    }
}

fn is_read_by(key: &str, method: &str) -> bool {
    match key {
        "clientSecretEnvVarName" | "clientSecretFilePath" => method.starts_with("CLIENT_SECRET_"),
        "privateKeyEnvVarName"
        | "privateKeyFilePath"
        | "privateKeyPassphraseEnvVarName"
        | "privateKeyId"
        | "signingAlgorithm" => ["PRIVATE_KEY_JWT", "PCA"].contains(&method),
        "applicationFederatedCredentialName" => ["PKCS7", "OIDC", "PCA"].contains(&method),
        "clientDeployEnvironment" => ["PKCS7", "OIDC"].contains(&method),
        "oidcTokenFilePath" | "oidcTokenFilePathEnvVarName" => method == "OIDC",
        "clientX509Certificate" | "clientX509CertificatePath" | "x509CertChains" | "x509CertChainsPath" => {
            method == "PCA"
        }
        "pluginName" => method == "PLUGIN",
        _ => true,
    }
}
