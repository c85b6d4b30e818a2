//! `--cache`: a shell loop does not ask IDaaS each time, and nothing that is wrong with the files fails it.
#![cfg(unix)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tower_idaas_testing::{Behaviour, ClientAuthentication, TestIdaas};

use super::{Fixture, assert_fails, done, run, run_with, stored_secrets, text};
use crate::cloud_role::{ALIBABA, AWS};

impl Fixture {
    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn with_cache(&self, arguments: &[&str]) -> Vec<String> {
        let cache = format!("--cache={}", self.cache().display());
        arguments.iter().map(|argument| (*argument).to_owned()).chain([cache]).collect()
    }

    async fn run_with_cache(&self, arguments: &[&str]) -> Output {
        let arguments = self.with_cache(arguments);
        self.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }
}

/// The sealed files.
fn entries(cache: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.file_name().unwrap().len() == 64).collect()
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A token on stdout all the same, and on stderr one line that warns and holds `expected`.
fn assert_goes_on(output: &Output, expected: &str) {
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(text(&output.stdout).trim_end().split('.').count(), 3);
    assert!(stderr.starts_with("warning: the cache is not used: ") && stderr.contains(expected), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test]
async fn a_loop_fetches_once_and_leaves_a_sealed_file_that_its_owner_alone_can_read() {
    let fixture = Fixture::new().await;
    let output = fixture.run_with_cache(&["token"]).await;
    let token = done(&output);
    for _ in 0..3 {
        assert_eq!(done(&fixture.run_with_cache(&["token"]).await), token);
    }
    assert_eq!(fixture.server.token_requests(), 1);
    assert_eq!(std::fs::metadata(fixture.cache()).unwrap().mode() & 0o7777, 0o700);
    let files = entries(&fixture.cache());
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(std::fs::metadata(file).unwrap().mode() & 0o7777, 0o600);
    let content = std::fs::read(file).unwrap();
    let part = &token.as_bytes()[..16];
    assert!(!content.windows(part.len()).any(|window| window == part));
    let header = fixture.run_with_cache(&["token", "--format", "header"]).await;
    assert_eq!(done(&header), format!("Authorization: Bearer {token}"));
}

#[tokio::test]
async fn without_the_argument_nothing_is_kept() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let home = fixture.folder.path().join("home");
    let home = ("HOME", home.to_str().unwrap());
    let variables = [&fixture.variables(secret.expose_secret())[..], &[home]].concat();
    for _ in 0..2 {
        done(&run(&["token"], &variables).await);
    }
    assert_eq!(fixture.server.token_requests(), 2);
    assert!(!Path::new(home.1).exists());
}

#[tokio::test]
async fn by_default_it_is_in_the_users_cache() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let root = fixture.folder.path().to_str().unwrap();
    for (name, expected) in [("HOME", ".cache/idaas"), ("XDG_CACHE_HOME", "idaas")] {
        let variables = [&fixture.variables(secret.expose_secret())[..], &[(name, root)]].concat();
        done(&run(&["token", "--cache"], &variables).await);
        assert_eq!(entries(&fixture.folder.path().join(expected)).len(), 1, "{name}");
    }
    let output = run(&["token", "--cache"], &fixture.variables(secret.expose_secret())).await;
    assert_goes_on(&output, "neither XDG_CACHE_HOME nor HOME is set");
}

#[tokio::test]
async fn each_command_that_fetches_keeps_its_own() {
    let (fixture, api) = stored_secrets::fixture().await;
    let commands = [
        &["cloud-role", ALIBABA][..],
        &["cloud-role", AWS],
        &["api-key", "model"],
        &["oauth-token", "forge"],
        &["oauth-token", "forge", "--scope", "read"],
    ];
    let mut outputs = Vec::new();
    for command in commands {
        outputs.push(done(&fixture.run_with_cache(command).await).to_owned());
    }
    let (requests, tokens) = (api.requests().len(), fixture.server.token_requests());
    for (command, output) in commands.into_iter().zip(&outputs) {
        assert_eq!(done(&fixture.run_with_cache(command).await), output, "{command:?}");
    }
    assert_eq!((api.requests().len(), fixture.server.token_requests()), (requests, tokens));
    assert_eq!(entries(&fixture.cache()).len(), commands.len());
    // Each format is made of the same.
    let aws = fixture.run_with_cache(&["cloud-role", AWS, "--format", "aws"]).await;
    assert!(done(&aws).contains("SecretAccessKey"));
    assert_eq!(api.requests().len(), requests);
}

