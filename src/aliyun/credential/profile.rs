//! A profile in either of the vendor's two files, and the lookup of its fields. A role that is missing there may be in
//! the environment, as for the vendor's own clients.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::aliyun::credential::lookup::{Issuer, Lookup, NoCredential, Role, TemporarySource};
use crate::aliyun::credential::{Credential, file, instance_role, oidc_role, sts};
use crate::environment::Environment;
use crate::secret::Secret;

/// The name of a kind of profile in its file, and the provider name of its credential.
#[derive(Debug)]
pub(super) struct Spelling {
    pub(super) kind: &'static str,
    pub(super) provider: &'static str,
}

/// How each of the two files spells the fields.
#[derive(Debug)]
pub(super) struct Dialect {
    /// The field that holds the kind.
    pub(super) kind: &'static str,
    pub(super) access_key: Spelling,
    pub(super) sts_token: Spelling,
    pub(super) assumed_role: Spelling,
    pub(super) instance_role: Spelling,
    pub(super) oidc_role: Spelling,
    /// Further kinds, which the file's own module handles.
    pub(super) others: &'static [&'static str],
    pub(super) security_token: &'static str,
    pub(super) role_arn: &'static str,
    pub(super) session_name: &'static str,
    pub(super) role_name: &'static str,
    pub(super) token_file: &'static str,
    pub(super) duration: &'static str,
}

/// A profile as read from its file.
pub(super) struct Profile<'a> {
    pub(super) dialect: &'static Dialect,
    /// The profile's name and place for messages: "profile `default` in /home/u/.aliyun/config.json".
    pub(super) place: String,
    pub(super) field: &'a dyn Fn(&str) -> Option<String>,
    pub(super) environment: &'a Environment,
}

