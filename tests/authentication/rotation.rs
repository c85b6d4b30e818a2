//! A secret that is rotated under a running process.

use std::time::Duration;

use crate::support::builder_without_secret;
use crate::support::log::Log;
use tower_idaas::authn::{ClientSecretBasic, ClientSecretJwt, ClientSecretPost, Oidc, Pca, PrivateKeyJwt};
use tower_idaas::clock::ManualClock;
use tower_idaas::{ErrorKind, Idaas, SecretSource};
use tower_idaas_testing::{Behaviour, ClientAuthentication, TestIdaas};

/// Longer than any pause of the cache, shorter than a token's life.
const LATER: Duration = Duration::from_secs(6);

async fn issuer(clock: &ManualClock) -> TestIdaas {
    TestIdaas::builder().client("app_1", "first").clock(clock.clone()).start().await.unwrap()
}

/// A client whose secret is in a variable, as the vendor's file names it.
fn from_file(issuer: &TestIdaas, method: ClientAuthentication, clock: &ManualClock) -> (Idaas, Rotate) {
    let folder = tempfile::tempdir().unwrap();
    let path = issuer.write_config(folder.path(), method).unwrap();
    let environment = issuer.environment();
    let idaas = Idaas::builder()
        .config_file(path)
        .root_certificate(issuer.root_certificate_pem())
        .environment(environment.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    (idaas, Box::new(move |secret| environment.set(TestIdaas::SECRET_VARIABLE, secret)))
}

type Rotate = Box<dyn Fn(&str)>;

#[tokio::test]
async fn the_next_refresh_uses_the_secret_that_is_in_the_variable_then() {
    for method in [ClientAuthentication::SecretBasic, ClientAuthentication::SecretPost] {
        let clock = ManualClock::new();
        let issuer = issuer(&clock).await;
        let (idaas, rotate) = from_file(&issuer, method, &clock);
        let before = idaas.token().await.unwrap();
        issuer.set_secret("second");
        rotate("second\n");
        // The live token stays; rotation alone fetches nothing.
        assert_eq!(idaas.token().await.unwrap().expose_token(), before.expose_token());
        clock.advance(Duration::from_secs(1200));
        assert_ne!(idaas.token().await.unwrap().expose_token(), before.expose_token());
        assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (2, 0));
    }
}

#[tokio::test]
async fn the_next_refresh_uses_the_secret_that_is_in_the_file_then() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "first\n").unwrap();
    let idaas = builder_without_secret(&issuer)
        .authenticator(ClientSecretBasic::new(SecretSource::file(&file)))
        .clock(clock.clone())
        .build()
        .unwrap();
    idaas.token().await.unwrap();

    // As Kubernetes does it: a new file takes the old one's place.
    let new = folder.path().join("new");
    std::fs::write(&new, "second\n").unwrap();
    std::fs::rename(&new, &file).unwrap();
    issuer.set_secret("second");
    clock.advance(Duration::from_secs(1200));
    idaas.token().await.unwrap();
    assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (2, 0));

    // While the file is gone, the secret that was in it serves for a minute.
    std::fs::remove_file(&file).unwrap();
    clock.advance(Duration::from_secs(1200));
    idaas.token().await.unwrap();
    assert_eq!(issuer.token_requests(), 3);

    // Then it is an error that names the file, and heals as soon as that is back.
    clock.advance(Duration::from_secs(1200));
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, true));
    assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
    assert_eq!(issuer.token_requests(), 3);
    std::fs::write(&file, "second").unwrap();
    clock.advance(Duration::from_millis(200));
    idaas.token().await.unwrap();
    assert_eq!(issuer.token_requests(), 4);
}

#[tokio::test]
async fn half_a_key_is_bridged_by_the_whole_one_that_was_read_before() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let key = issuer.private_key_pem();
    let key = key.expose_secret();
    std::fs::write(&file, key).unwrap();
    let idaas = builder_without_secret(&issuer)
        .authenticator(PrivateKeyJwt::new(SecretSource::file(&file)))
        .clock(clock.clone())
        .build()
        .unwrap();
    let other = include_str!("../golden/keys/ec_p256.pkcs8.pem");
    for torn in [&key[..key.len() / 2], "", &other[..other.len() - 40], "-----BEGIN PRIVATE KEY-----\nAAAA"] {
        std::fs::write(&file, torn).unwrap();
        clock.advance(Duration::from_secs(1200));
        idaas.token().await.unwrap();
        std::fs::write(&file, key).unwrap();
        clock.advance(Duration::from_secs(1200));
        idaas.token().await.unwrap();
    }
    assert_eq!(issuer.rejected_requests(), 0);
}

#[tokio::test]
async fn a_secret_that_changes_while_it_is_refused_is_tried_once_more_at_once() {
    for method in [ClientAuthentication::SecretBasic, ClientAuthentication::SecretPost] {
        let clock = ManualClock::new();
        let issuer = issuer(&clock).await;
        let (idaas, rotate) = from_file(&issuer, method, &clock);
        issuer.set_secret("second");
        issuer.set_behaviour(Behaviour::Hold);
        let waiting = tokio::spawn(async move { idaas.token().await });
        issuer.wait_for_held(1).await;
        rotate("second");
        issuer.release();
        waiting.await.unwrap().unwrap();
        assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (2, 1));
    }
}

