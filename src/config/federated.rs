//! The methods that go by a federated credential: OIDC and PKCS7.

use std::path::{Path, PathBuf};

use crate::authn::Cloud;
use crate::config::AuthnMethod;
use crate::config::authn::{required_one_of, with_cause};
use crate::config::check::Checker;
use crate::config::model::AuthnKeys;
use crate::config::section::Field;
use crate::environment::looks_like_a_variable;
use crate::error::ConfigFault;
use crate::secret::token_file;

/// Where Kubernetes mounts the token of a pod's service account.
const DEFAULT_TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const CLOUDS: [(&str, Cloud); 2] =
    [("ALIBABA_CLOUD_ECS", Cloud::AlibabaCloudEcs), ("AWS_EC2", Cloud::AwsEc2)];

pub(super) fn oidc(checker: &mut Checker<'_>, authn: &AuthnKeys) -> Option<AuthnMethod> {
    let credential_name = credential_name(checker, authn);
    let environment = required_one_of(checker, &authn.client_deploy_environment, &["KUBERNETES"]);
    let token_file = token_file(checker, authn);
    environment?;
    Some(AuthnMethod::Oidc { credential_name: credential_name?, token_file: Some(token_file?) })
}

pub(super) fn pkcs7(checker: &mut Checker<'_>, authn: &AuthnKeys) -> Option<AuthnMethod> {
    let credential_name = credential_name(checker, authn);
    let known = CLOUDS.map(|(name, _)| name);
    let environment = required_one_of(checker, &authn.client_deploy_environment, &known)?;
    let (_, cloud) = CLOUDS.into_iter().find(|(name, _)| *name == environment)?;
    Some(AuthnMethod::Pkcs7 { credential_name: credential_name?, cloud: Some(cloud) })
}

/// What code gave is checked as far as that goes.
pub(super) fn check_given(checker: &mut Checker<'_>, method: &AuthnMethod) {
    if let AuthnMethod::Oidc { credential_name, .. } | AuthnMethod::Pkcs7 { credential_name, .. } = method
        && credential_name.trim().is_empty()
    {
        checker.fault(ConfigFault::new("", "the federated credential's name is blank; give the real one"));
    }
    if let AuthnMethod::Oidc { token_file: Some(path), .. } = method
        && let Err(error) = token_file::read(&checker.environment.expand(path))
    {
        checker.fault(with_cause(ConfigFault::new("", format!("no OIDC token: {error}")), error));
    }
}

fn credential_name(checker: &mut Checker<'_>, authn: &AuthnKeys) -> Option<String> {
    checker.required(&authn.application_federated_credential_name, "the federated credential's name")
}

/// The file that the path gives, else the variable, else the default one; it has to hold a token.
fn token_file(checker: &mut Checker<'_>, authn: &AuthnKeys) -> Option<PathBuf> {
    let by_path = &authn.oidc_token_file_path;
    let by_variable = &authn.oidc_token_file_path_env_var_name;
    if !by_path.is_absent() {
        let path = checker.required(by_path, "the path of the token's file")?;
        return with_token(checker, by_path, path.into(), "");
    }
    if !by_variable.is_absent() {
        let expected = "the name of the environment variable that holds the path of the token's file";
        let name = checker.required(by_variable, expected)?;
        if let Some(path) = path_in_variable(checker, &name) {
            return with_token(checker, by_variable, path, "");
        }
        let shown = if looks_like_a_variable(&name) { name.as_str() } else { "of this name" };
        let problem =
            format!("environment variable {shown} is not set, and the default does not do either: ");
        let path = with_token(checker, by_variable, DEFAULT_TOKEN_FILE.into(), &problem)?;
        let warning = format!("leads nowhere: environment variable {shown} is not set; the default is used");
        checker.warn(by_variable.fault(format!("{warning}, {DEFAULT_TOKEN_FILE}")));
        return Some(path);
    }
    with_token(checker, by_path, DEFAULT_TOKEN_FILE.into(), "is missing, and the default does not do: ")
}

fn path_in_variable(checker: &Checker<'_>, name: &str) -> Option<PathBuf> {
    let value = checker.environment.variable(name)?;
    match value.to_str().map(str::trim) {
        Some("") => None,
        Some(path) => Some(path.into()),
        None => Some(value.into()),
    }
}

/// The path as it was given, if there is a token now. What is there later is read later.
fn with_token(
    checker: &mut Checker<'_>,
    field: &Field<String>,
    path: PathBuf,
    problem: &str,
) -> Option<PathBuf> {
    match token_file::read(&checker.environment.expand(Path::new(&path))) {
        Ok(_) => Some(path),
        Err(error) => {
            let problem = if problem.is_empty() { "leads to no token: " } else { problem };
            checker.fault(with_cause(field.fault(format!("{problem}{error}")), error));
            None
        }
    }
}
