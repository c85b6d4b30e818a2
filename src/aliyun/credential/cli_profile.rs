//! The file of the vendor's command line, `~/.aliyun/config.json`, read at each use.

#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::aliyun::credential::external_process::{MARK, Process};
use crate::aliyun::credential::file;
use crate::aliyun::credential::lookup::{Issuer, Lookup, NoCredential, TemporarySource, is_true};
use crate::aliyun::credential::profile::{Dialect, Profile, Spelling};
use crate::environment::{Environment, looks_like_a_variable};
use crate::secret::path::redacted_path;
use crate::wire::json::{BodyFault, parsed, wipe};

const FILE: &str = "ALIBABA_CLOUD_CONFIG_FILE";
const DISABLED: &str = "ALIBABA_CLOUD_CLI_PROFILE_DISABLED";

/// The mode in which a role is assumed with another profile's credential.
const CHAINED: &str = "ChainableRamRoleArn";

/// The mode in which a program prints a credential.
const EXTERNAL: &str = "External";

/// The limit on a chain of profiles; it also ends a cycle.
const LONGEST_CHAIN: usize = 8;

static DIALECT: Dialect = Dialect {
    kind: "mode",
    access_key: Spelling { kind: "AK", provider: "cli_profile/static_ak" },
    sts_token: Spelling { kind: "StsToken", provider: "cli_profile/static_sts" },
    assumed_role: Spelling { kind: "RamRoleArn", provider: "cli_profile/ram_role_arn/static_ak" },
    instance_role: Spelling { kind: "EcsRamRole", provider: "cli_profile/ecs_ram_role" },
    oidc_role: Spelling { kind: "OIDC", provider: "cli_profile/oidc_role_arn" },
    others: &[CHAINED, EXTERNAL],
    security_token: "sts_token",
    role_arn: "ram_role_arn",
    session_name: "ram_session_name",
    role_name: "ram_role_name",
    token_file: "oidc_token_file",
    duration: "expired_seconds",
};

pub(super) fn lookup(environment: &Environment) -> Result<Lookup, NoCredential> {
    if is_true(environment, DISABLED) {
        return Err(NoCredential::not_configured(format!("switched off by {DISABLED}")));
    }
    let named = file::variable(FILE, environment)?;
    let named = named.map(|path| file::named(FILE, &path, environment)).transpose()?;
    let default = || Some(environment.home()?.join(".aliyun").join("config.json"));
    let is_named = named.is_some();
    let path = named.or_else(default).ok_or_else(file::no_home)?;
    match file::read(&path)? {
        Some(text) => from_text(&text, &path, environment),
        None if is_named => {
            Err(NoCredential::failed(format!("{} does not exist; check {FILE}", redacted_path(&path))))
        }
        None => Err(NoCredential::Missing(format!("{} does not exist", redacted_path(&path)))),
    }
}

fn from_text(text: &str, path: &Path, environment: &Environment) -> Result<Lookup, NoCredential> {
    // The parser's message may quote the file's content.
    let mut document = parsed(text).map_err(|fault| {
        let problem = match fault {
            BodyFault::NotJson { line, column } => format!("is not JSON (line {line}, column {column})"),
            BodyFault::Duplicate(name) if looks_like_a_variable(&name) => {
                format!("has `{name}` twice, with two values")
            }
            BodyFault::Duplicate(_) => "has a name twice, with two values".to_owned(),
            BodyFault::Absurd(problem) => format!("holds JSON that {problem}"),
            BodyFault::Empty => "is not JSON: it is empty".to_owned(),
            BodyFault::CutOff | BodyFault::NotAnObject | BodyFault::Coded(_) => {
                "is not JSON: it ends too early".to_owned()
            }
        };
        // The file may be half written.
        NoCredential::unreadable(format!("{} {problem}; run `aliyun configure`", redacted_path(path)))
    })?;
    let lookup = from_document(&document, path, environment);
    wipe(&mut document);
    lookup
}

