//! Never worse than without: a store that is down, slow, full or forbidden is a miss.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tower_idaas::clock::ManualClock;
use tower_idaas_redis::SharedStore;

use super::client::{Outcome, TestSource, instance, instance_at, shared, store_at, token};
use super::server::{DOCUMENTED_USER, PASSWORD, Server, free_address};

/// With a long time-out: the machine that runs the tests may be busy.
fn patient(url: String) -> SharedStore {
    store_at(url).timeout(Duration::from_secs(5))
}

#[tokio::test]
async fn a_store_that_is_down_is_a_miss() -> Outcome {
    let source = TestSource::new();
    for expected in ["marker-token-1", "marker-token-2"] {
        let idaas = instance(&source, patient(format!("redis://{}", free_address())));
        assert_eq!(token(&idaas).await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_dies_while_a_token_is_fetched_is_a_miss_and_may_come_back() -> Outcome {
    let Some(mut server) = Server::start() else { return Ok(()) };
    let (source, clock) = (TestSource::new(), ManualClock::new());
    source.hold();
    let idaas = instance_at(&clock, &source, shared(&server));
    let caller = idaas.clone();
    let caller = tokio::spawn(async move { token(&caller).await });
    source.wait_for_fetches(1).await;
    server.kill();
    source.release();
    assert_eq!(caller.await??, "marker-token-1");

    server.restart();
    // After the pause of the circuit breaker, and for another scope: the same store is used again.
    clock.advance(Duration::from_secs(60));
    idaas.token_for(&"api://b|read".parse()?).await?;
    assert_eq!(server.keys().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_opened_anew_at_once() -> Outcome {
    let Some(mut server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    let idaas = instance(&source, shared(&server));
    token(&idaas).await?;
    for scope in ["api://b|read", "api://c|read"] {
        server.kill();
        server.restart();
        idaas.token_for(&scope.parse()?).await?;
        // If the loss counted as a failure, the circuit breaker would be open and nothing stored.
        assert_eq!(server.keys().len(), 1, "{scope}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_silent_costs_one_time_out_and_then_none() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let (source, clock) = (TestSource::new(), ManualClock::new());
    let timeout = Duration::from_millis(500);
    let idaas = instance_at(&clock, &source, store_at(server.url()).timeout(timeout));
    token(&idaas).await?;
    server.freeze();
    let started = tokio::time::Instant::now();
    for number in 0..20 {
        idaas.token_for(&format!("api://n{number}|read").parse()?).await?;
    }
    let took = started.elapsed();
    server.wake();
    assert!(took >= timeout && took < timeout * 4, "{took:?}");
    assert_eq!(source.fetches(), 21);
    // It is used again after the pause.
    clock.advance(Duration::from_secs(2));
    idaas.token_for(&"api://later|read".parse()?).await?;
    assert_eq!(server.keys().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_busy_for_longer_than_its_time_out_is_a_miss() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    token(&instance(&source, shared(&server))).await?;
    let _: String = server.command(&["CLIENT", "PAUSE", "3000"]);
    let started = tokio::time::Instant::now();
    // With the time-out by default.
    assert_eq!(token(&instance(&source, store_at(server.url()))).await?, "marker-token-2");
    assert!(started.elapsed() < Duration::from_millis(2000), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_full_store_is_a_miss_and_what_is_in_it_serves() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    token(&instance(&source, shared(&server))).await?;
    let _: String = server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(token(&instance(&source, shared(&server))).await?, "marker-token-1");
    let other = instance(&source, shared(&server).namespace("other"));
    assert_eq!(token(&other).await?, "marker-token-2");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_a_miss() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    let none = server.url().replace(&format!(":{PASSWORD}@"), "");
    for url in [server.url().replace(PASSWORD, "wrong"), none] {
        token(&instance(&source, patient(url))).await?;
    }
    assert_eq!(source.fetches(), 2);
    assert!(server.keys().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_user_with_the_documented_permissions_can_share() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    server.allow_documented_user();
    // A database of its own takes one permission more.
    let _: String = server.command(&["ACL", "SETUSER", "idaas", "+select"]);
    let url = format!("redis://{DOCUMENTED_USER}@{}/", server.address);
    for url in [url.clone(), format!("{url}2")] {
        let source = TestSource::new();
        let idaas = instance(&source, patient(url.clone()));
        token(&idaas).await?;
        idaas.invalidate(&idaas.token().await?);
        token(&idaas).await?;
        assert_eq!(token(&instance(&source, patient(url))).await?, "marker-token-2");
    }
    Ok(())
}
