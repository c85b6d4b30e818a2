//! One fetch across instances, whatever happens to the one that has the lock.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tower_idaas::clock::ManualClock;
use tower_idaas::{Error, ErrorKind};

use super::client::{LIFE, Outcome, TestSource, instance, instance_at, shared, token};
use super::server::Server;

const LEASE: Duration = Duration::from_secs(1);

/// Long enough on a busy machine.
const WAIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_crowd_waits_for_one_fetch() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    source.hold();
    let crowd: Vec<_> = (0..30)
        .map(|_| instance(&source, shared(&server)))
        .map(|idaas| tokio::spawn(async move { token(&idaas).await }))
        .collect();
    source.wait_for_fetches(1).await;
    // Long enough for all to have looked, and to have found the lock taken.
    tokio::time::sleep(Duration::from_millis(300)).await;
    source.release();
    for caller in crowd {
        assert_eq!(caller.await??, "marker-token-1");
    }
    assert_eq!(source.fetches(), 1);
    Ok(())
}

#[tokio::test]
async fn an_owner_that_dies_costs_its_lease() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (dying, source) = (TestSource::new(), TestSource::new());
    dying.hold();
    let winner = instance(&dying, shared(&server).lease(LEASE));
    // Its runtime dies with it, as a process does.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.spawn(async move { token(&winner).await });
    dying.wait_for_fetches(1).await;
    runtime.shutdown_background();

    let started = tokio::time::Instant::now();
    let losers: Vec<_> = (0..10)
        .map(|_| instance(&source, shared(&server).lease(LEASE).wait(WAIT)))
        .map(|idaas| tokio::spawn(async move { token(&idaas).await }))
        .collect();
    for loser in losers {
        assert_eq!(loser.await??, "marker-token-1");
    }
    assert_eq!(source.fetches(), 1);
    assert!(started.elapsed() < WAIT, "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_process_without_the_lock_does_not_wait_for_ever() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (slow, source) = (TestSource::new(), TestSource::new());
    slow.hold();
    let winner = instance(&slow, shared(&server));
    let winner = tokio::spawn(async move { token(&winner).await });
    slow.wait_for_fetches(1).await;
    let loser = instance(&source, shared(&server).wait(Duration::from_millis(300)));
    assert_eq!(token(&loser).await?, "marker-token-1");
    assert_eq!(source.fetches(), 1);
    // Its token serves others, although it has no lock.
    assert_eq!(token(&instance(&source, shared(&server))).await?, "marker-token-1");
    assert_eq!((source.fetches(), server.keys().len()), (1, 2));
    slow.release();
    winner.await??;
    Ok(())
}

#[tokio::test]
async fn a_lease_is_renewed_for_as_long_as_the_fetch_takes() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    source.hold();
    let slow = instance(&source, shared(&server).lease(LEASE * 3));
    let slow = tokio::spawn(async move { token(&slow).await });
    source.wait_for_fetches(1).await;
    let key = server.keys().remove(0);
    let left = || server.command::<i64>(&["PTTL", &key]);
    let (mut before, mut renewed) = (left(), 0);
    while renewed < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = left();
        assert!(now > 0, "the lock is lost");
        renewed += u32::from(now > before);
        before = now;
    }
    source.release();
    slow.await??;
    assert_eq!(token(&instance(&source, shared(&server))).await?, "marker-token-1");
    Ok(())
}

#[tokio::test]
async fn a_process_that_lost_the_lock_does_not_overwrite_a_newer_token() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (slow, source) = (TestSource::new(), TestSource::new());
    slow.hold();
    let loser = instance(&slow, shared(&server).lease(Duration::from_secs(600)));
    let loser = tokio::spawn(async move { token(&loser).await });
    slow.wait_for_fetches(1).await;
    let _: i64 = server.command(&["DEL", &server.keys()[0]]);
    token(&instance(&source, shared(&server))).await?;
    let newer: Vec<u8> = server.command(&["GET", &server.keys()[0]]);
    slow.release();
    assert_eq!(loser.await??, "marker-token-1");
    assert_eq!(server.command::<Vec<u8>>(&["GET", &server.keys()[0]]), newer);
    Ok(())
}

#[tokio::test]
async fn a_renewed_token_is_shared_though_the_lock_was_lost() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (source, clock) = (TestSource::new(), ManualClock::new());
    let idaas = instance_at(&clock, &source, shared(&server).lease(Duration::from_secs(600)));
    token(&idaas).await?;
    let key = server.keys().remove(0);
    // Its last minute has come.
    let _: i64 = server.command(&["PEXPIRE", &key, "50000"]);
    clock.advance(LIFE - Duration::from_secs(50));
    source.hold();
    let caller = tokio::spawn(async move { token(&idaas).await });
    source.wait_for_fetches(2).await;
    // Now it is another one's, which does not end it.
    let _: String = server.command(&["SET", &format!("{key}:lock"), "another", "PX", "60000"]);
    source.release();
    assert_eq!(caller.await??, "marker-token-2");
    assert_eq!(token(&instance_at(&clock, &source, shared(&server))).await?, "marker-token-2");
    assert_eq!(server.command::<String>(&["GET", &format!("{key}:lock")]), "another");
    Ok(())
}

#[tokio::test]
async fn a_lock_without_an_end_is_taken_over() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    token(&instance(&source, shared(&server))).await?;
    let key = server.keys().remove(0);
    let lock_key = format!("{key}:lock");
    for lock in [["SET", &lock_key, "without end"], ["RPUSH", &lock_key, "of another type"]] {
        let _: i64 = server.command(&["DEL", &key]);
        let _: redis::Value = server.command(&lock);
        // Longer than a fetch may take, if it had to wait.
        let before = source.fetches();
        let first = instance(&source, shared(&server).lease(Duration::from_secs(600)));
        let second = instance(&source, shared(&server));
        let got = tokio::time::timeout(Duration::from_secs(60), token(&first)).await??;
        assert_eq!(got, token(&second).await?);
        assert_eq!((source.fetches(), server.keys()), (before + 1, vec![key.clone()]));
    }
    Ok(())
}

#[tokio::test]
async fn a_fetch_that_fails_ends_its_lock_at_once() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (refused, source) = (TestSource::new(), TestSource::new());
    refused.fail_with(Error::new(ErrorKind::Refused, "no, said the test"));
    token(&instance(&refused, shared(&server))).await.unwrap_err();
    assert!(server.keys().is_empty());
    assert_eq!(token(&instance(&source, shared(&server))).await?, "marker-token-1");
    Ok(())
}

#[tokio::test]
async fn while_the_issuer_is_down_an_older_token_of_others_serves() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (source, clock) = (TestSource::new(), ManualClock::new());
    token(&instance_at(&clock, &source, shared(&server))).await?;
    clock.advance(LIFE * 7 / 10);
    source.fail_with(Error::new(ErrorKind::Unavailable, "down, said the test"));
    let another = instance_at(&clock, &source, shared(&server));
    assert_eq!(token(&another).await?, "marker-token-1");
    // It is due, and a failed refresh is remembered as without a store.
    let before = source.fetches();
    for _ in 0..20 {
        assert_eq!(token(&another).await?, "marker-token-1");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(source.fetches() <= before + 1, "{before}, {}", source.fetches());
    Ok(())
}
