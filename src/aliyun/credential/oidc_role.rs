//! A role assumed with the token of a Kubernetes service account: RRSA, by variables that ACK sets.

use crate::aliyun::credential::lookup::{Issuer, Lookup, NoCredential, Role, TemporarySource};
use crate::aliyun::credential::{file, sts};
use crate::environment::Environment;

pub(super) const ROLE: &str = "ALIBABA_CLOUD_ROLE_ARN";
pub(super) const PROVIDER: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
pub(super) const FILE: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";
pub(super) const SESSION_NAME: &str = "ALIBABA_CLOUD_ROLE_SESSION_NAME";

pub(super) fn lookup(environment: &Environment) -> Result<Lookup, NoCredential> {
    let variable = |name| file::variable(name, environment);
    let variables = [variable(ROLE)?, variable(PROVIDER)?, variable(FILE)?];
    let [Some(arn), Some(oidc_provider), Some(token_file)] = variables else {
        let named = [ROLE, PROVIDER, FILE].into_iter().zip(&variables);
        let names: Vec<&str> = named.filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        let reason = format!("{} not set", enumerated(&names));
        // A role alone may be meant for another provider; with one of the other two variables it is meant for this one.
        let [_, provider, token_file] = variables;
        return Err(match provider.or(token_file).is_some() {
            true => NoCredential::failed(format!("{reason}; set all three or none")),
            false => NoCredential::not_configured(reason),
        });
    };
    let role = Role {
        arn,
        session_name: variable(SESSION_NAME)?,
        duration: sts::DURATION,
        policy: None,
        external_id: None,
        sts: sts::host(environment, None, false)?,
    };
    let from = Issuer::TokenFile { role, oidc_provider, token_file: token_file.into() };
    Ok(Lookup::Temporary(TemporarySource { from, provider: "oidc_role_arn" }))
}

fn enumerated(names: &[&str]) -> String {
    match names {
        [one] => format!("{one} is"),
        [first @ .., last] => format!("{} and {last} are", first.join(", ")),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    fn miss<const N: usize>(set: [&str; N]) -> NoCredential {
        let variables = set.map(|name| (name, "x"));
        lookup(&Environment::Manual(ManualEnvironment::from_iter(variables))).unwrap_err()
    }

    #[test]
    fn what_is_missing_is_named() {
        let NoCredential::NotConfigured(reason) = miss([]) else { panic!() };
        assert_eq!(reason, format!("{ROLE}, {PROVIDER} and {FILE} are not set"));
        assert!(matches!(miss([ROLE]), NoCredential::NotConfigured(_)));
        let NoCredential::Failed(error) = miss([ROLE, FILE]) else { panic!() };
        assert_eq!(error.to_string(), format!("{PROVIDER} is not set; set all three or none"));
    }
}
