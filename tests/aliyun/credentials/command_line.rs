//! Profiles of the command line that take their credential from elsewhere: another profile, or a program.

use super::log::{Log, forms};
use super::*;

const KEY: &str = "not-a-real-access-key-secret";

/// Writes `~/.aliyun/config.json` with these profiles.
fn write_profiles(fixture: &Fixture, current: &str, profiles: &Value) {
    let document = json!({ "current": current, "profiles": profiles });
    fixture.write(".aliyun/config.json", &document.to_string());
}

fn base() -> Value {
    json!({ "name": "base", "mode": "AK", "access_key_id": "LTAI_test", "access_key_secret": KEY })
}

fn chained(name: &str, source: &str) -> Value {
    json!({
        "name": name, "mode": "ChainableRamRoleArn", "source_profile": source,
        "ram_role_arn": StsService::ROLE_ARN, "ram_session_name": name,
    })
}

/// A profile whose program is started without a shell.
fn external(command: &str) -> Value {
    json!({ "name": "external", "mode": "External", "process_command": command })
}

/// The program prints what is in this file.
fn printed(fixture: &Fixture, text: &str) -> String {
    format!("cat '{}'", fixture.write("printed", text).display())
}

#[tokio::test]
async fn a_role_is_assumed_with_what_another_profile_gives() {
    let fixture = Fixture::new().await;
    write_profiles(&fixture, "role", &json!([base(), chained("role", "base")]));
    fixture.client(&nothing()).token().await.unwrap();
    assert!(fixture.signer().starts_with("STS.test"));
    let requests = fixture.sts.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["x-acs-action"], "AssumeRole");
    assert_eq!(requests[0].parameter("RoleArn"), Some(StsService::ROLE_ARN));
    assert_eq!(requests[0].parameter("RoleSessionName"), Some("role"));
    assert!(requests[0].headers["authorization"].to_str().unwrap().contains("Credential=LTAI_test,"));
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_named_with_the_permission() {
    let fixture = Fixture::new().await;
    write_profiles(&fixture, "role", &json!([base(), chained("role", "base")]));
    fixture.sts.set_behaviour(Behaviour::openapi_error(StatusCode::FORBIDDEN, "NoPermission"));
    let off = with(nothing(), "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    let error = failure(&fixture.client(&off)).await;
    let hint = format!("allow `sts:AssumeRole` on `{}`", StsService::ROLE_ARN);
    assert!(error.to_string().contains(&hint), "{hint} is missing in: {error}");
}

#[tokio::test]
async fn a_chain_of_roles_is_followed_to_its_end_from_each_kind_of_source() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    let sts = AccessKey::new("STS.printed", "s3cret").with_security_token("t0ken");
    fixture.open_api.add_access_key(sts);
    let key = r#"{"mode":"StsToken","access_key_id":"STS.printed","access_key_secret":"s3cret","sts_token":"t0ken"}"#;
    let oidc = json!({
        "name": "oidc", "mode": "OIDC", "ram_role_arn": StsService::ROLE_ARN,
        "oidc_provider_arn": StsService::OIDC_PROVIDER_ARN, "oidc_token_file": fixture.token_file(),
    });
    let profiles = json!([
        base(),
        oidc,
        external(&printed(&fixture, key)),
        { "name": "node", "mode": "EcsRamRole" },
        chained("one", "base"),
        chained("two", "one"),
        chained("of-oidc", "oidc"),
        chained("of-external", "external"),
        chained("of-node", "node"),
    ]);
    // The profile, how many calls of STS it takes, and who signs the last of them.
    for (current, calls, signer) in [
        ("two", 2, "STS.test"),
        ("of-oidc", 2, "STS.test"),
        ("of-external", 1, "STS.printed"),
        ("of-node", 1, "STS.test"),
    ] {
        let before = fixture.sts.requests().len();
        write_profiles(&fixture, current, &profiles);
        fixture.client(&nothing()).token().await.unwrap_or_else(|error| panic!("{current}: {error}"));
        let requests = fixture.sts.requests();
        assert_eq!(requests.len() - before, calls, "{current}");
        let last = requests.last().unwrap();
        assert_eq!(last.parameter("RoleSessionName"), Some(current));
        assert!(last.headers.contains_key("x-acs-security-token"), "{current}");
        let authorization = last.headers["authorization"].to_str().unwrap();
        assert!(authorization.contains(&format!("Credential={signer}")), "{current}: {authorization}");
    }
    assert_eq!(fixture.open_api.tokens_issued(), 4);
}