impl Profile<'_> {
    pub(super) fn lookup(&self) -> Result<Lookup, NoCredential> {
        let dialect = self.dialect;
        let kind = self.required(dialect.kind)?;
        let is = |spelling: &Spelling| kind.eq_ignore_ascii_case(spelling.kind);
        let temporary = |from, spelling: &Spelling| {
            Ok(Lookup::Temporary(TemporarySource { from, provider: spelling.provider }))
        };
        if is(&dialect.access_key) {
            Ok(Lookup::Key(self.key(dialect.access_key.provider)?))
        } else if is(&dialect.sts_token) {
            let key = self.key(dialect.sts_token.provider)?;
            let token = Secret::new(self.required(dialect.security_token)?);
            self.checked(Credential { security_token: Some(token), ..key }).map(Lookup::Key)
        } else if is(&dialect.assumed_role) {
            let key = self.key(dialect.assumed_role.provider)?;
            let token = self.optional(dialect.security_token).map(Secret::new);
            let key = self.checked(Credential { security_token: token, ..key })?;
            temporary(Issuer::AccessKey { role: self.role()?, key }, &dialect.assumed_role)
        } else if is(&dialect.oidc_role) {
            let from = Issuer::TokenFile {
                role: self.role()?,
                oidc_provider: self.required_somewhere("oidc_provider_arn", oidc_role::PROVIDER)?,
                token_file: self.required_somewhere(dialect.token_file, oidc_role::FILE)?.into(),
            };
            temporary(from, &dialect.oidc_role)
        } else if is(&dialect.instance_role) {
            let name = self.somewhere(dialect.role_name, instance_role::ROLE_NAME)?;
            match instance_role::source(self.environment, name, dialect.instance_role.provider) {
                Ok(source) => Ok(Lookup::Temporary(source)),
                Err(NoCredential::NotConfigured(reason)) => Err(NoCredential::failed(format!(
                    "{} is the role of the instance, which is {reason}; unset it, or choose another profile",
                    self.place
                ))),
                Err(failure) => Err(failure),
            }
        } else {
            Err(self.unsupported(&kind))
        }
    }

    /// Whether the kind is missing, one that is supported, or the beginning of one. What else is wrong with such a
    /// profile may come from a file that ends too early.
    pub(super) fn may_be_cut_short(&self) -> bool {
        let Dialect { kind, access_key, sts_token, assumed_role, instance_role, oidc_role, .. } =
            self.dialect;
        let Some(begun) = self.optional(kind) else { return true };
        [access_key, sts_token, assumed_role, instance_role, oidc_role].iter().any(|spelling| {
            spelling.kind.get(..begun.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(&begun))
        })
    }

    fn key(&self, provider: &'static str) -> Result<Credential, NoCredential> {
        self.checked(Credential {
            access_key_id: self.required("access_key_id")?,
            access_key_secret: Secret::new(self.required("access_key_secret")?),
            security_token: None,
            provider,
        })
    }

    fn checked(&self, key: Credential) -> Result<Credential, NoCredential> {
        match key.problem() {
            None => Ok(key),
            // The identity is chosen, so no other one takes its place.
            Some(problem) => Err(NoCredential::unreadable(format!("{} {problem}; copy it anew", self.place))),
        }
    }

    pub(super) fn role(&self) -> Result<Role, NoCredential> {
        Ok(Role {
            arn: self.required_somewhere(self.dialect.role_arn, oidc_role::ROLE)?,
            session_name: self.somewhere(self.dialect.session_name, oidc_role::SESSION_NAME)?,
            duration: self.duration()?,
            policy: self.optional("policy"),
            external_id: self.optional("external_id"),
            sts: sts::host(self.environment, self.optional("sts_region"), self.is_true("enable_vpc"))?,
        })
    }

    fn duration(&self) -> Result<Duration, NoCredential> {
        let name = self.dialect.duration;
        match self.optional(name).map(|text| text.parse()) {
            None | Some(Ok(0)) => Ok(sts::DURATION),
            // The shortest and longest session that STS grants.
            Some(Ok(seconds @ 900..=43_200)) => Ok(Duration::from_secs(seconds)),
            Some(_) => Err(NoCredential::failed(format!(
                "`{name}` of {} is not from 900 to 43200 seconds",
                self.place
            ))),
        }
    }

    fn is_true(&self, name: &str) -> bool {
        self.optional(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        let text = Zeroizing::new((self.field)(name)?);
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    pub(super) fn required(&self, name: &str) -> Result<String, NoCredential> {
        self.optional(name)
            .ok_or_else(|| NoCredential::failed(format!("{} has no `{name}`; add it", self.place)))
    }

    /// The value from the profile, or else from the environment.
    fn somewhere(&self, name: &str, variable: &str) -> Result<Option<String>, NoCredential> {
        match self.optional(name) {
            Some(value) => Ok(Some(value)),
            None => file::variable(variable, self.environment),
        }
    }

    fn required_somewhere(&self, name: &str, variable: &str) -> Result<String, NoCredential> {
        let problem =
            || NoCredential::failed(format!("{} has no `{name}`; add it, or set {variable}", self.place));
        self.somewhere(name, variable)?.ok_or_else(problem)
    }

    fn unsupported(&self, kind: &str) -> NoCredential {
        let Dialect {
            kind: field,
            access_key,
            sts_token,
            assumed_role,
            instance_role,
            oidc_role,
            others,
            ..
        } = self.dialect;
        let supported = [access_key, sts_token, assumed_role, instance_role, oidc_role];
        let supported = supported.iter().map(|spelling| &spelling.kind).chain(*others);
        let supported: Vec<String> = supported.map(|kind| format!("`{kind}`")).collect();
        // The value may be a misplaced secret; an access key's secret has 30 characters.
        let is_word = kind.len() <= 24 && kind.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let (place, supported) = (&self.place, supported.join(", "));
        NoCredential::failed(match is_word {
            true => format!("{place} has {field} `{kind}`, which is not supported; use one of {supported}"),
            false => {
                format!("{place} has a malformed {field}, which is not shown here; use one of {supported}")
            }
        })
    }
}

impl fmt::Debug for Profile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("place", &self.place).finish_non_exhaustive()
    }
}
