//! What a process finds around it: its home directory, the names of its files, and keys under a passphrase.

use std::path::Path;

use serde_json::{Value, json};
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ErrorKind, Idaas};
use tower_idaas_testing::{ClientAuthentication, TestIdaas};

const CHILD: &str = "IDAAS_TEST_WITHOUT_HOME";
const SEPARATOR: &str = "<fault>";

/// A user of whom the system knows nothing, as containers run with.
#[cfg(unix)]
const NOBODY: u32 = 1_000_612_345;

#[cfg(unix)]
#[test]
#[allow(clippy::print_stdout, reason = "read by the process that started this one")]
fn a_process_whose_home_directory_is_not_known_learns_the_way_out() {
    use std::os::unix::process::CommandExt;

    if std::env::var_os(CHILD).is_some() {
        let unset = Idaas::builder().config_from_env().build().unwrap_err();
        let elsewhere = Idaas::builder().config_file("~/client-config.json").build().unwrap_err();
        let secret = config_with(&json!({ "clientSecretFilePath": "~/secret" }));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client-config.json");
        std::fs::write(&path, secret).unwrap();
        let secret = Idaas::builder().config_file(&path).build().unwrap_err();
        println!("{SEPARATOR}{unset}{SEPARATOR}{elsewhere}{SEPARATOR}{secret}{SEPARATOR}");
        return;
    }
    // A program that this user may run.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let name = "surroundings::a_process_whose_home_directory_is_not_known_learns_the_way_out";
    let mut child = std::process::Command::new(program);
    let child = child.args(["--exact", name, "--nocapture"]).env_clear().env(CHILD, "yes").uid(NOBODY);
    let output = match child.output() {
        // Only root may start a process of another user, and every other user of a machine has a home directory.
        Err(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied => return,
        output => output.unwrap(),
    };
    let printed = String::from_utf8(output.stdout).unwrap();
    let [_, unset, elsewhere, secret, _] = printed.split(SEPARATOR).collect::<Vec<_>>()[..] else {
        panic!("{printed} {}", String::from_utf8_lossy(&output.stderr))
    };
    for (fault, path) in [
        (unset, "~/.cloud_idaas/client-config.json"),
        (elsewhere, "~/client-config.json"),
        (secret, "~/secret"),
    ] {
        assert!(fault.contains(path) && fault.contains("HOME is not set"), "{fault}");
    }
    for fault in [unset, elsewhere] {
        assert!(fault.contains("CLOUD_IDAAS_CONFIG_PATH"), "{fault}");
    }
}

fn config_with(method: &Value) -> String {
    let mut authn = json!({ "authnMethod": "CLIENT_SECRET_POST" });
    authn.as_object_mut().unwrap().extend(method.as_object().unwrap().clone());
    json!({
        "idaasInstanceId": "idaas_1",
        "clientId": "app_1",
        "issuer": "https://tenant.example.com/api/v2/iauths_system/oauth2",
        "tokenEndpoint": "https://tenant.example.com/api/v2/iauths_system/oauth2/token",
        "scope": "api.example.com|read:file",
        "authnConfiguration": authn,
    })
    .to_string()
}

#[test]
fn a_file_under_the_vendors_other_name_is_pointed_out() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, other] = ["client-config.json", "client_config.json"].map(|name| folder.path().join(name));
    let fault = |path: &Path, variable: bool| {
        let builder = Idaas::builder();
        let builder = match variable {
            false => builder.config_file(path).environment(ManualEnvironment::new()),
            true => {
                let environment = ManualEnvironment::new();
                environment.set("CLOUD_IDAAS_CONFIG_PATH", path);
                builder.config_from_env().environment(environment)
            }
        };
        builder.build().unwrap_err().to_string()
    };
    std::fs::write(&other, "{}").unwrap();
    for variable in [false, true] {
        let fault = fault(&ours, variable);
        assert!(fault.contains(&format!("{} lies beside it; rename", other.display())), "{fault}");
    }
    std::fs::rename(&other, &ours).unwrap();
    let fault = fault(&other, false);
    assert!(fault.contains(&format!("{} lies beside it", ours.display())), "{fault}");
}

#[tokio::test]
async fn a_key_under_a_passphrase_gets_a_token_with_it_and_no_handle_without() {
    const PASSPHRASE: &str = "KEY_PASSPHRASE";
    let issuer = TestIdaas::builder()
        .public_key(include_str!("../golden/keys/ec_p256.pub.pem"))
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, include_str!("../odd_keys/ec_p256.pkcs8.default.pem")).unwrap();
    let path = issuer.write_config(folder.path(), ClientAuthentication::PrivateKeyJwt).unwrap();
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let authn = config["authnConfiguration"].as_object_mut().unwrap();
    authn.remove("privateKeyEnvVarName");
    authn.insert("privateKeyFilePath".to_owned(), json!(key));
    authn.insert("privateKeyPassphraseEnvVarName".to_owned(), json!(PASSPHRASE));
    std::fs::write(&path, config.to_string()).unwrap();
    let build = |passphrase: Option<&str>| {
        let environment = issuer.environment();
        if let Some(passphrase) = passphrase {
            environment.set(PASSPHRASE, passphrase);
        }
        let builder = Idaas::builder().config_file(&path).environment(environment);
        builder.root_certificate(issuer.root_certificate_pem()).build()
    };
    build(Some("correct horse")).unwrap().token().await.unwrap();
    for (passphrase, problem) in [(Some("hunter2"), "the passphrase is wrong"), (None, PASSPHRASE)] {
        let error = build(passphrase).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!((issuer.tokens_issued(), issuer.rejected_requests()), (1, 0));
}

#[tokio::test]
async fn a_secret_in_utf_16_is_called_that() {
    let issuer = TestIdaas::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let secret = issuer.secret();
    let text = format!("\u{feff}{}\r\n", secret.expose_secret());
    std::fs::write(&path, text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let method = tower_idaas::authn::ClientSecretPost::new(tower_idaas::SecretSource::file(&path));
    let builder = crate::support::builder_without_secret(&issuer).authenticator(method);
    let error = match builder.build() {
        Err(error) => error.to_string(),
        Ok(idaas) => {
            let error = idaas.token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credential);
            error.to_string()
        }
    };
    assert!(error.contains("is not UTF-8 text but UTF-16; save it as UTF-8"), "{error}");
    assert_eq!(issuer.token_requests(), 0);
}
