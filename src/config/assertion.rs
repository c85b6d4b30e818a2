//! PRIVATE_KEY_JWT and PCA: whether key and certificates can be used, before anything is sent.

use std::sync::Arc;

use crate::authn::{AssertionKey, Certificate, CertificateSource, Certificates, Pca};
use crate::config::AuthnMethod;
use crate::config::authn::with_cause;
use crate::config::check::Checker;
use crate::config::model::ClientConfig;
use crate::config::section::Field;
use crate::environment::looks_like_a_variable;
use crate::error::{ConfigFault, Error};
use crate::secret::SecretSource;

/// The file's PRIVATE_KEY_JWT.
pub(super) fn private_key_jwt(checker: &mut Checker<'_>, given: &ClientConfig) -> Option<AuthnMethod> {
    let key = key(checker, given)?;
    match key.check(checker.environment) {
        Ok(_) => Some(AuthnMethod::PrivateKeyJwt { key }),
        Err(error) => {
            checker.fault(key_fault(given, error));
            None
        }
    }
}

/// The file's PCA.
pub(super) fn pca(checker: &mut Checker<'_>, given: &ClientConfig) -> Option<AuthnMethod> {
    let authn = &given.authn;
    let key = key(checker, given);
    let name =
        checker.required(&authn.application_federated_credential_name, "the federated credential's name");
    let leaf = checker.required(&authn.client_x509_certificate, "the certificate in PEM form");
    let chain = match authn.x509_cert_chains.is_absent() {
        true => None, // a leaf that the root itself signed has none
        false => checker.required(&authn.x509_cert_chains, "the intermediate certificates in PEM form"),
    };
    let signing = key.as_ref().and_then(|key| match key.check(checker.environment) {
        Ok(signing) => Some(signing),
        Err(error) => {
            checker.fault(key_fault(given, error));
            None
        }
    });
    let certificates = |field: &Field<String>, text: &str, checker: &mut Checker<'_>| {
        let read = Certificate::all(text);
        read.map_err(|problem| checker.fault(field.fault(problem))).ok()
    };
    let leaf = leaf.and_then(|text| certificates(&authn.client_x509_certificate, &text, checker));
    let chain = chain.and_then(|text| certificates(&authn.x509_cert_chains, &text, checker));
    let all = leaf?.into_iter().chain(chain.unwrap_or_default()).collect();
    let certificates = Arc::new(Certificates::new(all).ok()?);
    let source = CertificateSource::Fixed(Arc::clone(&certificates));
    let pca = Pca { credential_name: name?, certificates: source, key: key? };
    if let Err(error) = pca.check_pair(&certificates, &signing?) {
        checker.fault(authn.client_x509_certificate.fault(format!("cannot be used: {error}")));
    }
    Some(AuthnMethod::Pca(pca))
}

/// A method given in code, with the algorithm given in code, after its faults are told.
pub(super) fn of_code(method: &AuthnMethod, given: &ClientConfig, checker: &mut Checker<'_>) -> AuthnMethod {
    match method {
        AuthnMethod::PrivateKeyJwt { key } => {
            let key = key.clone().with_algorithm(given.signing_algorithm);
            if let Err(error) = key.check(checker.environment) {
                checker.fault(code_fault(error));
            }
            AuthnMethod::PrivateKeyJwt { key }
        }
        AuthnMethod::Pca(pca) => {
            let key = pca.key.clone().with_algorithm(given.signing_algorithm);
            let pca = Pca { key, ..pca.clone() };
            if pca.credential_name.trim().is_empty() {
                let expected = "is blank; expected the federated credential's name";
                checker.fault(given.authn.application_federated_credential_name.fault(expected));
            }
            let signing = pca.key.check(checker.environment);
            let certificates = pca.certificates.check(checker.environment);
            match (signing, certificates) {
                (Ok(signing), Ok(certificates)) => {
                    if let Err(error) = pca.check_pair(&certificates, &signing) {
                        checker.fault(code_fault(error));
                    }
                }
                (signing, certificates) => {
                    let faults = [signing.err(), certificates.err()];
                    faults.into_iter().flatten().for_each(|error| checker.fault(code_fault(error)));
                }
            }
            AuthnMethod::Pca(pca)
        }
        other => other.clone(),
    }
}

/// The key that the file names, not yet read.
fn key(checker: &mut Checker<'_>, given: &ClientConfig) -> Option<AssertionKey> {
    let field = &given.authn.private_key_env_var_name;
    let name = checker.required(field, "the name of the private key's environment variable")?;
    if !looks_like_a_variable(&name) && checker.environment.variable(&name).is_none() {
        checker.fault(field.fault(
            "does not look like the name of an environment variable, and none of that name has a value; \
             expected the name of the variable, never the key itself",
        ));
        return None;
    }
    Some(AssertionKey::from(SecretSource::variable(name)).with_algorithm(given.signing_algorithm))
}

fn key_fault(given: &ClientConfig, error: Error) -> ConfigFault {
    let field = &given.authn.private_key_env_var_name;
    with_cause(field.fault(format!("leads to no private key: {error}")), error)
}

fn code_fault(error: Error) -> ConfigFault {
    with_cause(ConfigFault::new("", error.to_string()), error)
}