#[tokio::test]
async fn a_chain_that_leads_nowhere_is_reported_with_its_profiles() {
    let fixture = Fixture::new().await;
    let off = with(nothing(), "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    for (profiles, part) in [
        (json!([chained("role", "absent")]), "has no profile `absent`"),
        (json!([chained("role", "other"), chained("other", "role")]), "leads back to it"),
        (json!([chained("role", "role")]), "leads back to it"),
        (json!([chained("role", " ")]), "profile `role`"),
    ] {
        write_profiles(&fixture, "role", &profiles);
        let error = failure(&fixture.client(&off)).await;
        assert!(!error.is_transient() && error.to_string().contains(part), "{part} is missing in: {error}");
    }
    assert_eq!(fixture.sts.requests().len(), 0);
}

#[tokio::test]
async fn a_program_prints_a_permanent_or_a_temporary_key() {
    let fixture = Fixture::new().await;
    fixture.open_api.add_access_key(AccessKey::new("STS.printed", "s3cret").with_security_token("t0ken"));
    let in_an_hour = humantime::format_rfc3339_seconds(fixture.clock.now().after(60 * MINUTE).system_time());
    for (text, id) in [
        (format!(r#"{{"mode":"AK","access_key_id":"LTAI_test","access_key_secret":"{KEY}"}}"#), "LTAI_test"),
        (
            format!(
                r#"{{"mode":"StsToken","access_key_id":"STS.printed","access_key_secret":"s3cret",
                     "sts_token":"t0ken","expiration":"{in_an_hour}"}}"#
            ),
            "STS.printed",
        ),
    ] {
        write_profiles(&fixture, "external", &json!([external(&printed(&fixture, &text))]));
        fixture.client(&nothing()).token().await.unwrap();
        assert_eq!(fixture.signer(), id);
    }
}

#[tokio::test]
async fn a_program_is_run_again_when_its_key_is_due_and_not_before() {
    let fixture = Fixture::new().await;
    let count = fixture.folder.path().join("count");
    let key = |minutes| {
        let end =
            humantime::format_rfc3339_seconds(fixture.clock.now().after(minutes * MINUTE).system_time());
        let id = format!("STS.{minutes}");
        fixture.open_api.add_access_key(AccessKey::new(&id, "s3cret").with_security_token("t0ken"));
        format!(
            r#"{{"mode":"StsToken","access_key_id":"{id}","access_key_secret":"s3cret","sts_token":"t0ken","expiration":"{end}"}}"#
        )
    };
    let file = fixture.write("printed", &key(60));
    let command = format!("sh -c \"echo x >> '{}'; cat '{}'\"", count.display(), file.display());
    write_profiles(&fixture, "external", &json!([external(&command)]));
    let runs = || std::fs::read_to_string(&count).unwrap().lines().count();
    let idaas = fixture.client(&nothing());
    idaas.token().await.unwrap();
    fixture.outlive_the_token();
    idaas.token().await.unwrap();
    assert_eq!((runs(), fixture.signer().as_str()), (1, "STS.60"), "its key has 39 minutes left");
    fixture.write("printed", &key(180));
    fixture.clock.advance(40 * MINUTE);
    idaas.token().await.unwrap();
    assert_eq!((runs(), fixture.signer().as_str()), (2, "STS.180"), "its key has ended");
}