#[tokio::test]
async fn refresh_fetches_anew_and_keeps_that() {
    let fixture = Fixture::new().await;
    let first = done(&fixture.run_with_cache(&["token"]).await).to_owned();
    let second = done(&fixture.run_with_cache(&["token", "--refresh"]).await).to_owned();
    assert_ne!(first, second);
    assert_eq!(done(&fixture.run_with_cache(&["token"]).await), second);
    fixture.server.down().await;
    assert_fails(&fixture.run_with_cache(&["token", "--refresh"]).await, 1, &["connection refused"]);
    assert_eq!(done(&fixture.run_with_cache(&["token"]).await), second);
}

#[tokio::test]
async fn scopes_and_clients_have_entries_of_their_own_and_a_wrong_secret_opens_none() {
    let fixture = Fixture::new().await;
    let token = done(&fixture.run_with_cache(&["token"]).await).to_owned();
    let other = fixture.run_with_cache(&["token", "--scope", "api://other|read"]).await;
    assert_ne!(done(&other), token);
    assert_eq!(entries(&fixture.cache()).len(), 2);

    let arguments = fixture.with_cache(&["token"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&arguments, &fixture.variables("marker-of-a-wrong-secret")).await;
    assert_fails(&output, 1, &["invalid_client"]);

    let text = std::fs::read_to_string(&fixture.config).unwrap();
    std::fs::write(&fixture.config, text.replace("app_test", "app_other")).unwrap();
    assert_fails(&fixture.run_with_cache(&["token"]).await, 1, &["invalid_client"]);
}

#[tokio::test]
async fn an_exchanged_token_is_kept_for_its_subject_and_scope_alone() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let subject = |user| fixture.server.user_token(user, fixture.server.scope()).unwrap();
    let (alice, bob) = (subject("alice"), subject("bob"));
    let exchange = async |subject: &tower_idaas::Secret, scope: Option<&str>| {
        let scope = scope.map(|scope| vec!["--scope", scope]).unwrap_or_default();
        let arguments = [&["token", "--exchange", "-"], &scope[..]].concat();
        let arguments = fixture.with_cache(&arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        done(&run_with(&arguments, &variables, subject.expose_secret()).await).to_owned()
    };
    let own = done(&fixture.run_with_cache(&["token"]).await).to_owned();
    let mut seen = vec![own];
    for (subject, scope) in [(&alice, None), (&bob, None), (&alice, Some("api://other|read"))] {
        let token = exchange(subject, scope).await;
        assert!(!seen.contains(&token));
        let requests = fixture.server.token_requests();
        assert_eq!(exchange(subject, scope).await, token);
        assert_eq!(fixture.server.token_requests(), requests);
        seen.push(token);
    }
    let files = entries(&fixture.cache());
    assert_eq!(files.len(), seen.len());
    for file in files {
        let content = std::fs::read(file).unwrap();
        for secret in seen.iter().map(String::as_str).chain([alice.expose_secret(), bob.expose_secret()]) {
            let part = &secret.as_bytes()[..16];
            assert!(!content.windows(part.len()).any(|window| window == part));
        }
    }
    let arguments = fixture.with_cache(&["token", "--exchange", "-"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let made_up = run_with(&arguments, &variables, "marker-of-a-made-up-token").await;
    assert_fails(&made_up, 1, &["invalid_"]);
    assert!(!text(&made_up.stderr).contains("marker"));
}

#[tokio::test]
async fn a_fetch_that_hangs_keeps_other_processes_waiting_for_seconds_alone() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
        command.args(fixture.with_cache(&["token"])).env_clear();
        command.envs(fixture.variables(secret.expose_secret()));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    fixture.server.set_behaviour(Behaviour::Hold);
    let first = start();
    fixture.server.wait_for_held(1).await;
    let second = start();
    // It would take the rest of the first one's time otherwise, and as much again.
    tokio::time::timeout(Duration::from_secs(8), fixture.server.wait_for_held(2)).await.unwrap();
    fixture.server.release();
    let wait = |child: std::process::Child| tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    done(&wait(first).await.unwrap());
    assert_goes_on(&wait(second).await.unwrap(), "another process has been fetching the same for 3s");
    assert_eq!(entries(&fixture.cache()).len(), 1);
    done(&fixture.run_with_cache(&["token"]).await);
    assert_eq!(fixture.server.token_requests(), 2);
}

#[tokio::test]
async fn processes_that_start_together_fetch_once() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let arguments = fixture.with_cache(&["token"]);
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idaas"));
        command.args(&arguments).env_clear().envs(fixture.variables(secret.expose_secret()));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(|_| start()).collect();
    let wait = move || children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let outputs: Vec<Output> = tokio::task::spawn_blocking(wait).await.unwrap();
    let tokens: std::collections::HashSet<&str> = outputs.iter().map(done).collect();
    assert_eq!((tokens.len(), fixture.server.token_requests()), (1, 1));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_reported_and_replaced() {
    let fixture = Fixture::new().await;
    done(&fixture.run_with_cache(&["token"]).await);
    let file = entries(&fixture.cache()).remove(0);
    let elsewhere = fixture.folder.path().join("elsewhere");
    let spoil = |how: &str| match how {
        "is damaged" => std::fs::write(&file, "marker").unwrap(),
        "has more than 1 MiB" => {
            std::fs::File::options().write(true).open(&file).unwrap().set_len(2 << 20).unwrap();
        }
        "can be used by others" => set_mode(&file, 0o644),
        _ => {
            std::fs::rename(&file, &elsewhere).unwrap();
            symlink(&elsewhere, &file).unwrap();
        }
    };
    for how in ["is damaged", "has more than 1 MiB", "can be used by others", "cannot be read"] {
        spoil(how);
        assert_goes_on(&fixture.run_with_cache(&["token"]).await, how);
        done(&fixture.run_with_cache(&["token"]).await);
    }
    assert_eq!(fixture.server.token_requests(), 5);
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_reported_and_the_token_comes_all_the_same() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let open = fixture.folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    set_mode(&open, 0o755);
    let link = fixture.folder.path().join("link");
    symlink(fixture.folder.path(), &link).unwrap();
    let mut cases = vec![
        (open, "can be used by others"),
        (link, "is not a directory"),
        (PathBuf::from(&fixture.config), "cannot be made"),
        ("/dev/null/cache".into(), "cannot be made"),
        ("/proc/none/cache".into(), "cannot be made"),
    ];
    let foreign = fixture.folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    set_mode(&foreign, 0o700);
    // Only the superuser can give a directory away.
    if std::os::unix::fs::chown(&foreign, Some(12_345), None).is_ok() {
        cases.push((foreign, "belongs to another user"));
    }
    for (directory, expected) in cases {
        let output = run(&["token", &format!("--cache={}", directory.display())], &variables).await;
        assert_goes_on(&output, expected);
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_and_leaves_nothing_half_written() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let run = |limit: &'static str| {
        // No file may grow: a write fails as on a full disk, and not with a signal.
        let script = format!("{limit} exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_idaas")]).args(fixture.with_cache(&["token"]));
        command.env_clear().envs(fixture.variables(secret.expose_secret()));
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    assert_goes_on(&run("trap '' XFSZ; ulimit -f 0;").await.unwrap(), "cannot be written");
    let left: Vec<_> =
        std::fs::read_dir(fixture.cache()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().starts_with("lock-")), "{left:?}");
    done(&run("").await.unwrap());
    assert_eq!(entries(&fixture.cache()).len(), 1);
}

