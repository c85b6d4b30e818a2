//! The file of the vendor's command line, `~/.aliyun/config.json`, read at each use.

use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::aliyun::credential::external_process::Process;
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
    let wanted = file::variable("ALIBABA_CLOUD_PROFILE", environment)?;
    let wanted = wanted.as_deref().or_else(|| document.get("current")?.as_str());
    let wanted = wanted.filter(|name| !name.is_empty()).ok_or_else(|| {
        let message = format!("{place} names no `current` profile; set it, or ALIBABA_CLOUD_PROFILE");
        NoCredential::unreadable(message)
    })?;
    Profiles { document, path, environment }.lookup(wanted, 1)
}

/// The profiles of one file.
struct Profiles<'a> {
    document: &'a Value,
    path: &'a Path,
    environment: &'a Environment,
}

impl Profiles<'_> {
    /// `length` counts the profiles of the chain so far, this one included.
    fn lookup(&self, wanted: &str, length: usize) -> Result<Lookup, NoCredential> {
        let Self { document, path, environment } = self;
        let place = redacted_path(path);
        let is_wanted = |profile: &&Value| profile.get("name").and_then(Value::as_str) == Some(wanted);
        let profiles = document.get("profiles").and_then(Value::as_array);
        let profile = profiles.into_iter().flatten().find(is_wanted).ok_or_else(|| {
            let name = match looks_like_a_variable(wanted) {
                true => format!("profile `{wanted}`"),
                false => "profile of the wanted name, which is not shown here".to_owned(),
            };
            let message =
                format!("{place} has no {name}; check ALIBABA_CLOUD_PROFILE, `current` and `source_profile`");
            // A file without any profile has yet to be filled; one with others is whole.
            match profiles.is_some_and(|profiles| !profiles.is_empty()) {
                true => NoCredential::failed(message),
                false => NoCredential::unreadable(message),
            }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::environment::ManualEnvironment;

    fn lookup_of(document: &str, variables: &[(&str, &str)]) -> Result<Lookup, NoCredential> {
        let environment = ManualEnvironment::from_iter(variables.iter().copied());
        from_text(document, Path::new("/h/config.json"), &Environment::Manual(environment))
    }

    fn fault(document: &str) -> String {
        let Err(NoCredential::Failed(error)) = lookup_of(document, &[]) else { panic!("{document}") };
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        error.to_string()
    }

    fn document(profile: Value) -> String {
        json!({ "current": "p", "profiles": [{ "name": "other", "mode": "AK" }, profile] }).to_string()
    }

    #[test]
    fn the_profile_is_the_current_one_or_the_one_that_the_environment_names() {
        let key = |name: &str| json!({ "name": name, "mode": "AK", "access_key_id": name, "access_key_secret": "s" });
        let document = json!({ "current": "a", "profiles": [key("a"), key("b")] }).to_string();
        for (variables, name) in [(&[][..], "a"), (&[("ALIBABA_CLOUD_PROFILE", "b")], "b")] {
            let Ok(Lookup::Key(key)) = lookup_of(&document, variables) else { panic!() };
            assert_eq!((key.access_key_id.as_str(), key.provider), (name, "cli_profile/static_ak"));
        }
    }

    #[test]
    fn a_role_is_assumed_as_the_profile_says() {
        let profile = json!({
            "name": "p", "mode": "RamRoleArn", "access_key_id": "id", "access_key_secret": "hunter2",
            "sts_token": "", "ram_role_arn": "acs:ram::1:role/r", "ram_session_name": "me",
            "expired_seconds": 900, "sts_region": "cn-beijing", "enable_vpc": true, "external_id": "x",
        });
        let Ok(Lookup::Temporary(source)) = lookup_of(&document(profile), &[]) else { panic!() };
        assert!(!format!("{source:?}").contains("hunter2"));
        let Issuer::AccessKey { role, key } = source.from else { panic!() };
        assert_eq!((role.arn.as_str(), role.session_name.as_deref()), ("acs:ram::1:role/r", Some("me")));
        assert_eq!((role.duration.as_secs(), role.sts.as_str()), (900, "sts-vpc.cn-beijing.aliyuncs.com"));
        assert_eq!(role.external_id.as_deref(), Some("x"));
        assert!(key.security_token.is_none());
    }

    #[test]
    fn what_a_profile_does_not_say_the_environment_may() {
        let profile = json!({ "name": "p", "mode": "OIDC", "sts_region": "cn-beijing", "enable_vpc": false });
        let variables = [
            ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/r"),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/p"),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/token"),
            ("ALIBABA_CLOUD_ROLE_SESSION_NAME", "me"),
            ("ALIBABA_CLOUD_ECS_METADATA", "ours"),
        ];
        let Ok(Lookup::Temporary(source)) = lookup_of(&document(profile.clone()), &variables) else {
            panic!()
        };
        let Issuer::TokenFile { role, oidc_provider, token_file } = source.from else { panic!() };
        assert_eq!((role.arn.as_str(), role.session_name.as_deref()), ("acs:ram::1:role/r", Some("me")));
        assert_eq!((oidc_provider.as_str(), token_file), ("acs:ram::1:oidc-provider/p", "/token".into()));
        assert_eq!(role.sts, "sts.cn-beijing.aliyuncs.com");
        assert!(
            fault(&document(profile))
                .contains("has no `ram_role_arn`; add it, or set ALIBABA_CLOUD_ROLE_ARN")
        );

        let instance = json!({ "name": "p", "mode": "EcsRamRole" });
        let Ok(Lookup::Temporary(source)) = lookup_of(&document(instance), &variables) else { panic!() };
        assert!(source.from == Issuer::Instance { role_name: Some("ours".into()) });
    }

    #[test]
    fn a_mode_that_may_be_a_secret_in_the_wrong_place_is_not_shown() {
        for mode in ["hunter2hunter2hunter2hunter2xx", "huntertwohuntertwohuntertwo", "hunter2", "a-b"] {
            let fault = fault(&document(json!({ "name": "p", "mode": mode })));
            let text = "has a malformed mode, which is not shown here; use one of `AK`, `StsToken`";
            assert!(fault.contains(text) && !fault.contains(mode), "{fault}");
        }
    }

    #[test]
    fn a_mode_that_is_not_supported_is_named_with_those_that_are() {
        for mode in ["CloudSSO", "OAuth", "RsaKeyPair", "CredentialsURI"] {
            let fault = fault(&document(json!({ "name": "p", "mode": mode, "process_command": "hunter2" })));
            assert_eq!(
                fault,
                format!(
                    "profile `p` in /h/config.json has mode `{mode}`, which is not supported; use one of \
                         `AK`, `StsToken`, `RamRoleArn`, `EcsRamRole`, `OIDC`, `ChainableRamRoleArn`, `External`"
                )
            );
        }
    }

    #[test]
    fn a_role_is_assumed_with_what_another_profile_gives() {
        let chained = |name: &str, source: &str| json!({ "name": name, "mode": "ChainableRamRoleArn", "source_profile": source, "ram_role_arn": name });
        let key =
            json!({ "name": "key", "mode": "AK", "access_key_id": "id", "access_key_secret": "hunter2" });
        let instance = json!({ "name": "vm", "mode": "EcsRamRole" });
        let profiles = json!([
            key,
            instance,
            chained("a", "key"),
            chained("b", "a"),
            chained("c", "vm"),
            chained("d", "e"),
            chained("e", "d"),
            chained("f", "none"),
            chained("g", "")
        ]);
        let of = |name: &str| {
            let document = json!({ "current": name, "profiles": profiles });
            lookup_of(&document.to_string(), &[])
        };
        let source = |name: &str| match of(name) {
            Ok(Lookup::Temporary(source)) => source,
            other => panic!("{other:?}"),
        };
        let a = source("a");
        assert!(
            matches!(&a.from, Issuer::AccessKey { role, key } if role.arn == "a" && key.access_key_id == "id")
        );
        assert_eq!(a.provider, "cli_profile/chainable_ram_role_arn");
        assert!(
            matches!(source("b").from, Issuer::Chained { role, source } if role.arn == "b" && *source == a)
        );
        assert!(matches!(source("c").from, Issuer::Chained { source, .. }
            if source.from == Issuer::Instance { role_name: None }));
        for (name, problem) in
            [("d", "leads back to it"), ("f", "has no profile `none`"), ("g", "has no `source_profile`")]
        {
            let Err(NoCredential::Failed(error)) = of(name) else { panic!("{name}") };
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn a_program_may_print_the_credential() {
        let external =
            |command: &str| document(json!({ "name": "p", "mode": "external", "process_command": command }));
        let Ok(Lookup::Temporary(source)) = lookup_of(&external("tool --key hunter2"), &[]) else { panic!() };
        assert_eq!(source.provider, "cli_profile/external");
        assert!(!format!("{source:?}").contains("hunter2"), "{source:?}");
        assert!(fault(&external("tool 'hunter2")).contains("quotation mark without its counterpart"));
        assert!(fault(&external(" ")).contains("has no `process_command`"));
    }

    #[test]
    fn a_file_that_holds_no_profile_yet_is_waited_for() {
        let waits = |document: &str| match lookup_of(document, &[]) {
            Err(NoCredential::Failed(error)) => error.is_transient(),
            other => panic!("{document}: {other:?}"),
        };
        for document in ["", "{", "{}", "[]", r#"{"current": "p"}"#, r#"{"current": "p", "profiles": []}"#] {
            assert!(waits(document), "{document}");
        }
        assert!(!waits(r#"{"current": "p", "profiles": [{"name": "q", "mode": "AK"}]}"#));
    }

    #[test]
    fn a_secret_in_place_of_a_name_is_not_shown() {
        let secret = "hunter2hunter2hunter2hunter2xx";
        let document = json!({ "current": secret, "profiles": [{ "name": "p" }] }).to_string();
        assert!(fault(&document).contains("no profile of the wanted name, which is not shown here"));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_reported_with_its_place_and_no_content() {
        for (document, problem) in [
            ("{\n\"current\": hunter2", "is not JSON (line 2, column 12)"),
            ("", "is not JSON: it is empty"),
            ("{\"current\": \"hunter2", "is not JSON: it ends too early"),
            (r#"{"current": "p", "profiles": [], "current": "hunter2"}"#, "has `current` twice"),
            (
                r#"{"current": "p", "profiles": [{"name": "p", "mode": "AK", "mode": "OIDC"}]}"#,
                "has `mode` twice, with two values",
            ),
            (
                r#"{"hunter2hunter2hunter2hunter2xx": 1, "hunter2hunter2hunter2hunter2xx": 2}"#,
                "has a name twice, with two values",
            ),
            ("[]", "names no `current` profile"),
            (r#"{"current": "p"}"#, "has no profile `p`"),
            (r#"{"current": "p", "profiles": {"p": "hunter2"}}"#, "has no profile `p`"),
            (&document(json!({ "name": "p" })), "has no `mode`"),
            (
                &document(json!({ "name": "p", "mode": "AK", "access_key_secret": "hunter2" })),
                "has no `access_key_id`",
            ),
            (
                &document(json!({ "name": "p", "mode": "OIDC", "ram_role_arn": "r", "expired_seconds": 1 })),
                "`expired_seconds` of profile `p` in /h/config.json is not from 900",
            ),
        ] {
            let fault = fault(document);
            assert!(fault.contains("/h/config.json") && fault.contains(problem), "{fault}");
        }
    }
}