/// A command, the kind of the error, and what it says.
#[tokio::test]
async fn a_program_that_prints_no_key_is_reported_in_time_and_no_other_identity_is_taken() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    let html = printed(&fixture, "<html><title>hunter2: please log in</title></html>");
    let past = r#"{"mode":"StsToken","access_key_id":"i","access_key_secret":"hunter2","sts_token":"hunter2","expiration":"2020-01-01T00:00:00Z"}"#;
    let past = format!("cat '{}'", fixture.write("past", past).display());
    for (command, kind, part) in [
        ("sleep 60", ErrorKind::Timeout, "was not done within 300ms and was stopped"),
        // The daemon is in a session of its own, and holds the output open.
        (
            "sh -c 'setsid sleep 25 & exit 0'",
            ErrorKind::Timeout,
            "has ended, and a program that it started still held its output open after 300ms",
        ),
        (
            "sh -c 'echo hunter2 >&2; exit 1'",
            ErrorKind::Unavailable,
            "failed (exit status: 1); run it by hand",
        ),
        (html.as_str(), ErrorKind::InvalidResponse, "bytes that are no JSON object"),
        ("true", ErrorKind::InvalidResponse, "printed 0 bytes"),
        ("yes hunter2", ErrorKind::InvalidResponse, "prints more than 64 KiB"),
        (past.as_str(), ErrorKind::InvalidResponse, "has expired already (check this machine's clock)"),
    ] {
        write_profiles(&fixture, "external", &json!([external(command)]));
        let idaas = fixture.builder(&nothing()).read_timeout(Duration::from_millis(300)).build().unwrap();
        let started = std::time::Instant::now();
        let error = failure(&idaas).await;
        assert!(started.elapsed() < Duration::from_secs(20), "{command}");
        assert_eq!((error.kind(), error.is_transient()), (kind, true), "{command}: {error}");
        for part in ["profile of the command line: the `process_command` of profile `external`", part] {
            assert!(error.to_string().contains(part), "{part} is missing in: {error}");
        }
        assert!(!everything(&error).contains("hunter2"), "{error:?}");
    }
    assert_eq!((fixture.metadata.requests().len(), fixture.open_api.requests().len()), (0, 0));
}

#[tokio::test]
async fn a_program_that_works_again_is_used_again() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    let file = fixture.folder.path().join("late");
    write_profiles(&fixture, "external", &json!([external(&format!("cat '{}'", file.display()))]));
    let idaas = fixture.client(&nothing());
    assert!(failure(&idaas).await.to_string().contains("failed (exit status: 1)"));
    let key = format!(r#"{{"mode":"AK","access_key_id":"LTAI_test","access_key_secret":"{KEY}"}}"#);
    std::fs::write(&file, key).unwrap();
    fixture.clock.advance(MINUTE);
    idaas.token().await.unwrap();
    assert_eq!((fixture.signer().as_str(), fixture.metadata.requests().len()), ("LTAI_test", 0));
}