#[tokio::test]
async fn a_method_without_a_secret_of_its_own_needs_a_key_in_a_variable() {
    let fixture = Fixture::new().await;
    let folder = fixture.folder.path();
    fixture.server.write_config(folder, ClientAuthentication::Oidc).unwrap();
    let token_file = fixture.server.write_service_account_token(folder).unwrap();
    let token_file = (TestIdaas::TOKEN_FILE_VARIABLE, token_file.to_str().unwrap());
    let [config, roots, _] = fixture.variables("");
    let arguments = fixture.with_cache(&["token"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_goes_on(&run(&arguments, &[config, roots, token_file]).await, "set IDAAS_CACHE_KEY");
    let short = ("IDAAS_CACHE_KEY", "marker-of-a-key");
    let output = run(&arguments, &[config, roots, token_file, short]).await;
    assert_goes_on(&output, "less than 32 characters");
    assert!(!text(&output.stderr).contains("marker-of-a-key"));

    let key = ("IDAAS_CACHE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let variables = [config, roots, token_file, key];
    let token = done(&run(&arguments, &variables).await).to_owned();
    assert_eq!(done(&run(&arguments, &variables).await), token);
    let other = ("IDAAS_CACHE_KEY", "BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_ne!(done(&run(&arguments, &[config, roots, token_file, other]).await), token);
}

#[tokio::test]
async fn arguments_that_make_no_sense_together_are_refused() {
    assert_eq!(run(&["token", "--refresh"], &[]).await.status.code(), Some(2));
}
