//! What is in the store is not trusted: a value that does not open, parse and live is overwritten.

#![allow(clippy::unwrap_used)]

use tower_idaas::clock::ManualClock;

use super::client::{
    KEY, LIFE, OTHER_KEY, Outcome, TestSource, instance, instance_at, shared, shared_under, token,
};
use super::server::Server;

/// Shares a token, changes what is stored, and expects the next instance to fetch and share anew.
async fn overwritten_after(change: impl FnOnce(&Server, &str, Vec<u8>)) -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    token(&instance(&source, shared(&server))).await?;
    let key = server.keys().remove(0);
    let value: Vec<u8> = server.command(&["GET", &key]);
    change(&server, &key, value.clone());
    assert_eq!(token(&instance(&source, shared(&server))).await?, "marker-token-2");
    assert_eq!(token(&instance(&source, shared(&server))).await?, "marker-token-2");
    assert_ne!(server.command::<Vec<u8>>(&["GET", &key]), value);
    assert_eq!(source.fetches(), 2);
    Ok(())
}

fn set(server: &Server, key: &str, value: &[u8]) {
    redis::Cmd::set(key, value).exec(&mut server.client()).unwrap();
}

#[tokio::test]
async fn a_tampered_value_is_overwritten() -> Outcome {
    overwritten_after(|server, key, mut value| {
        value[20] ^= 1;
        set(server, key, &value);
    })
    .await
}

#[tokio::test]
async fn garbage_is_overwritten() -> Outcome {
    overwritten_after(|server, key, _| set(server, key, b"garbage")).await?;
    overwritten_after(|server, key, _| set(server, key, b"")).await
}

#[tokio::test]
async fn a_value_that_is_too_long_is_overwritten_and_not_read_to_its_end() -> Outcome {
    overwritten_after(|server, key, _| set(server, key, &vec![b'x'; 8 << 20])).await
}

#[tokio::test]
async fn a_value_of_another_type_is_overwritten() -> Outcome {
    overwritten_after(|server, key, _| {
        let _: i64 = server.command(&["DEL", key]);
        let _: i64 = server.command(&["RPUSH", key, "a", "b"]);
    })
    .await
}

#[tokio::test]
async fn a_value_without_an_end_is_overwritten() -> Outcome {
    overwritten_after(|server, key, _| {
        let _: i64 = server.command(&["PERSIST", key]);
    })
    .await
}

#[tokio::test]
async fn a_value_for_another_name_is_overwritten() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    token(&instance(&source, shared(&server))).await?;
    let key = server.keys().remove(0);
    token(&instance(&source, shared(&server).namespace("other"))).await?;
    let other = server.keys().into_iter().find(|other| *other != key).unwrap();
    let value: Vec<u8> = server.command(&["GET", &key]);
    set(&server, &other, &value);
    assert_eq!(token(&instance(&source, shared(&server).namespace("other"))).await?, "marker-token-3");
    Ok(())
}

#[tokio::test]
async fn a_token_whose_life_is_over_or_nearly_so_is_overwritten_however_long_redis_keeps_it() -> Outcome {
    for age in [LIFE, LIFE * 6 / 10] {
        let Some(server) = Server::start() else { return Ok(()) };
        let (source, clock) = (TestSource::new(), ManualClock::new());
        token(&instance_at(&clock, &source, shared(&server))).await?;
        let _: i64 = server.command(&["PERSIST", &server.keys()[0]]);
        clock.advance(age);
        assert_eq!(token(&instance_at(&clock, &source, shared(&server))).await?, "marker-token-2");
        assert_eq!(token(&instance_at(&clock, &source, shared(&server))).await?, "marker-token-2");
    }
    Ok(())
}

#[tokio::test]
async fn redis_ends_the_life_of_a_token_on_a_machine_with_the_wrong_time() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    token(&instance(&source, shared(&server))).await?;
    // Half an hour behind, and Redis has kept it for all but a minute of its life.
    let _: i64 = server.command(&["PEXPIRE", &server.keys()[0], "60000"]);
    let behind = ManualClock::new();
    behind.set_wall_back(LIFE);
    assert_eq!(token(&instance_at(&behind, &source, shared(&server))).await?, "marker-token-2");
    Ok(())
}

#[tokio::test]
async fn keys_are_rotated_without_a_gap() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    let with = |keys: &str| instance(&source, shared_under(&server, keys));
    let (both, turned) = (format!("{KEY},{OTHER_KEY}"), format!("{OTHER_KEY},{KEY}"));
    // All know the new key before one of them seals under it.
    for keys in [KEY, &both, &turned, &both, KEY] {
        assert_eq!(token(&with(keys)).await?, "marker-token-1");
    }
    // Sealed under a key that is not known any more: a miss.
    assert_eq!(token(&with(OTHER_KEY)).await?, "marker-token-2");
    for keys in [&both, &turned, OTHER_KEY] {
        assert_eq!(token(&with(keys)).await?, "marker-token-2");
    }
    Ok(())
}
