//! `clientDeployEnvironment`: where the program runs, and so where its proof for PKCS7 and OIDC comes from.

use std::path::PathBuf;
use std::sync::Arc;

use crate::authn::{Authenticator, Oidc};
#[cfg(feature = "transport")]
use crate::authn::{Cloud, GoogleCloudIdentity, Pkcs7};
use crate::config::checker::Checker;
use crate::config::keys::AuthnKeys;
use crate::config::section::Field;
use crate::environment::looks_like_a_variable;
use crate::secret::token_file;

/// Where Kubernetes mounts the token of a pod's service account.
const DEFAULT_TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The places that the vendor's format has a word for. Each serves one method at most.
const PLACES: [&str; 11] = [
    "COMMON",
    "COMPUTER",
    "KUBERNETES",
    "ALIBABA_CLOUD_ECS",
    "ALIBABA_CLOUD_ECI",
    "ALIBABA_CLOUD_ACK",
    "AWS_EC2",
    "AWS_ESK",
    "GOOGLE_VM",
    "HUAWEI_CLOUD_ECS",
    "CUSTOM",
];

pub(super) fn oidc(
    authn: &AuthnKeys,
    address: Option<&str>,
    checker: &mut Checker<'_>,
) -> Option<Arc<dyn Authenticator>> {
    const OURS: &[&str] =
        if cfg!(feature = "transport") { &["KUBERNETES", "GOOGLE_VM"] } else { &["KUBERNETES"] };
    let credential_name = credential_name(authn, checker);
    let environment = checker.required_one_of(&authn.client_deploy_environment, OURS, &PLACES);
    #[cfg(feature = "transport")]
    if environment.as_deref() == Some("GOOGLE_VM") {
        for field in [&authn.oidc_token_file_path, &authn.oidc_token_file_path_env_var_name] {
            if field.is_used() {
                checker.warn(
                    field.fault("is not used with GOOGLE_VM; remove it, or check clientDeployEnvironment"),
                );
            }
        }
        let token = GoogleCloudIdentity::new();
        let token = match address {
            Some(address) => token.metadata_address(address),
            None => token,
        };
        return Some(Arc::new(Oidc::from_google_cloud(credential_name?, token)));
    }
    let _ = address;
    let token_file = token_file(authn, checker);
    environment?;
    Some(Arc::new(Oidc::from_file(credential_name?, token_file?)))
}

#[cfg(feature = "transport")]
pub(super) fn pkcs7(
    authn: &AuthnKeys,
    address: Option<&str>,
    checker: &mut Checker<'_>,
) -> Option<Arc<dyn Authenticator>> {
    const CLOUDS: [(&str, Cloud); 3] = [
        ("ALIBABA_CLOUD_ECS", Cloud::AlibabaCloudEcs),
        ("ALIBABA_CLOUD_ECI", Cloud::AlibabaCloudEcs),
        ("AWS_EC2", Cloud::AwsEc2),
    ];
    let credential_name = credential_name(authn, checker);
    let ours = CLOUDS.map(|(name, _)| name);
    let environment = checker.required_one_of(&authn.client_deploy_environment, &ours, &PLACES)?;
    let (_, cloud) = CLOUDS.into_iter().find(|(name, _)| *name == environment)?;
    let method = Pkcs7::of_cloud(credential_name?, cloud);
    Some(Arc::new(match address {
        Some(address) => method.metadata_address(address),
        None => method,
    }))
}

#[cfg(not(feature = "transport"))]
pub(super) fn pkcs7(
    authn: &AuthnKeys,
    _: Option<&str>,
    checker: &mut Checker<'_>,
) -> Option<Arc<dyn Authenticator>> {
    let problem = "is PKCS7, which needs the cloud's metadata service, and the feature `transport` is off; turn \
                   it on, or give documents of your own with `Pkcs7::from_source`";
    checker.fault(authn.authn_method.fault(problem));
    None
}

fn credential_name(authn: &AuthnKeys, checker: &mut Checker<'_>) -> Option<String> {
    checker.required_id(&authn.application_federated_credential_name, "the federated credential's name")
}

/// The file that the path gives, else the variable, else the default one. The method checks its content.
fn token_file(authn: &AuthnKeys, checker: &mut Checker<'_>) -> Option<PathBuf> {
    let by_path = &authn.oidc_token_file_path;
    let by_variable = &authn.oidc_token_file_path_env_var_name;
    if !by_path.is_unset() {
        return checker.required_path(by_path, "the path of the token's file").map(PathBuf::from);
    }
    if by_variable.is_unset() {
        return default_file(by_path, "is missing", checker);
    }
    let expected = "the name of the environment variable that holds the path of the token's file";
    let name = checker.required(by_variable, expected)?;
    if let Some(path) = path_in_variable(checker, &name) {
        return Some(path);
    }
    let displayed = if looks_like_a_variable(&name) { name.as_str() } else { "of this name" };
    let unset = format!("environment variable {displayed} is not set");
    let path = default_file(by_variable, &unset, checker)?;
    checker.warn(
        by_variable.fault(format!("leads nowhere: {unset}; the default is used, {DEFAULT_TOKEN_FILE}")),
    );
    Some(path)
}

/// Kubernetes' own path, if there is a token now.
fn default_file(field: &Field<String>, why: &str, checker: &mut Checker<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(DEFAULT_TOKEN_FILE);
    match token_file::read(&path) {
        Ok(_) => Some(path),
        Err(error) => {
            let problem = format!("{why}, and the default cannot be used either: {error}");
            checker.fault(field.fault(problem).with_source(error));
            None
        }
    }
}

fn path_in_variable(checker: &Checker<'_>, name: &str) -> Option<PathBuf> {
    let value = checker.context.environment().variable(name)?;
    match value.to_str().map(str::trim) {
        Some("") => None,
        Some(path) => Some(path.into()),
        None => Some(value.into()),
    }
}
