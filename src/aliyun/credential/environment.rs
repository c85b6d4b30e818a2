//! An access key in the environment, read at each use.

use crate::aliyun::credential::lookup::{Lookup, NoCredential};
use crate::aliyun::credential::{Credential, file};
use crate::environment::Environment;
use crate::secret::Secret;

const ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// The access key in the variables. A blank variable counts as not set.
pub(super) fn lookup(environment: &Environment) -> Result<Lookup, NoCredential> {
    match (file::variable(ID, environment)?, secret(environment, SECRET)?) {
        (Some(access_key_id), Some(access_key_secret)) => {
            let security_token = secret(environment, TOKEN)?;
            let key = Credential { access_key_id, access_key_secret, security_token, provider: "env" };
            match key.problem() {
                None => Ok(Lookup::Key(key)),
                Some(problem) => {
                    let message = format!("the environment {problem}; set {ID}, {SECRET} and {TOKEN} anew");
                    // The identity is chosen, so no other one takes its place.
                    Err(NoCredential::unreadable(message))
                }
            }
        }
        (None, None) => Err(NoCredential::not_configured(format!("{ID} and {SECRET} are not set"))),
        (Some(_), None) => Err(half_set(ID, SECRET)),
        (None, Some(_)) => Err(half_set(SECRET, ID)),
    }
}

/// Surrounding white space is removed: no part of an access key has any.
fn secret(environment: &Environment, name: &str) -> Result<Option<Secret>, NoCredential> {
    Ok(file::variable(name, environment)?.map(Secret::new))
}

fn half_set(there: &str, missing: &str) -> NoCredential {
    NoCredential::failed(format!("{there} is set and {missing} is not; set both or none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    fn lookup_of<const N: usize>(variables: [(&str, &str); N]) -> Result<Lookup, NoCredential> {
        lookup(&Environment::Manual(ManualEnvironment::from_iter(variables)))
    }

    #[test]
    fn a_pair_is_an_access_key_and_with_a_token_one_of_sts() {
        let Ok(Lookup::Key(key)) = lookup_of([(ID, " id\n"), (SECRET, "s3cret"), (TOKEN, "")]) else {
            panic!()
        };
        assert_eq!((key.access_key_id.as_str(), key.access_key_secret.expose_secret()), ("id", "s3cret"));
        assert!(key.security_token.is_none());
        let Ok(Lookup::Key(key)) = lookup_of([(ID, "id"), (SECRET, "s3cret"), (TOKEN, "t0ken\n")]) else {
            panic!()
        };
        assert_eq!(key.security_token.unwrap().expose_secret(), "t0ken");
    }

    #[test]
    fn a_character_that_no_access_key_has_is_a_fault_that_names_the_variables() {
        let Err(NoCredential::Failed(error)) = lookup_of([(ID, "id"), (SECRET, "hunter2\u{200b}x")]) else {
            panic!()
        };
        assert!(error.to_string().contains("secret has the character U+200B at position 8"), "{error}");
        assert!(error.to_string().contains(SECRET) && !format!("{error:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn half_a_pair_is_a_fault_that_names_the_missing_half() {
        for (there, missing) in [(ID, SECRET), (SECRET, ID)] {
            for blank in ["", " \n"] {
                let Err(NoCredential::Failed(error)) = lookup_of([(there, "hunter2"), (missing, blank)])
                else {
                    panic!()
                };
                assert_eq!(
                    error.to_string(),
                    format!("{there} is set and {missing} is not; set both or none")
                );
                assert!(!format!("{error:?}").contains("hunter2"));
            }
        }
        assert!(matches!(lookup_of([(TOKEN, "t0ken")]), Err(NoCredential::NotConfigured(_))));
    }
}
