//! `idaas config`: templates, faults, explanations, the schema.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::{assert_fails, done, run, text};

const METHODS: [&str; 8] = [
    "CLIENT_SECRET_BASIC",
    "CLIENT_SECRET_POST",
    "CLIENT_SECRET_JWT",
    "PRIVATE_KEY_JWT",
    "PKCS7",
    "OIDC",
    "PCA",
    "PLUGIN",
];

/// The JSON in a template, whose comments are lines of their own.
fn json_of(template: &str) -> Value {
    let lines = template.lines().filter(|line| !line.trim_start().starts_with("//"));
    serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

async fn template(method: &str) -> String {
    done(&run(&["config", "new", method], &[]).await).to_owned()
}

async fn schema() -> (Schemas, SchemaIndex) {
    let schema: Value = serde_json::from_str(done(&run(&["config", "schema"], &[]).await)).unwrap();
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("client-config.schema.json", schema).unwrap();
    let index = compiler.compile("client-config.schema.json", &mut schemas).unwrap();
    (schemas, index)
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_that_is_no_regular_file_is_neither_waited_for_nor_read_without_end() {
    let folder = tempfile::tempdir().unwrap();
    for path in [super::named_pipe(folder.path()).as_str(), "/dev/zero"] {
        let output = run(&["config", "check", path], &[]).await;
        assert_fails(&output, 3, &[path, "1 fault"]);
    }
}

#[tokio::test]
async fn the_schema_accepts_every_file_that_is_written_and_its_other_spelling() {
    let (schemas, index) = schema().await;
    for method in METHODS {
        let file = json_of(&template(method).await);
        schemas.validate(&file, index).unwrap_or_else(|fault| panic!("{method}: {fault:#}"));
        let snake = file
            .to_string()
            .replace("clientId", "client_id")
            .replace("authnConfiguration", "authn_configuration")
            .replace("authnMethod", "authn_method")
            .replace("applicationFederatedCredentialName", "application_federated_credential_name");
        let snake: Value = serde_json::from_str(&snake).unwrap();
        schemas.validate(&snake, index).unwrap_or_else(|fault| panic!("{method}: {fault:#}"));
    }
}

#[tokio::test]
async fn the_schema_refuses_what_the_library_refuses() {
    let (schemas, index) = schema().await;
    let good = json_of(&template("CLIENT_SECRET_BASIC").await);
    let changed = |pointer: &str, value: Option<Value>| {
        let mut file = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = file.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => drop(parent.insert(key.to_owned(), value)),
            None => drop(parent.remove(key).unwrap()),
        }
        file
    };
    let authn = "/authnConfiguration";
    let faults = [
        ("/clientId", None),
        ("/clientId", Some(json!(7))),
        ("/clientId", Some(json!("  "))),
        ("/clientId", Some(Value::Null)),
        ("/scope", Some(json!(" "))),
        ("/issuer", None),
        ("/tokenEndpoint", Some(json!("https://user:password@host/token"))),
        ("/tokenEndpoint", Some(json!("user:password@host.example.com/token"))),
        ("/tokenEndpoint", Some(json!("https://host.example.com/#token"))),
        ("/clientID", Some(json!("app_x"))),
        ("/authnConfiguration", None),
        ("/authnConfiguration", Some(json!("CLIENT_SECRET_BASIC"))),
        ("/httpConfiguration", Some(json!({ "readTimeout": 1_999 }))),
        ("/httpConfiguration", Some(json!({ "read_timeout": 60_001 }))),
        ("/httpConfiguration", Some(json!({ "connectTimeout": "5000" }))),
        ("/httpConfiguration", Some(json!({ "unsafeIgnoreSslCert": "yes" }))),
    ]
    .map(|(pointer, value)| (pointer.to_owned(), value))
    .into_iter()
    .chain(
        [
            ("authnMethod", None),
            ("authnMethod", Some(json!("client_secret_basic"))),
            ("authnMethod", Some(json!("PLUGIN"))),
            ("authnMethod", Some(json!("PCA"))),
            ("clientSecretEnvVarName", None),
            ("clientSecretFilePath", Some(json!("/both"))),
            ("clientSecret", Some(json!("x"))),
            ("identityType", Some(json!("HUMAN"))),
        ]
        .map(|(key, value)| (format!("{authn}/{key}"), value)),
    );
    let loader = Loader::new();
    for (pointer, value) in faults {
        let file = changed(&pointer, value.clone());
        assert!(schemas.validate(&file, index).is_err(), "{pointer} {value:?} passes");
        // Of an unknown key, the library warns.
        let is_unknown = ["/clientID", "/authnConfiguration/clientSecret"].contains(&pointer.as_str());
        assert_eq!(loader.takes(&file).await, is_unknown, "{pointer} {value:?}");
    }
    let mut fine: Vec<(String, Value)> = [
        ("/_comment", json!({ "of": "mine" })),
        ("/$schema", json!("client-config.schema.json")),
        ("/jwkEndpoint", json!("x")),
        ("/httpConfiguration", json!({ "readTimeout": 2_000 })),
        (
            "/httpConfiguration",
            json!({ "readTimeout": null, "connectTimeout": null, "unsafeIgnoreSslCert": null }),
        ),
        ("/httpConfiguration", Value::Null),
        ("/scope", Value::Null),
        ("/openApiEndpoint", json!(" ")),
        ("/developerApiEndpoint", Value::Null),
        ("/tokenEndpoint", json!("https://tenant.example.com/of@mine/token?a@b")),
        ("/tokenEndpoint", json!("tenant.example.com/token")),
        ("/tokenEndpoint", json!("tenant.example.com:8443/token")),
        ("/tokenEndpoint", json!(" [::1]:8443/token")),
    ]
    .map(|(pointer, value)| (pointer.to_owned(), value))
    .into();
    let words = [
        ("signingAlgorithm", json!("RS256")),
        ("clientDeployEnvironment", json!("COMMON")),
        ("clientDeployEnvironment", json!("COMPUTER")),
    ];
    let unused = [
        "identityType",
        "clientSecretFilePath",
        "privateKeyEnvVarName",
        "privateKeyFilePath",
        "privateKeyPassphraseEnvVarName",
        "privateKeyId",
        "signingAlgorithm",
        "applicationFederatedCredentialName",
        "clientDeployEnvironment",
        "oidcTokenFilePath",
        "oidcTokenFilePathEnvVarName",
        "clientX509Certificate",
        "clientX509CertificatePath",
        "x509CertChains",
        "x509CertChainsPath",
        "pluginName",
    ];
    let unused =
        unused.iter().flat_map(|key| [json!(""), json!(" "), Value::Null].map(|value| (*key, value)));
    fine.extend(words.into_iter().chain(unused).map(|(key, value)| (format!("{authn}/{key}"), value)));
    for (pointer, value) in fine {
        let file = changed(&pointer, Some(value.clone()));
        schemas.validate(&file, index).unwrap_or_else(|fault| panic!("{pointer} {value:?}: {fault:#}"));
        assert!(loader.takes(&file).await, "{pointer} {value:?}");
    }
}

/// The library's own judgement.
struct Loader {
    folder: tempfile::TempDir,
}

impl Loader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "a-secret").unwrap();
        Self { folder }
    }

    /// Whether the file can be used, where its variable is set and its files are there.
    async fn takes(&self, file: &Value) -> bool {
        let path = self.folder.path().join("client-config.json");
        let secret = self.folder.path().join("secret");
        let text = file.to_string().replace("REPLACE_ME", "x").replace("/both", secret.to_str().unwrap());
        std::fs::write(&path, text).unwrap();
        let output = run(&["config", "check", path.to_str().unwrap()], &[("IDAAS_CLIENT_SECRET", "s")]).await;
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
        output.status.success()
    }
}

