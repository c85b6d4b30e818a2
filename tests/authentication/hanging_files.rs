//! Secrets, configurations and authorities on a file system that hangs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::{builder_without_secret, hanging};
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Idaas, Scope, SecretSource};
use tower_idaas_testing::TestIdaas;

/// The folder in which every access hangs; set in the process that has one.
const HANGS: &str = "IDAAS_TEST_HANGING_FOLDER";

/// Longer than a read may take, with some time for a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// The folder in which every access hangs. In the process that has none, runs the test in one that has one, if this
/// machine allows that.
fn where_files_hang(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(HANGS) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = hanging::command(folder.path(), std::env::current_exe().unwrap())?;
    child.args(["--exact", test, "--nocapture"]).env(HANGS, folder.path());
    let output = child.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
    None
}

/// Asserts that so many threads of this process wait for a file, once those that have read theirs are gone.
fn assert_waiting_threads(expected: usize) {
    let waiting = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "idaas-file").count()
    };
    let begun = Instant::now();
    while waiting() != expected && begun.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(waiting(), expected);
}

/// Leads the link to another file, as Kubernetes does with a mounted secret.
fn lead(link: &Path, file: &Path) {
    let new = link.with_extension("new");
    std::os::unix::fs::symlink(file, &new).unwrap();
    std::fs::rename(new, link).unwrap();
}

/// What this takes, and the longest time for which another task on the same thread could not run meanwhile.
async fn longest_standstill<T>(scene: impl Future<Output = T>) -> (T, Duration) {
    let mut scene = std::pin::pin!(scene);
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    loop {
        let ended = tokio::time::timeout(Duration::from_millis(10), scene.as_mut()).await;
        longest = longest.max(last.elapsed());
        last = Instant::now();
        if let Ok(ended) = ended {
            return (ended, longest);
        }
    }
}

#[test]
fn a_file_that_hangs_costs_one_thread_and_a_time_limit_and_stops_no_worker() {
    let name = "hanging_files::a_file_that_hangs_costs_one_thread_and_a_time_limit_and_stops_no_worker";
    let Some(hanging) = where_files_hang(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (issuer, secret) = runtime.block_on(async {
        let issuer = TestIdaas::start().await.unwrap();
        let secret = issuer.secret().expose_secret().to_owned();
        (issuer, secret)
    });
    let build = |path: &Path| {
        let method = ClientSecretPost::new(SecretSource::file(path));
        builder_without_secret(&issuer).authenticator(method).build()
    };

    // While a handle is built: an error in time, and from then on at once.
    let begun = Instant::now();
    let fault = build(&hanging.join("secret")).unwrap_err();
    assert!(fault.to_string().contains("does not respond; check the file system that it is on"), "{fault}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..5 {
        build(&hanging.join("secret")).unwrap_err();
    }
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
    assert_waiting_threads(1);
    let config = hanging.join("client-config.json");
    let fault =
        Idaas::builder().config_file(&config).environment(ManualEnvironment::new()).build().unwrap_err();
    assert!(fault.to_string().contains("does not respond"), "{fault}");
    assert_waiting_threads(2);

    // While a handle is used: what was read before serves.
    let (good, link) = (folder.path().join("good"), folder.path().join("secret"));
    std::fs::write(&good, secret).unwrap();
    lead(&link, &good);
    let idaas = build(&link).unwrap();
    lead(&link, &hanging.join("secret"));
    let (token, standstill) = runtime.block_on(longest_standstill(idaas.token()));
    token.unwrap();
    assert!(standstill < Duration::from_secs(1), "{standstill:?}");
    assert_waiting_threads(3);

    // While the runtime shuts down: a read under way does not delay that.
    let link = folder.path().join("another");
    lead(&link, &good);
    let idaas = build(&link).unwrap();
    lead(&link, &hanging.join("secret"));
    runtime.spawn(async move { idaas.token().await.map(drop) });
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
    let begun = Instant::now();
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_resolver_that_hangs_delays_no_shutdown() {
    let name = "hanging_files::a_resolver_that_hangs_delays_no_shutdown";
    let Some(hanging) = where_files_hang(name) else { return };
    // The resolver of glibc reads it for names without a dot.
    if std::env::var_os("HOSTALIASES").is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env("HOSTALIASES", hanging.join("aliases"));
        assert!(child.status().unwrap().success());
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let issuer = runtime.block_on(TestIdaas::start()).unwrap();
    let idaas = crate::support::builder(&issuer).token_endpoint("https://issuer-without-a-dot/token").build();
    let idaas = idaas.unwrap();
    runtime.spawn(async move { idaas.token().await.map(drop) });
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
    let begun = Instant::now();
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn authorities_that_hang_leave_those_in_use_trusted_and_stop_no_worker() {
    let name = "hanging_files::authorities_that_hang_leave_those_in_use_trusted_and_stop_no_worker";
    let Some(hanging) = where_files_hang(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let issuer = TestIdaas::start().await.unwrap();
        let (good, link) =
            (issuer.write_root_certificate(folder.path()).unwrap(), folder.path().join("roots.pem"));
        lead(&link, &good);
        let environment = ManualEnvironment::new();
        environment.set("SSL_CERT_FILE", &link);
        let idaas = Idaas::builder()
            .instance_id(TestIdaas::INSTANCE_ID)
            .client_id(issuer.client_id())
            .issuer(issuer.issuer())
            .token_endpoint(issuer.token_endpoint())
            .scope(issuer.scope().as_str())
            .authenticator(ClientSecretPost::new(SecretSource::value(issuer.secret())))
            .environment(environment)
            .build()
            .unwrap();
        lead(&link, &hanging.join("roots.pem"));
        // Past the time in which the files are not looked at again.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let (token, standstill) = longest_standstill(idaas.token()).await;
        token.unwrap();
        assert!(standstill < Duration::from_secs(1), "{standstill:?}");
        // The next connection does not wait for them again.
        issuer.down().await;
        issuer.up().await.unwrap();
        let begun = Instant::now();
        idaas.token_for(&"api://other|read".parse::<Scope>().unwrap()).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(issuer.connections(), 2);
        assert_waiting_threads(1);
    });
    // The check under way does not delay the shutdown.
    let begun = Instant::now();
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
