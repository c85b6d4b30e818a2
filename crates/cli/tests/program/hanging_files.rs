//! Files on a file system that hangs.

use std::time::{Duration, Instant};

use super::{Fixture, hanging, text};

#[tokio::test]
async fn a_file_system_that_hangs_is_reported_and_holds_no_command_up() {
    let fixture = Fixture::new().await;
    let open_api = fixture.server.start_open_api().await.unwrap();
    let plugin = fixture.folder.path().join("plugin.json");
    std::fs::write(&plugin, open_api.client_config()).unwrap();
    let hangs = tempfile::tempdir().unwrap();
    let below = |name: &str| hangs.path().join(name).to_str().unwrap().to_owned();
    let (begun, mut running) = (Instant::now(), Vec::new());
    for (arguments, expected) in [
        (["config", "check", &below("client-config.json")], "does not respond"),
        (["doctor", "--config", &below("client-config.json")], "does not respond"),
        // The home directory, where the credentials are, hangs.
        (["doctor", "--config", plugin.to_str().unwrap()], ".aliyun/config.json is not there"),
    ] {
        let Some(mut command) = hanging::command(hangs.path(), env!("CARGO_BIN_EXE_idaas")) else { return };
        command.args(arguments).env("HOME", hangs.path()).env("SSL_CERT_FILE", &fixture.roots);
        command.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
        running.push((tokio::task::spawn_blocking(move || command.output().unwrap()), expected));
    }
    for (running, expected) in running {
        let output = running.await.unwrap();
        let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(printed.contains(expected) && !output.status.success(), "{printed}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}: {printed}", begun.elapsed());
    }
}