#[tokio::test]
async fn neither_the_command_nor_what_it_prints_is_logged() {
    let log = Log::start();
    let fixture = Fixture::new().await;
    let off = with(nothing(), "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    let key = format!(r#"{{"mode":"AK","access_key_id":"LTAI_test","access_key_secret":"{KEY}"}}"#);
    let good = printed(&fixture, &key);
    for (command, works) in [
        (good.as_str(), true),
        ("sh -c 'echo Hunter2marker; echo Hunter2marker >&2; exit 1'", false),
        ("/no/such/program --key Hunter2marker", false),
        ("echo Hunter2marker", false),
    ] {
        write_profiles(&fixture, "external", &json!([external(command)]));
        let idaas = fixture.client(&off);
        assert_eq!(idaas.token().await.is_ok(), works, "{command}");
        assert!(!format!("{idaas:?}").contains("Hunter2marker"));
    }
    let text = log.text();
    for form in ["Hunter2marker", KEY].iter().flat_map(|secret| forms(secret)) {
        assert!(!text.contains(&form), "{form} is in the log");
    }
    assert!(text.contains("cli_profile/external"), "the log does not say where the key came from");
}

#[tokio::test]
async fn modes_that_need_a_browser_are_refused_by_name() {
    let fixture = Fixture::new().await;
    let off = with(nothing(), "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    for mode in ["CloudSSO", "OAuth"] {
        let profile = json!({
            "name": "p", "mode": mode, "access_token": "hunter2", "oauth_access_token": "hunter2",
            "access_key_id": "LTAI_test", "access_key_secret": KEY, "sts_token": "hunter2",
        });
        write_profiles(&fixture, "p", &json!([profile, chained("role", "p")]));
        let error = failure(&fixture.client(&off)).await;
        let part = format!("has mode `{mode}`, which is not supported; use one of `AK`, `StsToken`");
        assert!(error.to_string().contains(&part), "{error}");
        assert!(!everything(&error).contains("hunter2") && !everything(&error).contains(KEY), "{error:?}");

        let chain = with(nothing(), "ALIBABA_CLOUD_PROFILE", "role");
        chain.set("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
        let error = failure(&fixture.client(&chain)).await;
        assert!(error.to_string().contains(&part), "{error}");
    }
    assert_eq!((fixture.open_api.requests().len(), fixture.sts.requests().len()), (0, 0));
}

#[tokio::test]
async fn the_environment_says_where_sts_is() {
    let fixture = Fixture::new().await;
    let environment = fixture.rrsa();
    environment.set("HOME", fixture.folder.path());
    environment.set("ALIBABA_CLOUD_STS_REGION", "cn-beijing");
    environment.set("ALIBABA_CLOUD_STS_ENDPOINT", fixture.sts.endpoint());
    let idaas = Idaas::builder()
        .config_file(fixture.open_api.write_config(fixture.folder.path()).unwrap())
        .environment(environment)
        .clock(fixture.clock.clone())
        .root_certificate(fixture.idaas.root_certificate_pem())
        .metadata_address(fixture.metadata.address())
        .build()
        .unwrap();
    idaas.token().await.unwrap();
    assert_eq!(fixture.sts.credentials_issued(), 1);
}

#[tokio::test]
async fn a_profile_that_is_briefly_gone_is_not_replaced_by_the_role_of_the_node() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("node-role", &fixture.open_api);
    write_profiles(&fixture, "base", &json!([base()]));
    let idaas = fixture.client(&nothing());
    idaas.token().await.unwrap();
    let path = fixture.folder.path().join(".aliyun/config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let scope = |number: u32| format!("api://{number}|read").parse().unwrap();
    for (number, torn) in
        [None, Some(""), Some("{\"current\": \"base\""), Some("{\"profiles\": []}")].iter().enumerate()
    {
        match torn {
            None => std::fs::remove_file(&path).unwrap(),
            Some(torn) => std::fs::write(&path, torn).unwrap(),
        }
        idaas.token_for(&scope(u32::try_from(number).unwrap())).await.unwrap();
        assert_eq!(fixture.signer(), "LTAI_test", "{torn:?}");
    }
    fixture.clock.advance(MINUTE / 2);
    std::fs::write(&path, text).unwrap();
    idaas.token_for(&scope(10)).await.unwrap();
    assert_eq!((fixture.signer().as_str(), fixture.metadata.requests().len()), ("LTAI_test", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_shuts_down_stops_the_program_and_does_not_wait_for_it() {
    let fixture = Fixture::new().await;
    let noted = fixture.folder.path().join("pid");
    let command = format!("sh -c 'echo $$ > {}; exec sleep 60'", noted.display());
    write_profiles(&fixture, "external", &json!([external(&command)]));
    let idaas = fixture.client(&nothing());
    let (delay, pid) = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.spawn(async move { idaas.token().await.map(drop) });
        let pid = runtime.block_on(async {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let text = std::fs::read_to_string(&noted).unwrap_or_default();
                if text.ends_with('\n') {
                    return text.trim().to_owned();
                }
            }
        });
        let began = std::time::Instant::now();
        drop(runtime);
        (began.elapsed(), pid)
    })
    .await
    .unwrap();
    assert!(delay < Duration::from_secs(2), "{delay:?}");
    assert!(!Path::new("/proc").join(pid).exists());
}
