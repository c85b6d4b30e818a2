//! Which profile counts, what each mode gives, and what is wrong with one.

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
    let key =
        |name: &str| json!({ "name": name, "mode": "AK", "access_key_id": name, "access_key_secret": "s" });
    let document = json!({ "current": "a", "profiles": [key("a"), key("b")] }).to_string();
    for (variables, name) in [(&[][..], "a"), (&[("ALIBABA_CLOUD_PROFILE", "b")], "b")] {
        let Ok(Lookup::Key(key)) = lookup_of(&document, variables) else { panic!() };
        assert_eq!((key.access_key_id.as_str(), key.provider), (name, "cli_profile/static_ak"));
    }
    // The profile file may have it.
    let Err(NoCredential::NotConfigured(reason)) = lookup_of(&document, &[("ALIBABA_CLOUD_PROFILE", "c")])
    else {
        panic!()
    };
    assert!(reason.contains("/h/config.json has no profile `c`"), "{reason}");
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
    let Ok(Lookup::Temporary(source)) = lookup_of(&document(profile.clone()), &variables) else { panic!() };
    let Issuer::TokenFile { role, oidc_provider, token_file } = source.from else { panic!() };
    assert_eq!((role.arn.as_str(), role.session_name.as_deref()), ("acs:ram::1:role/r", Some("me")));
    assert_eq!((oidc_provider.as_str(), token_file), ("acs:ram::1:oidc-provider/p", "/token".into()));
    assert_eq!(role.sts, "sts.cn-beijing.aliyuncs.com");
    assert!(
        fault(&document(profile)).contains("has no `ram_role_arn`; add it, or set ALIBABA_CLOUD_ROLE_ARN")
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
    let key = json!({ "name": "key", "mode": "AK", "access_key_id": "id", "access_key_secret": "hunter2" });
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
    assert!(matches!(source("b").from, Issuer::Chained { role, source } if role.arn == "b" && *source == a));
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
fn a_client_that_a_program_has_started_starts_no_program() {
    let document = document(json!({ "name": "p", "mode": "External", "process_command": "idaas" }));
    let Err(NoCredential::Failed(error)) = lookup_of(&document, &[(MARK, "1")]) else { panic!() };
    let text = "the `process_command` of profile `p` in /h/config.json is not run: this program was itself";
    assert!(error.to_string().starts_with(text), "{error}");
}

#[test]
fn a_role_of_the_instance_that_is_switched_off_is_a_fault_of_the_profile() {
    let document = document(json!({ "name": "p", "mode": "EcsRamRole" }));
    let Err(NoCredential::Failed(error)) =
        lookup_of(&document, &[("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")])
    else {
        panic!()
    };
    let text = "profile `p` in /h/config.json is the role of the instance, which is switched off by";
    assert!(error.to_string().starts_with(text), "{error}");
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
