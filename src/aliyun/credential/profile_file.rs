//! The profile file of the vendor's SDKs, read at each use: `~/.alibabacloud/credentials`, or `credentials.ini` beside
//! it, which the SDK for Python reads.

use std::collections::HashSet;
use std::path::Path;

use configparser::ini::Ini;
use zeroize::Zeroize;

use crate::aliyun::credential::file;
use crate::aliyun::credential::lookup::{Lookup, NoCredential};
use crate::aliyun::credential::profile::{Dialect, Profile, Spelling};
use crate::environment::{Environment, looks_like_a_variable};
use crate::secret::path::redacted_path;

const FILE: &str = "ALIBABA_CLOUD_CREDENTIALS_FILE";

/// The section that counts when none is chosen.
const DEFAULT: &str = "default";

static DIALECT: Dialect = Dialect {
    kind: "type",
    access_key: Spelling { kind: "access_key", provider: "profile/static_ak" },
    sts_token: Spelling { kind: "sts", provider: "profile/static_sts" },
    assumed_role: Spelling { kind: "ram_role_arn", provider: "profile/ram_role_arn/static_ak" },
    instance_role: Spelling { kind: "ecs_ram_role", provider: "profile/ecs_ram_role" },
    oidc_role: Spelling { kind: "oidc_role_arn", provider: "profile/oidc_role_arn" },
    others: &[],
    security_token: "security_token",
    role_arn: "role_arn",
    session_name: "role_session_name",
    role_name: "role_name",
    token_file: "oidc_token_file_path",
    duration: "duration_seconds",
};

pub(super) fn lookup(environment: &Environment) -> Result<Lookup, NoCredential> {
    if let Some(path) = file::variable(FILE, environment)? {
        let path = file::named(FILE, &path, environment)?;
        let missing =
            || NoCredential::failed(format!("{} does not exist; check {FILE}", redacted_path(&path)));
        return from_file(&path, environment)?.ok_or_else(missing);
    }
    let home = environment.home().ok_or_else(file::no_home)?;
    let path = home.join(".alibabacloud").join("credentials");
    for path in [&path, &path.with_extension("ini")] {
        if let Some(lookup) = from_file(path, environment)? {
            return Ok(lookup);
        }
    }
    let missing = format!("{} does not exist, nor does credentials.ini beside it", redacted_path(&path));
    // The lookup before this one has no such profile either, and no other identity takes the place of a chosen one.
    Err(match file::variable(file::CHOSEN, environment)? {
        Some(_) => {
            let chosen = file::CHOSEN;
            NoCredential::unreadable(format!(
                "{missing}, although {chosen} chooses a profile; unset it, or add it"
            ))
        }
        None => NoCredential::Missing(missing),
    })
}

/// The lookup of this file, or `None` if it does not exist.
fn from_file(path: &Path, environment: &Environment) -> Result<Option<Lookup>, NoCredential> {
    let text = file::read(path)?;
    text.map(|text| from_text(&text, path, environment)).transpose()
}

fn from_text(text: &str, path: &Path, environment: &Environment) -> Result<Lookup, NoCredential> {
    let chosen = file::variable(file::CHOSEN, environment)?;
    let mut ini = Ini::new_cs();
    // No policy contains one, and the vendor's SDKs also cut a value there.
    ini.set_inline_comment_symbols(Some(&['#']));
    // The parser's message may quote the file's content.
    let parsed = ini.read(text.to_owned());
    let mut copy = parsed
        .map_err(|_| NoCredential::unreadable(format!("{} is not an INI file", redacted_path(path))))?;
    let lookup = match repeated(text) {
        None => from_section(&ini, chosen.as_deref(), path, environment),
        Some((what, line)) => Err(NoCredential::unreadable(format!(
            "{} has the {what} of line {line} twice; remove one",
            redacted_path(path)
        ))),
    };
    for sections in [ini.get_mut_map(), &mut copy] {
        sections.values_mut().flat_map(|values| values.values_mut()).flatten().for_each(Zeroize::zeroize);
    }
    lookup
}

/// The first section or key that the file has twice, and its line. The parser merges sections, and takes the last of
/// several values.
fn repeated(text: &str) -> Option<(&'static str, usize)> {
    let (mut section, mut seen) = ("", HashSet::new());
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let (what, name) = match line.strip_prefix('[') {
            Some(rest) => {
                section = rest.rfind(']').and_then(|end| rest.get(..end)).unwrap_or_default().trim();
                ("section", None)
            }
            None => ("key", line.split(['=', ':']).next().map(str::trim)),
        };
        if !seen.insert((section, name)) {
            return Some((what, number));
        }
    }
    None
}

