//! `idaas cloud-role`: credentials as other programs read them.

use serde_json::Value;
use tower_idaas_testing::{CloudVendor, DeveloperApi};

use super::{Fixture, assert_fails, done};

pub(crate) const ALIBABA: &str = "acs:ram::1234567890123456:role/reader";
pub(crate) const AWS: &str = "arn:aws:iam::123456789012:role/reader";

pub(crate) async fn fixture() -> (Fixture, DeveloperApi) {
    let fixture = Fixture::new().await;
    let api = fixture.server.start_developer_api().await.unwrap();
    api.add_role(ALIBABA, CloudVendor::AlibabaCloud);
    api.add_role(AWS, CloudVendor::Aws);
    let mut config: Value = serde_json::from_slice(&std::fs::read(&fixture.config).unwrap()).unwrap();
    let root = config.as_object_mut().unwrap();
    root.insert("developerApiEndpoint".to_owned(), api.endpoint().into());
    root.insert("scope".to_owned(), "urn:cloud:idaas:pam|.all".into());
    std::fs::write(&fixture.config, config.to_string()).unwrap();
    (fixture, api)
}

fn text_of(json: &Value, key: &str) -> String {
    json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn each_format_is_what_its_reader_takes() {
    let (fixture, _api) = fixture().await;
    let json = |output: &str| serde_json::from_str::<Value>(output).unwrap();
    let all = json(done(&fixture.run(&["cloud-role", ALIBABA]).await));
    assert_eq!(text_of(&all, "cloud"), "alibaba-cloud");
    assert!(!text_of(&all, "access_key_secret").is_empty() && text_of(&all, "expires_at").ends_with('Z'));

    let aliyun = json(done(&fixture.run(&["cloud-role", ALIBABA, "--format", "aliyun"]).await));
    assert_eq!(text_of(&aliyun, "mode"), "StsToken");
    for key in ["access_key_id", "access_key_secret", "sts_token", "expiration"] {
        assert!(!text_of(&aliyun, key).is_empty(), "{key}");
    }

    let aws = json(done(&fixture.run(&["cloud-role", AWS, "--format", "aws"]).await));
    assert_eq!(aws.get("Version"), Some(&1.into()));
    for key in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
        assert!(!text_of(&aws, key).is_empty(), "{key}");
    }
}

#[tokio::test]
async fn a_session_is_as_long_and_its_token_for_the_scope_as_the_arguments_say() {
    let (fixture, api) = fixture().await;
    let scope = "urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential";
    let arguments = ["cloud-role", ALIBABA, "--session-duration", "15m", "--idaas-scope", scope];
    done(&fixture.run(&arguments).await);
    let request = api.requests().pop().unwrap();
    assert!(request.uri.query().unwrap().contains("durationSeconds=900"), "{:?}", request.uri);
    let token = fixture.server.requests().pop().unwrap();
    assert_eq!(token.scope.as_deref(), Some(scope));
}

#[cfg(unix)]
#[tokio::test]
async fn a_client_that_would_sign_with_a_profile_that_starts_it_does_not_start_itself_without_end() {
    let fixture = Fixture::new().await;
    let open_api = fixture.server.start_open_api().await.unwrap();
    std::fs::write(&fixture.config, open_api.client_config()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let count = home.path().join("count");
    let command = format!(
        "sh -c \"echo x >> '{}'; exec '{}' cloud-role {ALIBABA} --format aliyun\"",
        count.display(),
        env!("CARGO_BIN_EXE_idaas")
    );
    let profile = serde_json::json!({ "name": "p", "mode": "External", "process_command": command });
    let profiles = serde_json::json!({ "current": "p", "profiles": [profile] });
    std::fs::create_dir(home.path().join(".aliyun")).unwrap();
    std::fs::write(home.path().join(".aliyun/config.json"), profiles.to_string()).unwrap();
    let mut variables = fixture.variables("").to_vec();
    variables.extend([
        ("HOME", home.path().to_str().unwrap()),
        ("PATH", "/usr/bin:/bin"),
        ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"),
    ]);
    let output = super::run(&["token"], &variables).await;
    assert_fails(&output, 1, &["the `process_command` of profile `p`"]);
    // Once for each attempt of the first client.
    let started = std::fs::read_to_string(&count).unwrap().lines().count();
    assert!((1..=3).contains(&started), "{started}");
}

#[tokio::test]
async fn variables_are_lines_that_a_shell_evaluates() {
    let (fixture, _api) = fixture().await;
    for (role, name) in [(ALIBABA, "ALIBABA_CLOUD_SECURITY_TOKEN"), (AWS, "AWS_SESSION_TOKEN")] {
        let output = fixture.run(&["cloud-role", role, "--format", "env"]).await;
        let script = format!("{}\nprintf %s \"${name}\"", done(&output));
        let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(shell.status.success() && !shell.stdout.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_format_of_another_cloud_and_a_role_that_is_not_there_fail() {
    let (fixture, _api) = fixture().await;
    assert_fails(
        &fixture.run(&["cloud-role", AWS, "--format", "aliyun"]).await,
        1,
        &["not one of Alibaba Cloud"],
    );
    assert_fails(&fixture.run(&["cloud-role", ALIBABA, "--format", "aws"]).await, 1, &["not one of AWS"]);
    assert_fails(&fixture.run(&["cloud-role", "acs:ram::1:role/none"]).await, 1, &["role"]);
}

#[tokio::test]
async fn what_is_no_arn_is_refused_before_anything_is_sent() {
    let (fixture, _api) = fixture().await;
    for (role, code, expected) in
        [(" ", 2, "is blank"), ("a\nb", 2, "control character"), (&*"a".repeat(2049), 3, "longer than 2048")]
    {
        assert_fails(&fixture.run(&["cloud-role", role]).await, code, &[expected]);
    }
    assert_eq!(fixture.server.token_requests(), 0);
}
