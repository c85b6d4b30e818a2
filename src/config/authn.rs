//! `authnConfiguration`: which method, and whether everything it needs is there.

use std::error::Error as _;

use crate::config::check::Checker;
use crate::config::model::ClientConfig;
use crate::config::section::Field;
use crate::config::spelling::{nearest, told};
use crate::config::{AuthnMethod, assertion, federated, plugin, unused};
use crate::environment::looks_like_a_variable;
use crate::error::{ConfigFault, Error};
use crate::secret::SecretSource;

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

/// The method given in code, else the file's.
pub(super) fn method(given: &ClientConfig, checker: &mut Checker<'_>) -> Option<AuthnMethod> {
    if let Some(method) = &given.authn_in_code {
        if let AuthnMethod::ClientSecretBasic { secret }
        | AuthnMethod::ClientSecretPost { secret }
        | AuthnMethod::ClientSecretJwt { secret } = method
            && let Err(error) = secret.read(checker.environment)
        {
            checker.fault(with_cause(ConfigFault::new("", format!("no client secret: {error}")), error));
        }
        federated::check_given(checker, method);
        if let AuthnMethod::Plugin(_) = method {
            return plugin::plugin(checker, given);
        }
        return Some(assertion::of_code(method, given, checker));
    }
    let authn = &given.authn;
    if given.authn_section.is_absent() && authn.authn_method.is_absent() {
        checker.fault(given.authn_section.fault("is missing; expected an object with `authnMethod`"));
        return None;
    }
    if given.authn_section.get().is_none() && authn.authn_method.is_absent() {
        return None; // something else than an object, which is told
    }
    one_of(checker, &authn.identity_type, &["CLIENT"]);
    let name = checker.required(&authn.authn_method, EXPECTED)?;
    if METHODS.contains(&name.as_str()) {
        unused::warn(checker, authn, &name);
    }
    match name.as_str() {
        "CLIENT_SECRET_BASIC" => {
            client_secret(checker, given).map(|secret| AuthnMethod::ClientSecretBasic { secret })
        }
        "CLIENT_SECRET_POST" => {
            client_secret(checker, given).map(|secret| AuthnMethod::ClientSecretPost { secret })
        }
        "CLIENT_SECRET_JWT" => {
            client_secret(checker, given).map(|secret| AuthnMethod::ClientSecretJwt { secret })
        }
        "PRIVATE_KEY_JWT" => assertion::private_key_jwt(checker, given),
        "PCA" => assertion::pca(checker, given),
        "OIDC" => federated::oidc(checker, authn),
        "PKCS7" => federated::pkcs7(checker, authn),
        "PLUGIN" => plugin::plugin(checker, given),
        name => {
            let meant = nearest(name, METHODS).map(|method| format!("; did you mean `{method}`?"));
            let problem =
                format!("{}; expected {EXPECTED}{}", told(name, METHODS), meant.unwrap_or_default());
            checker.fault(authn.authn_method.fault(problem));
            None
        }
    }
}

pub(super) fn required_one_of(
    checker: &mut Checker<'_>,
    field: &Field<String>,
    values: &[&str],
) -> Option<String> {
    let word = checker.required(field, &values.join(" or "))?;
    one_of(checker, field, values);
    Some(word).filter(|word| values.contains(&word.as_str()))
}

fn one_of(checker: &mut Checker<'_>, field: &Field<String>, values: &[&str]) {
    if let Some(text) = field.get()
        && !values.contains(&text.trim())
    {
        let told = told(text.trim(), values.iter().copied());
        checker.fault(field.fault(format!("{told}; expected {}", values.join(" or "))));
    }
}

fn client_secret(checker: &mut Checker<'_>, given: &ClientConfig) -> Option<SecretSource> {
    let field = &given.authn.client_secret_env_var_name;
    let name = checker.required(field, "the name of the client secret's environment variable")?;
    let secret = SecretSource::variable(&name);
    match secret.read(checker.environment) {
        Ok(_) => return Some(secret),
        Err(error) if looks_like_a_variable(&name) => {
            checker.fault(with_cause(field.fault(format!("leads to no client secret: {error}")), error));
        }
        Err(_) => checker.fault(field.fault(
            "does not look like the name of an environment variable, and none of that name has a value; \
             expected the name of the variable, never the secret itself",
        )),
    }
    None
}

/// The error itself is in the fault's text; it is chained only for the cause that it may have.
pub(super) fn with_cause(fault: ConfigFault, error: Error) -> ConfigFault {
    match error.source() {
        Some(_) => fault.with_source(error),
        None => fault,
    }
}