fn from_section(
    ini: &Ini,
    chosen: Option<&str>,
    path: &Path,
    environment: &Environment,
) -> Result<Lookup, NoCredential> {
    let place = redacted_path(path);
    let (section, sections) = (chosen.unwrap_or(DEFAULT), ini.get_map_ref());
    let fields = sections.get(section).ok_or_else(|| match (chosen.is_some(), looks_like_a_variable(section)) {
        // Sections for others, and nothing that chooses one.
        (false, _) if !sections.is_empty() => NoCredential::failed(format!(
            "{place} has no section `[{section}]`; choose another one with ALIBABA_CLOUD_PROFILE"
        )),
        // The file may be half written.
        (false, _) => NoCredential::unreadable(format!("{place} has no section `[{section}]`; add it")),
        (true, true) => NoCredential::unreadable(format!(
            "{place} has no section `[{section}]`; check ALIBABA_CLOUD_PROFILE"
        )),
        (true, false) => NoCredential::unreadable(format!(
            "{place} has no section of the name in ALIBABA_CLOUD_PROFILE, which is not shown here; check it"
        )),
    })?;
    let field = |name: &str| fields.get(name)?.clone();
    if field("enable").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        return Err(NoCredential::not_configured(format!(
            "section `[{section}]` of {place} is switched off by `enable`"
        )));
    }
    let place = format!("section `[{section}]` of {place}");
    let profile = Profile { dialect: &DIALECT, place, field: &field, environment };
    profile.lookup().map_err(|failure| match failure {
        // An INI file does not show where it ends, so a field that is missing may be one that is not written yet.
        NoCredential::Failed(error) if profile.may_be_cut_short() => {
            NoCredential::Failed(error.with_transient(true))
        }
        failure => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aliyun::credential::lookup::Issuer;
    use crate::environment::ManualEnvironment;

    fn lookup_of(text: &str, variables: &[(&str, &str)]) -> Result<Lookup, NoCredential> {
        let environment = ManualEnvironment::from_iter(variables.iter().copied());
        from_text(text, Path::new("/h/credentials"), &Environment::Manual(environment))
    }

    #[test]
    fn a_section_is_a_profile() {
        let text = "; all of us\n[default]\ntype = access_key # mine\naccess_key_id=id\n\
                    access_key_secret = s3cret\n[Ops]\ntype=sts\naccess_key_id=ops\n\
                    access_key_secret=x\nsecurity_token = a=b:c;d==\n[off]\nenable = false\n";
        let Ok(Lookup::Key(key)) = lookup_of(text, &[]) else { panic!() };
        assert_eq!((key.access_key_id.as_str(), key.access_key_secret.expose_secret()), ("id", "s3cret"));
        let Ok(Lookup::Key(key)) = lookup_of(text, &[("ALIBABA_CLOUD_PROFILE", "Ops")]) else { panic!() };
        assert_eq!(key.security_token.unwrap().expose_secret(), "a=b:c;d==");
        assert!(matches!(
            lookup_of(text, &[("ALIBABA_CLOUD_PROFILE", "off")]),
            Err(NoCredential::NotConfigured(_))
        ));
    }

    #[test]
    fn a_role_is_assumed_as_the_section_says() {
        let text = "[default]\ntype=oidc_role_arn\nrole_arn=acs:ram::1:role/r\n\
                    oidc_provider_arn=acs:ram::1:oidc-provider/p\noidc_token_file_path=~/token\n";
        let Ok(Lookup::Temporary(source)) = lookup_of(text, &[]) else { panic!() };
        let Issuer::TokenFile { role, oidc_provider, token_file } = source.from else { panic!() };
        assert_eq!((role.arn.as_str(), role.duration.as_secs()), ("acs:ram::1:role/r", 3600));
        assert_eq!((oidc_provider.as_str(), token_file), ("acs:ram::1:oidc-provider/p", "~/token".into()));
    }

    #[test]
    fn a_file_that_may_be_half_written_is_waited_for() {
        let whole = "[default]\ntype = ram_role_arn\naccess_key_id = id\naccess_key_secret = s\n\
                     role_arn = acs:ram::1:role/r\n";
        let key = "[default]\ntype = access_key\naccess_key_id = id\naccess_key_secret = ";
        assert!(matches!(lookup_of(whole, &[]), Ok(Lookup::Temporary(_))));
        let cuts =
            |text: &'static str, last: &str| (0..=text.find(last).unwrap()).map(move |end| &text[..end]);
        for text in cuts(whole, "acs:").chain(cuts(key, "access_key_secret")).chain([key]) {
            let Err(NoCredential::Failed(error)) = lookup_of(text, &[]) else { panic!("{text}") };
            assert!(error.is_transient(), "{text}: {error}");
        }
        // Nothing follows a whole type that makes it another one.
        for kind in ["rsa_key_pair", "bearer", "hunter2hunter2hunter2hunter2xx"] {
            let text = format!("[default]\ntype={kind}\n");
            let Err(NoCredential::Failed(error)) = lookup_of(&text, &[]) else { panic!("{kind}") };
            assert!(!error.is_transient(), "{error}");
        }
    }

    #[test]
    fn a_secret_in_place_of_a_name_is_not_shown() {
        let secret = "hunter2hunter2hunter2hunter2xx";
        let Err(NoCredential::Failed(error)) = lookup_of("[a]\n", &[("ALIBABA_CLOUD_PROFILE", secret)])
        else {
            panic!()
        };
        assert!(error.to_string().contains("which is not shown here"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_secret_in_place_of_the_path_is_not_shown_and_what_is_not_unicode_ends_the_search() {
        let secret = "hunter2Kj3n9Zq0LmP8sVx7Rt2Yb5N";
        let error_of = |value: &std::ffi::OsStr| {
            let environment = ManualEnvironment::new();
            environment.set(FILE, value);
            let Err(NoCredential::Failed(error)) = lookup(&Environment::Manual(environment)) else {
                panic!()
            };
            format!("{error} {error:?}")
        };
        let error = error_of(secret.as_ref());
        assert!(error.contains("does not exist; check ALIBABA_CLOUD_CREDENTIALS_FILE"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        #[cfg(unix)]
        {
            let broken = std::os::unix::ffi::OsStrExt::from_bytes(b"/credentials\xff");
            assert!(error_of(broken).contains("is not valid Unicode"));
        }
    }

    #[test]
    fn a_chosen_section_that_is_missing_ends_the_search_and_sections_of_which_none_is_chosen_are_passed_over()
    {
        let ops = "[Ops]\ntype=sts\naccess_key_id=ops\naccess_key_secret=s\nsecurity_token=t\n";
        let chosen = &[("ALIBABA_CLOUD_PROFILE", "dev")][..];
        for (text, variables, ends) in [("", &[][..], true), (ops, &[], false), (ops, chosen, true)] {
            let failure = lookup_of(text, variables).unwrap_err();
            let NoCredential::Failed(error) = failure else { panic!("{failure:?}") };
            assert_eq!(error.is_transient(), ends, "{text:?} {variables:?}: {error}");
        }
        let off = format!("{ops}[default]\nenable = false\n");
        assert!(matches!(lookup_of(&off, &[]), Err(NoCredential::NotConfigured(_))));
    }

    #[test]
    fn a_chosen_profile_that_no_file_has_ends_the_search() {
        let home = tempfile::tempdir().unwrap();
        let environment = ManualEnvironment::new();
        environment.set("HOME", home.path());
        let lookup = || lookup(&Environment::Manual(environment.clone()));
        assert!(matches!(lookup(), Err(NoCredential::Missing(_))));
        environment.set("ALIBABA_CLOUD_PROFILE", "dev");
        let Err(NoCredential::Failed(error)) = lookup() else { panic!() };
        assert!(
            error.is_transient() && error.to_string().contains("ALIBABA_CLOUD_PROFILE chooses"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_with_the_file_is_reported_with_its_place_and_no_content() {
        for (text, problem) in [
            ("[hunter2", "is not an INI file"),
            ("", "has no section `[default]`"),
            ("[default]\ntype=sts\n# [default]\n\n [default] # again\n", "has the section of line 5 twice"),
            ("[a]\ntype=sts\n[default]\ntype=sts\ntype:sts", "has the key of line 5 twice"),
            ("[default]\naccess_key_secret=hunter2", "has no `type`"),
            ("[default]\ntype=access_key\naccess_key_secret=hunter2", "has no `access_key_id`"),
            (
                "[default]\ntype=hunter2hunter2hunter2hunter2xx",
                "has a malformed type, which is not shown here",
            ),
            (
                "[default]\ntype=rsa_key_pair\nprivate_key_file=hunter2",
                "has type `rsa_key_pair`, which is not supported; use one of `access_key`, `sts`, \
                 `ram_role_arn`, `ecs_ram_role`, `oidc_role_arn`",
            ),
        ] {
            let Err(NoCredential::Failed(error)) = lookup_of(text, &[]) else { panic!("{text}") };
            assert!(
                error.to_string().contains(problem) && error.to_string().contains("/h/credentials"),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
