//! What instances share, and what they do not.

use std::time::Duration;

use tower_idaas::clock::ManualClock;
use tower_idaas::{Error, Idaas, SecretSource};

use super::client::{KEY, LIFE, Outcome, TestSource, instance, instance_at, redis, shared, sharing, token};
use super::server::{PASSWORD, Server};

#[tokio::test]
async fn the_second_instance_gets_the_token_of_the_first() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    let first = instance(&source, shared(&server)).token().await?;
    let second = instance(&source, shared(&server)).token().await?;
    assert_eq!((first.expose_token(), second.expose_token()), ("marker-token-1", "marker-token-1"));
    assert_eq!(second.granted_scope(), Some("api://a|read"));
    assert_eq!(source.fetches(), 1);
    // To the precision of what is stored: milliseconds.
    let apart = first.expires_at().duration_since(second.expires_at());
    assert!(apart.unwrap_or_else(|early| early.duration()) < Duration::from_millis(200));
    Ok(())
}

#[tokio::test]
async fn redis_receives_neither_token_nor_scope_and_forgets_both_in_time() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    token(&instance(&TestSource::new(), shared(&server))).await?;
    let [key] = &server.keys()[..] else { panic!("{:?}", server.keys()) };
    let name = key.strip_prefix("idaas:{").and_then(|rest| rest.strip_suffix('}')).unwrap();
    assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let value: Vec<u8> = server.command(&["GET", key]);
    for clear in ["marker", "api://", "token", "life"] {
        assert!(!value.windows(clear.len()).any(|window| window == clear.as_bytes()), "{clear}");
    }
    let left: u64 = server.command(&["PTTL", key]);
    assert!(left <= 1_200_000 && left > 1_100_000, "{left}");
    Ok(())
}

#[tokio::test]
async fn a_hit_calls_no_store() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let idaas = instance(&TestSource::new(), shared(&server));
    token(&idaas).await?;
    let commands = || {
        let stats: String = server.command(&["INFO", "commandstats"]);
        stats.lines().find(|line| line.starts_with("cmdstat_eval:")).map(str::to_owned)
    };
    let before = commands();
    for _ in 0..100 {
        token(&idaas).await?;
    }
    assert_eq!(commands(), before);
    Ok(())
}

#[tokio::test]
async fn scopes_and_namespaces_are_kept_apart() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    token(&instance(&source, shared(&server))).await?;
    let other = instance(&source, shared(&server).namespace("other"));
    assert_eq!(token(&other).await?, "marker-token-2");
    let scope = "api://b|read".parse()?;
    assert_eq!(other.token_for(&scope).await?.expose_token(), "marker-token-3");
    assert_eq!(server.keys().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_fleet_renews_once_and_not_all_at_the_same_time() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (source, clock) = (TestSource::new(), ManualClock::new());
    let fleet: Vec<_> = (0..20).map(|_| instance_at(&clock, &source, shared(&server))).collect();
    for idaas in &fleet {
        assert_eq!(token(idaas).await?, "marker-token-1");
    }
    // In the middle of the time that jitter spreads refreshes over, some begin and the others do not.
    clock.advance(LIFE * 6 / 10);
    let mut renewed = 0;
    for idaas in &fleet {
        token(idaas).await?;
        // A refresh runs in the background; it gets its time.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if token(idaas).await? == "marker-token-2" {
                renewed += 1;
                break;
            }
        }
    }
    assert!((1..20).contains(&renewed), "{renewed}");
    clock.advance(LIFE * 3 / 10);
    for idaas in &fleet {
        let renewed = async {
            while token(idaas).await? != "marker-token-2" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok::<_, Error>(())
        };
        tokio::time::timeout(Duration::from_secs(60), renewed).await??;
    }
    assert_eq!(source.fetches(), 2);
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_does_not_come_back() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    let fleet: Vec<_> = (0..3).map(|_| instance(&source, shared(&server))).collect();
    for idaas in &fleet {
        assert_eq!(token(idaas).await?, "marker-token-1");
    }
    let revoked: Vec<u8> = server.command(&["GET", &server.keys()[0]]);
    for idaas in &fleet {
        idaas.invalidate(&idaas.token().await?);
        assert_eq!(token(idaas).await?, "marker-token-2");
    }
    assert_eq!(source.fetches(), 2);

    // The revoked one is put back: an instance that knows it does not use it.
    redis::Cmd::set(&server.keys()[0], revoked).exec(&mut server.client())?;
    fleet[0].invalidate(&fleet[0].token().await?);
    assert_eq!(token(&fleet[0]).await?, "marker-token-3");
    Ok(())
}

#[tokio::test]
async fn an_invalidation_leaves_a_newer_token_where_it_is() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    let (late, early) = (instance(&source, shared(&server)), instance(&source, shared(&server)));
    let (revoked, same) = (late.token().await?, early.token().await?);
    early.invalidate(&same);
    assert_eq!(token(&early).await?, "marker-token-2");
    let newer: Vec<u8> = server.command(&["GET", &server.keys()[0]]);
    late.invalidate(&revoked);
    assert_eq!(token(&late).await?, "marker-token-2");
    assert_eq!(server.command::<Vec<u8>>(&["GET", &server.keys()[0]]), newer);
    Ok(())
}

#[tokio::test]
async fn nothing_that_is_shown_shows_a_secret() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let store = shared(&server);
    let shown = format!("{store:?} {:?}", redis(&server));
    for secret in [PASSWORD, KEY] {
        assert!(!shown.contains(secret), "{shown}");
    }
    Ok(())
}

#[test]
fn faults_of_the_set_up_are_found_when_it_is_built() {
    use tower_idaas_redis::{MemoryStore, RedisStore, SharedStore};

    let unset = SecretSource::variable("TOWER_IDAAS_TEST_UNSET");
    let message = RedisStore::builder(unset.clone()).build().unwrap_err().to_string();
    assert!(message.contains("environment variable TOWER_IDAAS_TEST_UNSET is not set"), "{message}");

    let build = |store: SharedStore| {
        let builder = Idaas::builder().scope("api://a|read").token_source(TestSource::new());
        sharing(builder, store).build().unwrap_err().to_string()
    };
    let message = build(SharedStore::new(MemoryStore::new(), unset).namespace("n"));
    assert!(message.contains("TOWER_IDAAS_TEST_UNSET"), "{message}");
    let message =
        build(SharedStore::new(MemoryStore::new(), SecretSource::value("marker".to_owned())).namespace("n"));
    assert!(message.contains("holds no key of 32 bytes") && !message.contains("marker"), "{message}");
    let message = build(SharedStore::new(MemoryStore::new(), SecretSource::value(KEY.to_owned())));
    assert!(message.contains("namespace"), "{message}");
}
