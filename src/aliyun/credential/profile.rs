//! A profile of one of the vendor's two files: what its fields come to.

use std::fmt;
use std::time::Duration;

use super::lookup::{Miss, Plan};
use super::order::{Issuer, Order, Role};
use super::{Credential, instance_role, sts};
use crate::environment::Environment;
use crate::secret::Secret;

/// What a kind of profile is called in its file, and its credential in requests.
#[derive(Debug)]
pub(super) struct Spelling {
    pub(super) kind: &'static str,
    pub(super) provider: &'static str,
}

/// How the two files spell the same things.
#[derive(Debug)]
pub(super) struct Dialect {
    /// The field that tells the kind.
    pub(super) kind: &'static str,
    pub(super) access_key: Spelling,
    pub(super) sts_token: Spelling,
    pub(super) assumed_role: Spelling,
    pub(super) instance_role: Spelling,
    pub(super) oidc_role: Spelling,
    pub(super) security_token: &'static str,
    pub(super) role_arn: &'static str,
    pub(super) session_name: &'static str,
    pub(super) role_name: &'static str,
    pub(super) token_file: &'static str,
    pub(super) duration: &'static str,
}

/// A profile as it stands in its file.
pub(super) struct Profile<'a> {
    pub(super) dialect: &'static Dialect,
    /// What and where it is: "profile `default` in /home/u/.aliyun/config.json".
    pub(super) shown: String,
    pub(super) field: &'a dyn Fn(&str) -> Option<String>,
    pub(super) environment: &'a Environment,
}

impl Profile<'_> {
    pub(super) fn plan(&self) -> Result<Plan, Miss> {
        let dialect = self.dialect;
        let kind = self.required(dialect.kind)?;
        let is = |spelling: &Spelling| kind.eq_ignore_ascii_case(spelling.kind);
        let order =
            |from, spelling: &Spelling| Ok(Plan::Temporary(Order { from, provider: spelling.provider }));
        if is(&dialect.access_key) {
            Ok(Plan::Key(self.key(dialect.access_key.provider)?))
        } else if is(&dialect.sts_token) {
            let key = self.key(dialect.sts_token.provider)?;
            let token = Secret::new(self.required(dialect.security_token)?);
            Ok(Plan::Key(Credential { security_token: Some(token), ..key }))
        } else if is(&dialect.assumed_role) {
            let key = self.key(dialect.assumed_role.provider)?;
            let token = self.optional(dialect.security_token).map(Secret::new);
            let key = Credential { security_token: token, ..key };
            order(Issuer::AccessKey { role: self.role()?, key }, &dialect.assumed_role)
        } else if is(&dialect.oidc_role) {
            let from = Issuer::TokenFile {
                role: self.role()?,
                oidc_provider: self.required("oidc_provider_arn")?,
                token_file: self.required(dialect.token_file)?.into(),
            };
            order(from, &dialect.oidc_role)
        } else if is(&dialect.instance_role) {
            let name = self.optional(dialect.role_name);
            instance_role::order(self.environment, name, dialect.instance_role.provider).map(Plan::Temporary)
        } else {
            Err(self.unsupported(&kind))
        }
    }

    fn key(&self, provider: &'static str) -> Result<Credential, Miss> {
        Ok(Credential {
            access_key_id: self.required("access_key_id")?,
            access_key_secret: Secret::new(self.required("access_key_secret")?),
            security_token: None,
            provider,
        })
    }

    fn role(&self) -> Result<Role, Miss> {
        Ok(Role {
            arn: self.required(self.dialect.role_arn)?,
            session_name: self.optional(self.dialect.session_name),
            duration: self.duration()?,
            policy: self.optional("policy"),
            external_id: self.optional("external_id"),
            sts: sts::host(self.environment, self.optional("sts_region"))?,
        })
    }

    fn duration(&self) -> Result<Duration, Miss> {
        let name = self.dialect.duration;
        match self.optional(name).map(|text| text.parse()) {
            None | Some(Ok(0)) => Ok(sts::DURATION),
            // What STS grants at the least and at the most.
            Some(Ok(seconds @ 900..=43_200)) => Ok(Duration::from_secs(seconds)),
            Some(_) => {
                Err(Miss::fault(format!("`{name}` of {} is not from 900 to 43200 seconds", self.shown)))
            }
        }
    }

    fn optional(&self, name: &str) -> Option<String> {
        let text = (self.field)(name)?;
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    fn required(&self, name: &str) -> Result<String, Miss> {
        self.optional(name).ok_or_else(|| Miss::fault(format!("{} has no `{name}`; add it", self.shown)))
    }

    fn unsupported(&self, kind: &str) -> Miss {
        let Dialect { kind: field, access_key, sts_token, assumed_role, instance_role, oidc_role, .. } =
            self.dialect;
        let supported = [access_key, sts_token, assumed_role, instance_role, oidc_role];
        let supported: Vec<String> = supported.map(|spelling| format!("`{}`", spelling.kind)).into();
        // Cut short: whatever stands there may stand in the wrong place.
        let kind: String = kind.chars().filter(|letter| !letter.is_control()).take(30).collect();
        Miss::fault(format!(
            "{} has {field} `{kind}`, which is not supported; use one of {}",
            self.shown,
            supported.join(", ")
        ))
    }
}

impl fmt::Debug for Profile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("shown", &self.shown).finish_non_exhaustive()
    }
}