fn from_document(document: &Value, path: &Path, environment: &Environment) -> Result<Lookup, NoCredential> {
    let place = redacted_path(path);
    let chosen = file::variable(file::CHOSEN, environment)?;
    let wanted = chosen.as_deref().or_else(|| document.get("current")?.as_str());
    let wanted = wanted.filter(|name| !name.is_empty()).ok_or_else(|| {
        let message = format!("{place} names no `current` profile; set it, or ALIBABA_CLOUD_PROFILE");
        NoCredential::unreadable(message)
    })?;
    let profiles = Profiles { document, path, environment };
    // The other file may have the chosen profile; that one's lookup says so if neither has.
    if chosen.is_some() && profiles.are_others(wanted) {
        return Err(NoCredential::NotConfigured(profiles.without(wanted)));
    }
    profiles.lookup(wanted, 1)
}

/// The profiles of one file.
struct Profiles<'a> {
    document: &'a Value,
    path: &'a Path,
    environment: &'a Environment,
}

impl Profiles<'_> {
    fn all(&self) -> &[Value] {
        self.document.get("profiles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn named(&self, wanted: &str) -> Option<&Value> {
        self.all().iter().find(|profile| profile.get("name").and_then(Value::as_str) == Some(wanted))
    }

    /// Whether there are profiles, and none of this name.
    fn are_others(&self, wanted: &str) -> bool {
        !self.all().is_empty() && self.named(wanted).is_none()
    }

    /// The message of a name that no profile has.
    fn without(&self, wanted: &str) -> String {
        let name = match looks_like_a_variable(wanted) {
            true => format!("profile `{wanted}`"),
            false => "profile of the wanted name, which is not shown here".to_owned(),
        };
        let place = redacted_path(self.path);
        format!("{place} has no {name}; check ALIBABA_CLOUD_PROFILE, `current` and `source_profile`")
    }

    /// `length` counts the profiles of the chain so far, this one included.
    fn lookup(&self, wanted: &str, length: usize) -> Result<Lookup, NoCredential> {
        let Self { path, environment, .. } = self;
        let place = redacted_path(path);
        // A file without any profile has yet to be filled; one with others is whole.
        let profile = self.named(wanted).ok_or_else(|| match self.are_others(wanted) {
            true => NoCredential::failed(self.without(wanted)),
            false => NoCredential::unreadable(self.without(wanted)),
        })?;
        let field = |name: &str| match profile.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        };
        let place = format!("profile `{wanted}` in {place}");
        let profile = Profile { dialect: &DIALECT, place: place.clone(), field: &field, environment };
        match profile.optional(DIALECT.kind) {
            Some(mode) if mode.eq_ignore_ascii_case(CHAINED) => self.chained(&profile, length),
            Some(mode) if mode.eq_ignore_ascii_case(EXTERNAL) && environment.variable(MARK).is_some() => {
                Err(NoCredential::failed(format!(
                    "the `process_command` of {place} is not run: this program was itself started by one ({MARK} is \
                     set), perhaps by the same; give the client an identity that needs no program, such as another \
                     profile in ALIBABA_CLOUD_PROFILE"
                )))
            }
            Some(mode) if mode.eq_ignore_ascii_case(EXTERNAL) => {
                let command = Zeroizing::new(profile.required("process_command")?);
                let process = Process::parse(&command, &place).map_err(|problem| {
                    NoCredential::failed(format!("the `process_command` of {place} {problem}"))
                })?;
                let from = Issuer::Process(process);
                Ok(Lookup::Temporary(TemporarySource { from, provider: "cli_profile/external" }))
            }
            _ => profile.lookup(),
        }
    }

    fn chained(&self, profile: &Profile<'_>, length: usize) -> Result<Lookup, NoCredential> {
        if length >= LONGEST_CHAIN {
            let place = &profile.place;
            return Err(NoCredential::failed(format!(
                "{place} is the end of a chain of more than {LONGEST_CHAIN} profiles; check that no `source_profile` \
                 leads back to it"
            )));
        }
        let role = profile.role()?;
        let from = match self.lookup(&profile.required("source_profile")?, length + 1)? {
            Lookup::Key(key) => Issuer::AccessKey { role, key },
            Lookup::Temporary(source) | Lookup::IfPresent(source) => {
                Issuer::Chained { role, source: Box::new(source) }
            }
        };
        Ok(Lookup::Temporary(TemporarySource { from, provider: "cli_profile/chainable_ram_role_arn" }))
    }
}