#[tokio::test]
async fn a_secret_file_renamed_into_place_while_the_old_secret_is_refused_is_used_at_once() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, new) = (folder.path().join("secret"), folder.path().join("new"));
    std::fs::write(&file, "first\n").unwrap();
    std::fs::write(&new, "second\n").unwrap();
    let idaas = builder_without_secret(&issuer)
        .authenticator(ClientSecretPost::new(SecretSource::file(&file)))
        .clock(clock);
    let idaas = idaas.build().unwrap();
    issuer.set_secret("second");
    issuer.set_behaviour(Behaviour::Hold);
    let waiting = tokio::spawn(async move { idaas.token().await });
    issuer.wait_for_held(1).await;
    std::fs::rename(&new, &file).unwrap();
    issuer.release();
    waiting.await.unwrap().unwrap();
    assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (2, 1));
}

#[tokio::test]
async fn a_changed_secret_that_is_refused_as_well_is_not_tried_a_third_time() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let (idaas, rotate) = from_file(&issuer, ClientAuthentication::SecretPost, &clock);
    issuer.set_secret("third");
    issuer.set_behaviour(Behaviour::Hold);
    let waiting = tokio::spawn(async move { idaas.token().await });
    issuer.wait_for_held(1).await;
    rotate("second");
    issuer.release();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (2, 2));
}

#[tokio::test]
async fn an_unchanged_secret_is_refused_once_remembered_a_few_seconds_and_then_recovers() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let (idaas, rotate) = from_file(&issuer, ClientAuthentication::SecretBasic, &clock);
    issuer.set_secret("second");
    for _ in 0..3 {
        let error = idaas.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused, false));
        assert_eq!(error.code(), Some("invalid_client"));
    }
    assert_eq!(issuer.token_requests(), 1);
    clock.advance(LATER);
    idaas.token().await.unwrap_err();
    assert_eq!(issuer.token_requests(), 2);

    rotate("second");
    // Half the pause is jitter; before that, the refusal is still remembered.
    clock.advance(Duration::from_secs(2));
    idaas.token().await.unwrap_err();
    assert_eq!(issuer.token_requests(), 2);
    clock.advance(LATER);
    idaas.token().await.unwrap();
    assert_eq!(issuer.token_requests(), 3);
}

#[tokio::test]
async fn a_refused_secret_does_not_take_a_live_token_away() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let (idaas, _) = from_file(&issuer, ClientAuthentication::SecretPost, &clock);
    let token = idaas.token().await.unwrap();
    issuer.set_secret("second");
    // In the stretch in which requests wait for the next token: this one is served when that fails.
    clock.advance(Duration::from_secs(1150));
    assert_eq!(idaas.token().await.unwrap().expose_token(), token.expose_token());
    assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (2, 1));
}

#[tokio::test]
async fn a_variable_that_is_unset_under_way_is_named() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let environment = issuer.environment();
    let idaas = builder_without_secret(&issuer)
        .authenticator(ClientSecretPost::new(SecretSource::variable(TestIdaas::SECRET_VARIABLE)))
        .environment(environment.clone())
        .build()
        .unwrap();
    environment.remove(TestIdaas::SECRET_VARIABLE);
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, false));
    assert!(error.to_string().contains("IDAAS_CLIENT_SECRET is not set"), "{error}");
    assert_eq!(issuer.token_requests(), 0);
}

#[tokio::test]
async fn an_oidc_token_that_is_cut_short_or_gone_is_bridged_by_the_one_before() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let folder = tempfile::tempdir().unwrap();
    let path = issuer.write_service_account_token(folder.path()).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    let idaas = builder_without_secret(&issuer)
        .authenticator(Oidc::from_file(TestIdaas::FEDERATED_CREDENTIAL, &path))
        .clock(clock.clone())
        .build()
        .unwrap();
    issuer.service_account_token().write_to(&path).unwrap();
    let other = std::fs::read_to_string(&path).unwrap();
    for torn in ["", &whole[..whole.len() / 2], &other[..other.len() - 10]] {
        std::fs::write(&path, torn).unwrap();
        clock.advance(Duration::from_secs(500));
        let token = idaas.token().await.unwrap();
        idaas.invalidate(&token);
    }
    assert_eq!(issuer.rejected_requests(), 0);
}