#[tokio::test]
async fn a_template_is_valid_once_its_placeholders_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client-config.json");
    let file = path.to_str().unwrap();
    let variables = [("IDAAS_CLIENT_SECRET", "a-secret")];
    let raw = template("CLIENT_SECRET_POST").await;
    std::fs::write(&path, &raw).unwrap();
    let line = raw.lines().position(|line| line.contains("app_REPLACE_ME")).unwrap() + 1;
    let expected = format!("`clientId` still holds REPLACE_ME (line {line})");
    assert_fails(&run(&["config", "check", file], &variables).await, 3, &[&expected, "has 5 faults"]);

    let arguments = "config new client_secret_post --instance-id idaas_x --client-id app_x --issuer \
        https://x.aliyunidaas.com/api/v2/iauths_system/oauth2/ --scope api://x|read";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    std::fs::write(&path, done(&run(&arguments, &[]).await)).unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().contains("iauths_system/oauth2/token\""));
    let output = run(&["config", "check", file], &variables).await;
    assert_eq!(done(&output), format!("{file} can be used: CLIENT_SECRET_POST\n"));
    let output = run(&["config", "check"], &[variables[0], ("CLOUD_IDAAS_CONFIG_PATH", file)]).await;
    assert_eq!(done(&output), format!("{file} can be used: CLIENT_SECRET_POST\n"));
    assert_fails(&run(&["config", "check", file], &[]).await, 3, &["IDAAS_CLIENT_SECRET is not set"]);
}

