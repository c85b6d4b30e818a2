//! Files and programs that hold Alibaba Cloud credentials.

use std::path::Path;
use std::sync::OnceLock;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Idaas, IdaasBuilder};

use super::{SECRET, Server, Watch, assert_hidden, assert_readable, client, filled, runtime, shown, split};

/// Where nothing listens: a metadata service that is never reached.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The folder of this process, which one thread at a time writes into.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// A client whose Alibaba Cloud credential comes from the home directory; STS and the OpenAPI grant everything.
fn client_at_home(variables: &[(&str, &Path)]) -> Idaas {
    let environment = ManualEnvironment::from_iter([("HOME", folder())]);
    for (name, path) in variables {
        environment.set(*name, *path);
    }
    let body = json!({
        "RequestId": "r-1",
        "TokenResponse": { "AccessToken": "token", "ExpiresIn": 60 },
        "Credentials": {
            "AccessKeyId": "STS.id", "AccessKeySecret": "secret", "SecurityToken": "token",
            "Expiration": "2999-01-01T00:00:00Z",
        },
    });
    let server = Server::new(StatusCode::OK, HeaderMap::new(), body.to_string());
    let builder: IdaasBuilder = client()
        .environment(environment)
        .metadata_address(NOWHERE)
        .plugin_name("alibabacloudPluginCredentialProvider")
        .open_api_endpoint("eiam.cn-hangzhou.aliyuncs.com");
    server.serve(builder).build().unwrap()
}

fn judge(idaas: &Idaas, input: &[u8]) {
    if let Err(error) = runtime().block_on(idaas.token()) {
        assert_hidden(&shown(&error), input);
        assert_readable(&error.to_string());
    }
}

/// The text of the command line's file or of the SDKs' INI file, as the first byte says; `$S` in it stands for a
/// secret.
pub fn profile_file(input: &[u8]) {
    let _watch = Watch::start();
    let (choice, text) = split(input);
    let text = filled(text, SECRET.as_bytes());
    let (name, variable) = match choice % 2 {
        0 => ("config.json", "ALIBABA_CLOUD_CONFIG_FILE"),
        _ => ("credentials", "ALIBABA_CLOUD_CREDENTIALS_FILE"),
    };
    if names_a_program(&text) {
        return;
    }
    let path = folder().join(name);
    std::fs::write(&path, text).unwrap();
    judge(&client_at_home(&[(variable, &path)]), input);
}

/// Whether a profile starts a program: no input may choose which.
fn names_a_program(text: &[u8]) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::String(text) => text.trim().eq_ignore_ascii_case("external"),
            Value::Array(items) => items.iter().any(any),
            Value::Object(members) => members.values().any(any),
            _ => false,
        }
    }
    let text = String::from_utf8_lossy(text);
    text.to_ascii_lowercase().contains("external")
        || serde_json::from_str(text.trim_start_matches('\u{feff}')).is_ok_and(|value| any(&value))
}

/// The output of the program of a profile with mode `External`; `$S` in it stands for a secret. The program is real:
/// `cat`, of a file.
pub fn process_output(input: &[u8]) {
    let _watch = Watch::start();
    let printed = folder().join("printed");
    std::fs::write(&printed, filled(input, SECRET.as_bytes())).unwrap();
    let profile = json!({
        "current": "p",
        "profiles": [{ "name": "p", "mode": "External", "process_command": format!("cat '{}'", printed.display()) }],
    });
    let config = folder().join("external.json");
    std::fs::write(&config, profile.to_string()).unwrap();
    judge(&client_at_home(&[("ALIBABA_CLOUD_CONFIG_FILE", &config)]), input);
}