#[tokio::test]
async fn a_certificate_that_is_replaced_before_its_key_costs_a_second_read_and_no_pause() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
    std::fs::write(&certificate, include_str!("../golden/keys/pca_leaf_ec_p256.cert.pem")).unwrap();
    std::fs::write(&key, include_str!("../golden/keys/ec_p256.pkcs8.pem")).unwrap();
    let pca = Pca::new("credential", SecretSource::file(&certificate), SecretSource::file(&key));
    let idaas = builder_without_secret(&issuer).authenticator(pca).clock(clock.clone()).build().unwrap();
    std::fs::write(&certificate, include_str!("../golden/keys/pca_leaf_rsa2048.cert.pem")).unwrap();
    let error = idaas.token().await.unwrap_err();
    assert!(error.to_string().contains("does not match the certificate") && error.is_transient(), "{error}");
    assert_eq!(issuer.token_requests(), 0);
    std::fs::write(&key, include_str!("../golden/keys/rsa2048.pkcs8.pem")).unwrap();
    clock.advance(Duration::from_millis(200));
    // This IDaaS does not know the certificate, and says so: the pair was sent.
    assert_eq!(idaas.token().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(issuer.token_requests(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_in_place_of_a_secrets_file_hangs_neither_the_build_nor_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let (file, pipe) = (folder.path().join("secret"), folder.path().join("pipe"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = ManualClock::new();
        let issuer = issuer(&clock).await;
        let build = |path| {
            let post = ClientSecretPost::new(SecretSource::file(path));
            builder_without_secret(&issuer).authenticator(post).clock(clock.clone()).build()
        };
        let fault = build(&pipe).unwrap_err();
        assert!(fault.to_string().contains("is not a regular file"), "{fault}");

        std::fs::write(&file, "first").unwrap();
        let idaas = build(&file).unwrap();
        std::fs::rename(&pipe, &file).unwrap();
        // What was read there before serves for a minute, then the fault is reported.
        idaas.token().await.unwrap();
        clock.advance(Duration::from_secs(1200));
        let error = idaas.token().await.unwrap_err();
        assert!(error.to_string().contains("is not a regular file"), "{error}");
    });
}

#[tokio::test]
async fn a_client_secret_with_a_character_that_only_comes_from_copying_is_refused_when_the_handle_is_built() {
    let issuer = issuer(&ManualClock::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    for (secret, code) in [("fir\u{a0}st", "U+00A0"), ("fir\u{200b}st", "U+200B"), ("fir\tst", "U+0009")] {
        std::fs::write(&file, secret).unwrap();
        let source = || SecretSource::file(&file);
        let built = [
            builder_without_secret(&issuer).authenticator(ClientSecretBasic::new(source())),
            builder_without_secret(&issuer).authenticator(ClientSecretPost::new(source())),
            builder_without_secret(&issuer).authenticator(ClientSecretJwt::new(source())),
        ];
        for builder in built {
            let error = builder.build().unwrap_err();
            let expected = format!("has the character {code} at position 4");
            assert!(error.to_string().contains(&expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("fir"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_may_come_from_a_function() {
    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let secret = std::sync::Arc::new(std::sync::Mutex::new("first"));
    let current = secret.clone();
    let source = SecretSource::from_fn(move || {
        let secret = *current.lock().unwrap();
        async move { Ok(secret.into()) }
    });
    let builder = builder_without_secret(&issuer).authenticator(ClientSecretPost::new(source));
    let idaas = builder.clock(clock.clone()).build().unwrap();
    idaas.token().await.unwrap();
    *secret.lock().unwrap() = "second";
    issuer.set_secret("second");
    clock.advance(Duration::from_secs(1200));
    idaas.token().await.unwrap();
    assert_eq!((issuer.token_requests(), issuer.rejected_requests()), (2, 0));
}

#[tokio::test]
async fn a_blank_or_a_quotation_mark_at_an_end_is_mentioned_when_the_issuer_refuses_the_secret() {
    let issuer = issuer(&ManualClock::new()).await;
    let log = Log::start();
    for (secret, part) in
        [("hunter2 ", "begins or ends with a blank"), ("'hunter2'", "with a quotation mark")]
    {
        let post = ClientSecretPost::new(SecretSource::value(secret));
        let idaas = builder_without_secret(&issuer).authenticator(post).build().unwrap();
        assert_eq!(idaas.token().await.unwrap_err().code(), Some("invalid_client"));
        let logged = log.text();
        assert!(logged.contains(part) && !logged.contains(secret), "{logged}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_secret_file_that_all_may_write_is_warned_of_once() {
    use std::os::unix::fs::PermissionsExt;

    let clock = ManualClock::new();
    let issuer = issuer(&clock).await;
    let log = Log::start();
    let folder = tempfile::tempdir().unwrap();
    for (mode, may) in [(0o666, "write"), (0o644, "read")] {
        let file = folder.path().join(format!("all-may-{may}"));
        std::fs::write(&file, "first").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let post = ClientSecretPost::new(SecretSource::file(&file));
        let idaas = builder_without_secret(&issuer).authenticator(post).clock(clock.clone()).build().unwrap();
        for _ in 0..3 {
            // At each later read there is nothing new to say, also when the file was written again.
            idaas.token().await.unwrap();
            clock.advance(Duration::from_secs(1200));
            std::fs::write(&file, "first").unwrap();
        }
        let warning = format!("may {may} secret file {} (mode {mode:04o}); restrict it", file.display());
        assert_eq!(log.text().matches(&warning).count(), 1, "{warning}");
    }
}