#[tokio::test]
async fn a_check_reports_every_fault_with_its_key_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client-config.json");
    let file = path.to_str().unwrap();
    let text_of_file = "{\n\"clientID\": \"app_x\",\n\"scope\": 7,\n\"authnConfiguration\": {\n\
        \"authnMethod\": \"CLIENT_SECRET_BASIK\"\n}\n}";
    std::fs::write(&path, text_of_file).unwrap();
    let output = run(&["config", "check", file], &[]).await;
    let expected = [
        "`idaasInstanceId` is missing",
        "`scope` expected a string, found a number (line 3)",
        "did you mean `CLIENT_SECRET_BASIC`? (line 5)",
        "did you mean `clientId`? (line 2)",
    ];
    assert_fails(&output, 3, &expected);

    let output = run(&["config", "check", "--json", file], &[]).await;
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(3), ""));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report.get("usable"), Some(&json!(false)));
    let faults = report.get("faults").and_then(Value::as_array).unwrap();
    assert!(
        faults
            .iter()
            .any(|fault| fault.get("key") == Some(&json!("scope")) && fault.get("line") == Some(&json!(3)))
    );

    assert_fails(
        &run(&["config", "check", "/nowhere/c.json"], &[]).await,
        3,
        &["/nowhere/c.json", "does not exist"],
    );
    let nowhere = folder.path().to_str().unwrap();
    assert_fails(
        &run(&["config", "check"], &[("HOME", nowhere)]).await,
        3,
        &[".cloud_idaas/client-config.json"],
    );
    assert_fails(&run(&["config", "check"], &[]).await, 3, &["client-config.json"]);
}

#[tokio::test]
async fn a_warning_is_reported_and_leaves_the_file_usable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client-config.json");
    let raw = template("CLIENT_SECRET_POST").await.replace("REPLACE_ME", "x");
    std::fs::write(&path, raw.replace("\"identityType\"", "\"pluginName\": \"p\", \"identityType\""))
        .unwrap();
    let output = run(&["config", "check", path.to_str().unwrap()], &[("IDAAS_CLIENT_SECRET", "s")]).await;
    assert!(output.status.success());
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("warning: ") && stderr.contains("pluginName` is not used by"), "{stderr}");
}

#[tokio::test]
async fn a_sample_that_nothing_was_changed_in_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client-config.json");
    let sample = include_str!("../../../../docs/samples/client_secret_basic.json");
    std::fs::write(&path, sample).unwrap();
    let arguments = ["config", "check", "--config", path.to_str().unwrap()];
    let output = run(&arguments, &[("IDAAS_CLIENT_SECRET", "s")]).await;
    assert!(output.status.success());
    let stderr = text(&output.stderr);
    assert_eq!(stderr.matches("warning: ").count(), 4, "{stderr}");
    for (key, value) in [
        ("idaasInstanceId", "idaas_example"),
        ("clientId", "app_example"),
        ("issuer", "example.aliyunidaas.com"),
        ("tokenEndpoint", "example.aliyunidaas.com"),
    ] {
        let line = sample.lines().position(|line| line.contains(&format!("\"{key}\""))).unwrap() + 1;
        let expected =
            format!("`{key}` still holds {value}, a value of the samples; write your own (line {line})");
        assert!(stderr.contains(&expected), "{stderr}");
    }
}

#[tokio::test]
async fn a_secret_in_place_of_a_variables_name_is_shown_by_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client-config.json");
    let raw = template("CLIENT_SECRET_BASIC").await.replace("REPLACE_ME", "x");
    for secret in ["my-secret-value-1234567890abcdef", "hunter2secret", "hunter2.secret"] {
        std::fs::write(&path, raw.replace("IDAAS_CLIENT_SECRET", secret)).unwrap();
        let file = path.to_str().unwrap();
        for command in
            [&["config", "check", file][..], &["doctor", "--config", file], &["token", "--config", file]]
        {
            let output = run(command, &[]).await;
            assert!(!output.status.success());
            let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
            assert!(all.contains("does not look like the name"), "{command:?}: {all}");
            assert!(!all.contains(secret), "{command:?}: {all}");
        }
    }
}

#[tokio::test]
async fn where_there_is_no_file_the_option_that_names_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("HOME", folder.path().to_str().unwrap())];
    let output = run(&["token"], &variables).await;
    assert_fails(&output, 3, &["does not exist; put the file there", "another file with `--config`"]);
    let output = run(&["doctor"], &variables).await;
    assert!(text(&output.stdout).contains("the path of another with `--config`"));
}

#[tokio::test]
async fn keys_are_explained_in_either_spelling_and_unknown_ones_are_refused() {
    let all = run(&["config", "explain"], &[]).await;
    let keys: Vec<&str> = done(&all).lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(keys.len() > 25);
    for key in &keys {
        let output = run(&["config", "explain", key], &[]).await;
        assert!(done(&output).starts_with(&format!("{key}\n  ")), "{key}");
    }
    let output = run(&["config", "explain", "client_secret_env_var_name"], &[]).await;
    for part in ["CLIENT_SECRET_JWT (or clientSecretFilePath)", "authnConfiguration.clientSecretEnvVarName"] {
        assert!(done(&output).contains(part), "{}", done(&output));
    }
    let output = run(&["config", "explain", "clientSecret"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`idaas config explain` lists the keys"));
    assert_eq!(run(&["config", "new", "NONE"], &[]).await.status.code(), Some(2));
}
