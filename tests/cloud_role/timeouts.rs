//! No wait is without end.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tower_idaas::ErrorKind;
use tower_idaas::testing::Behaviour;

use crate::support::{Outcome, SESSION, World, key_id};

const LIMIT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn an_api_that_accepts_and_says_nothing_is_given_up() -> Outcome {
    let world = World::with(|builder| builder.connect_timeout(LIMIT)).await?;
    world.api.set_behaviour(Behaviour::HangHandshake);
    let error = world.role()?.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    assert!(error.to_string().contains("no connection to"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_api_that_never_answers_is_given_up() -> Outcome {
    let drip = Behaviour::Drip { interval: Duration::from_millis(10), blanks: None };
    for behaviour in [Behaviour::Hold, drip] {
        let world = World::with(|builder| builder.read_timeout(LIMIT)).await?;
        world.idaas.token_for(&crate::support::PAM.parse()?).await?;
        world.api.set_behaviour(behaviour);
        let error = world.role()?.credentials().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
        assert!(error.to_string().contains("no complete answer from"), "{error}");
        assert_eq!(world.calls(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_caller_waits_as_long_as_it_is_told_and_leaves_the_fetch_going() -> Outcome {
    let world = World::with(|builder| builder.wait_timeout(LIMIT)).await?;
    world.idaas.token_for(&crate::support::PAM.parse()?).await?;
    world.api.set_behaviour(Behaviour::Hold);
    let role = world.role()?;
    let error = role.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("STS credentials of acs:ram::"), "{error}");
    world.api.wait_for_held(1).await;
    world.api.release();
    role.credentials().await?;
    assert_eq!(world.calls(), 1);
    Ok(())
}

#[tokio::test]
async fn an_api_that_is_not_there_is_told_apart() -> Outcome {
    let world = World::new().await?;
    let role = world.role()?;
    let first = key_id(&role.credentials().await?);
    drop(world.api);
    world.clock.advance(SESSION / 2);
    assert_eq!(key_id(&role.credentials().await?), first);
    world.clock.advance(SESSION / 2);
    let error = role.credentials().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true), "{error}");
    Ok(())
}
