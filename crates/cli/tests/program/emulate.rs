//! `idaas emulate`: a server that the program itself is a client of.
#![cfg(unix)]

use std::process::Command;

use serde_json::Value;

use super::cloud_role::{ALIBABA, AWS};
use super::server::Running;
use super::{assert_fails, done, named_pipe, run, run_with, text};

/// The JSON object on stdout.
pub(crate) async fn report(mut running: Running) -> (Running, Value) {
    let mut json = String::new();
    loop {
        let (next, line) = running.line().await;
        running = next;
        json.push_str(&line);
        if line == "}" {
            return (running, serde_json::from_str(&json).unwrap());
        }
    }
}

/// The variables that the emulator gives its clients.
pub(crate) fn variables(report: &Value) -> Vec<(&str, &str)> {
    let variables = report.get("environment").unwrap().as_object().unwrap();
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_client_with_the_printed_configuration_gets_tokens_by_each_method() {
    for method in [
        "client-secret-basic",
        "client-secret-post",
        "client-secret-jwt",
        "private-key-jwt",
        "pca",
        "oidc",
        "plugin",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("made/by/it");
        let arguments =
            ["emulate", "--method", method, "--dir", dir.to_str().unwrap(), "--scope", "api://tea|pour"];
        let (running, report) = report(Running::start(&arguments, &[])).await;
        let output = run(&["token", "--format", "json"], &variables(&report)).await;
        let token: Value = serde_json::from_str(done(&output)).unwrap();
        assert_eq!(token.get("scope").unwrap(), "api://tea|pour", "{method}");
        let output = run(&["doctor"], &variables(&report)).await;
        assert!(done(&output).ends_with("A token is issued.\n"), "{method}: {}", done(&output));
        let config: Value =
            serde_json::from_slice(&std::fs::read(dir.join("client-config.json")).unwrap()).unwrap();
        assert_eq!(Some(&config), report.get("config"));
        let roots = std::fs::read_to_string(dir.join("root-certificate.pem")).unwrap();
        assert_eq!(report.get("root_certificate").unwrap(), &Value::from(roots));
        let mut shell = Command::new("sh");
        shell.args(["-ec", "set -a; . \"$0\"; exec env -0"]).arg(dir.join("idaas.env"));
        let sourced = shell.env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
        for (name, value) in variables(&report) {
            let line = format!("{name}={value}");
            assert!(text(&sourced.stdout).split('\0').any(|it| it == line), "{method}: {sourced:?}");
        }
        let output = running.end("-TERM").await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

#[tokio::test]
async fn clients_that_cannot_be_registered_are_no_fault_of_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.json");
    let twice = r#"[{"id": "app_a", "secret": "a-secret"}, {"id": "app_a", "secret": "b-secret"}]"#;
    std::fs::write(&file, twice).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let arguments = ["emulate", "--clients", file.to_str().unwrap(), "--port", &port];
    let output = run(&arguments, &[]).await;
    assert_fails(&output, 1, &["the emulator cannot be started", "two clients have the same id"]);
}

#[tokio::test]
async fn clients_are_those_of_the_file_and_ports_are_those_that_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.json");
    std::fs::write(
        &file,
        r#"[{"id": "app_a", "secret": "a-secret"}, {"id": "app_b", "secret": "b-secret"}]"#,
    )
    .unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let arguments = [
        "emulate",
        "--clients",
        file.to_str().unwrap(),
        "--port",
        &port,
        "--api-port",
        "0",
        "--token-life",
        "90s",
    ];
    let (running, report) = report(Running::start(&arguments, &[])).await;
    assert!(
        report.get("issuer").unwrap().as_str().unwrap().starts_with(&format!("https://localhost:{port}/"))
    );
    assert!(report.get("api_url").unwrap().as_str().unwrap().starts_with("https://localhost:"));
    assert_eq!(report.pointer("/config/clientId").unwrap(), "app_a");
    let variables = variables(&report);
    let output = run(&["token", "--format", "json"], &variables).await;
    let token: Value = serde_json::from_str(done(&output)).unwrap();
    assert!((80..=90).contains(&token.get("expires_in").unwrap().as_u64().unwrap()), "{token}");

    let other = folder.path().join("other.json");
    std::fs::write(&other, report.get("config").unwrap().to_string().replace("app_a", "app_b")).unwrap();
    let other = ["token", "--config", other.to_str().unwrap()];
    let secret = |secret| {
        let mut variables = variables.clone();
        variables.retain(|(name, _)| *name != "IDAAS_CLIENT_SECRET");
        variables.push(("IDAAS_CLIENT_SECRET", secret));
        variables
    };
    done(&run(&other, &secret("b-secret")).await);
    assert_fails(&run(&other, &secret("a-secret")).await, 1, &["invalid_client"]);

    let again = Running::start(&["emulate", "--port", &port], &[]).ended().await;
    assert_fails(&again, 1, &[&format!("port {port} of 127.0.0.1 cannot be used")]);
    assert_eq!(running.end("-INT").await.status.code(), Some(0));
}

#[tokio::test]
async fn faults_are_what_a_client_meets() {
    for (fault, expected) in [
        ("unavailable", "503"),
        ("throttled", "429"),
        ("invalid-client", "invalid_client"),
        ("unknown-authority", "no TLS connection"),
        ("expired-certificate", "no TLS connection"),
    ] {
        let (running, report) = report(Running::start(&["emulate", "--fault", fault], &[])).await;
        let output = run(&["token"], &variables(&report)).await;
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{stderr}");
        assert!(stderr.contains(expected), "no `{expected}` in {stderr}");
        drop(running);
    }
}

#[tokio::test]
async fn a_file_of_clients_that_is_none_is_refused_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.json");
    for (clients, expected) in [
        ("[", "is not JSON (line 1)"),
        ("[]", "expected a JSON array"),
        (r#"{"id": "a", "secret": "marker"}"#, "expected a JSON array"),
        (r#"[{"id": "a", "secret": "marker"}, {"id": "b"}]"#, "client 2"),
        (r#"[{"id": "a", "secret": "marker", "scope": "x"}]"#, "client 1"),
        (r#"[{"id": "a", "secret": "marker"}, {"id": "a", "secret": "marker"}]"#, "same id"),
        (r#"[{"id": "a", "secret": "marker", "public_key": "marker"}]"#, "client 1"),
        (r#"[{"id": "a", "public_key": "marker"}]"#, "no client has a secret"),
        (r#"[{"id": "a", "secret": "marker"}, {"id": "b", "public_key": "marker"}]"#, "PUBLIC KEY"),
    ] {
        std::fs::write(&file, clients).unwrap();
        let output = Running::start(&["emulate", "--clients", file.to_str().unwrap()], &[]).ended().await;
        assert_fails(&output, 1, &[expected]);
        assert!(!text(&output.stderr).contains("marker"), "{expected}");
    }
    for (clients, expected) in [
        ("/dev/zero", "is not a regular file"),
        (named_pipe(folder.path()).as_str(), "is not a regular file"),
    ] {
        let output = Running::start(&["emulate", "--clients", clients], &[]).ended().await;
        assert_fails(&output, 1, &[clients, expected]);
    }
    std::fs::write(&file, " ".repeat((1 << 20) + 1)).unwrap();
    let output = Running::start(&["emulate", "--clients", file.to_str().unwrap()], &[]).ended().await;
    assert_fails(&output, 1, &["is larger than 1 MiB"]);
    let output = Running::start(&["emulate", "--dir", "/dev/null/x"], &[]).ended().await;
    assert_fails(&output, 1, &["/dev/null/x"]);
}

#[tokio::test]
async fn a_client_of_the_file_that_signs_gets_tokens_with_its_own_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [key, other] = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
    let clients = serde_json::json!([
        { "id": "app_signs", "public_key": key.public_key_pem() },
        { "id": "app_secret", "secret": "a-secret" },
    ]);
    let file = folder.path().join("clients.json");
    std::fs::write(&file, clients.to_string()).unwrap();
    let (running, report) =
        report(Running::start(&["emulate", "--clients", file.to_str().unwrap()], &[])).await;
    let mut config = report.get("config").unwrap().clone();
    assert_eq!(config.get("clientId").unwrap(), "app_secret");
    config["clientId"] = "app_signs".into();
    config["authnConfiguration"] =
        serde_json::json!({ "authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "APP_KEY" });
    let path = folder.path().join("signs.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let arguments = ["token", "--config", path.to_str().unwrap()];
    for (key, comes) in [(&key, true), (&other, false)] {
        let key = key.serialize_pem();
        let variables = [&variables(&report)[..], &[("APP_KEY", key.as_str())]].concat();
        let output = run(&arguments, &variables).await;
        assert_eq!(output.status.success(), comes, "{}", text(&output.stderr));
    }
    drop(running);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn with_a_host_it_is_reached_there_and_its_urls_and_certificates_are_for_it() {
    let arguments = ["emulate", "--host", "127.0.0.2", "--api-port", "0"];
    let (running, report_of_address) = report(Running::start(&arguments, &[])).await;
    let url = report_of_address.get("issuer").unwrap().as_str().unwrap();
    assert!(url.starts_with("https://127.0.0.2:"), "{url}");
    assert!(report_of_address.get("api_url").unwrap().as_str().unwrap().starts_with("https://127.0.0.2:"));
    done(&run(&["token"], &variables(&report_of_address)).await);
    let port: u16 = url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    drop(running);

    let (running, report_of_name) = report(Running::start(&["emulate", "--host", "idaas"], &[])).await;
    let url = report_of_name.get("issuer").unwrap().as_str().unwrap();
    assert!(url.starts_with("https://idaas:"), "{url}");
    let port: u16 = url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    for address in ["127.0.0.1", "127.0.0.3"] {
        drop(std::net::TcpStream::connect((address, port)).unwrap());
    }
    let output = running.end("-TERM").await;
    assert!(
        text(&output.stderr).contains("warning: other machines can reach it"),
        "{}",
        text(&output.stderr)
    );

    let (running, report_of_localhost) =
        report(Running::start(&["emulate", "--host", "localhost"], &[])).await;
    let url = report_of_localhost.get("issuer").unwrap().as_str().unwrap();
    assert!(url.starts_with("https://localhost:"), "{url}");
    let port: u16 = url.split([':', '/']).nth(4).unwrap().parse().unwrap();
    done(&run(&["token"], &variables(&report_of_localhost)).await);
    assert!(std::net::TcpStream::connect(("127.0.0.3", port)).is_err());
    let output = running.end("-TERM").await;
    assert!(!text(&output.stderr).contains("warning"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn what_is_no_host_is_refused() {
    let long = ["a".repeat(64), ["a"; 128].join(".")];
    for host in [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "::",
        "",
        " ",
        "https://idaas",
        "idaas:8443",
        "-",
        "-idaas",
        "idaas-",
        ".",
        "idaas.",
        ".idaas",
        "a..b",
        "300.1.1.1",
        "1.2.3",
        "7",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "[]",
        "id aas",
        "*.idaas",
        "id\u{e4}s",
        &long[0],
        &long[1],
    ] {
        let output = run(&["emulate", &format!("--host={host}")], &[]).await;
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{host}: {stderr}");
        assert!(stderr.contains("--host") && stderr.contains("--help"), "{host}: {stderr}");
    }
}

/// Programs in one network namespace that has the address at which the metadata service of Alibaba Cloud is. `None` where
/// the system allows no namespace.
#[cfg(target_os = "linux")]
async fn where_the_metadata_service_is(
    script: &str,
    directory: &std::path::Path,
) -> Option<std::process::Output> {
    let setup = "ip link set lo up && ip addr add 100.100.100.200/32 dev lo";
    let inside = |script: String| {
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-ec", &script]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("IDAAS", env!("CARGO_BIN_EXE_idaas")).env("DIRECTORY", directory);
        command
    };
    if !inside(setup.to_owned()).output().is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut command = inside(format!("{setup}\n{script}"));
    Some(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_gets_documents_from_the_emulator_at_the_address_of_the_metadata_service() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        mkfifo "$DIRECTORY/report"
        "$IDAAS" emulate --method pkcs7 --host 100.100.100.200 --method-port 80 --dir "$DIRECTORY" \
            >"$DIRECTORY/report" 2>"$DIRECTORY/stderr" &
        emulator=$!
        read -r _ <"$DIRECTORY/report"
        set -a; . "$DIRECTORY/idaas.env"
        "$IDAAS" token && "$IDAAS" doctor >&2
        kill "$emulator"
    "#;
    let Some(output) = where_the_metadata_service_is(script, folder.path()).await else { return };
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stdout.trim_end().split('.').count() == 3, "{stdout} {stderr}");
    assert!(stderr.ends_with("A token is issued.\n"), "{stderr}");
    let emulator = std::fs::read_to_string(folder.path().join("stderr")).unwrap();
    assert!(emulator.contains("the metadata service is at http://100.100.100.200:80;"), "{emulator}");
}

#[tokio::test]
async fn what_is_stored_is_had_by_other_processes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stored.json");
    let stored = serde_json::json!({
        "api_keys": { "model": "sk-stored" },
        "oauth_clients": { "crm": { "id": "client", "secret": "a-secret" } },
        "providers": {
            "forge": { "scope": "read write", "token_life": "90s" },
            "mail": { "consent": true },
            "shop": { "parameters": ["tenant"] },
        },
        "roles": [ALIBABA, AWS],
    });
    std::fs::write(&file, stored.to_string()).unwrap();
    let file = file.to_str().unwrap();
    for (method, host) in [("client-secret-post", "localhost"), ("plugin", "127.0.0.1")] {
        let arguments = ["emulate", "--stored", file, "--method", method, "--host", host];
        let (running, report) = report(Running::start(&arguments, &[])).await;
        let variables = variables(&report);
        assert_eq!(done(&run(&["api-key", "model"], &variables).await), "sk-stored\n");
        let token = run(&["oauth-token", "forge", "--scope", "read", "--format", "json"], &variables).await;
        let token: Value = serde_json::from_str(done(&token)).unwrap();
        assert!((80..=90).contains(&token.get("expires_in").unwrap().as_u64().unwrap()), "{token}");
        assert_fails(&run(&["oauth-token", "mail"], &variables).await, 4, &["a user must consent"]);
        let parameters = r#"{"tenant": "x"}"#;
        done(&run_with(&["oauth-token", "shop", "--parameters", "-"], &variables, parameters).await);
        assert!(
            done(&run(&["cloud-role", AWS, "--format", "aws"], &variables).await).contains("SessionToken")
        );
        assert!(done(&run(&["cloud-role", ALIBABA], &variables).await).contains("alibaba-cloud"));
        let output = run(&["doctor"], &variables).await;
        assert!(done(&output).ends_with("A token is issued.\n"), "{}", done(&output));
        drop(running);
    }
    assert_eq!(run(&["emulate", "--developer-api-port", "1"], &[]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_file_of_what_is_stored_that_is_none_is_refused_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stored.json");
    for (stored, line) in [
        ("[", 1),
        ("{\n\"api_keys\": [\"marker\"]}", 2),
        ("{\"api_keys\": {\n\"marker\": 1}}", 2),
        ("{\"marker\": {}}", 1),
        ("{\"oauth_clients\": {\"a\": {\"secret\": \"marker\"}}}", 1),
        ("{\"roles\": [\"marker\"]}", 1),
        ("{\"providers\": {\"a\": {\"token_life\": \"marker\"}}}", 1),
    ] {
        std::fs::write(&file, stored).unwrap();
        let output = Running::start(&["emulate", "--stored", file.to_str().unwrap()], &[]).ended().await;
        assert_fails(&output, 1, &[&format!("is not understood (line {line}); expected a JSON object")]);
        assert!(!text(&output.stderr).contains("marker"), "{stored}: {}", text(&output.stderr));
    }
}

#[tokio::test]
async fn ports_are_those_that_are_chosen_and_one_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let stored = folder.path().join("stored.json");
    std::fs::write(&stored, "{}").unwrap();
    let stored = ["--stored", stored.to_str().unwrap()];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for arguments in [
        &["--port", &port][..],
        &["--api-port", &port],
        &["--method", "plugin", "--method-port", &port],
        &["--method", "pkcs7", "--method-port", &port],
        &[&stored[..], &["--developer-api-port", &port]].concat(),
    ] {
        let output = Running::start(&[&["emulate"], arguments].concat(), &[]).ended().await;
        assert_fails(&output, 1, &[&format!("port {port} of 127.0.0.1 cannot be used")]);
    }
    for arguments in [
        &["emulate", "--method-port", "1"][..],
        &["emulate", "--method", "plugin", "--fault", "expired-certificate"],
    ] {
        let output = run(arguments, &[]).await;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("idaas emulate"), "{}", text(&output.stderr));
    }
}

#[tokio::test]
async fn a_fault_is_met_by_a_client_of_the_open_api_as_well() {
    for (fault, expected) in [
        ("unavailable", "503"),
        ("throttled", "429"),
        ("invalid-client", "InvalidAccessKeyId.NotFound"),
        ("cut-off", "broke before"),
    ] {
        let arguments = ["emulate", "--method", "plugin", "--fault", fault];
        let (running, report) = report(Running::start(&arguments, &[])).await;
        let output = run(&["token"], &variables(&report)).await;
        assert_fails(&output, 1, &[expected]);
        drop(running);
    }
}
