//! An address in a file that is written anew in place: for a moment it is empty, or half of it is there.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use tower_idaas::SecretSource;
use tower_idaas_redis::{RedisStore, TokenStore};

use super::client::Outcome;
use super::server::{PASSWORD, Server, free_address};

fn store_in(path: &Path) -> RedisStore {
    RedisStore::builder(SecretSource::file(path)).build().unwrap()
}

/// Ends the connections of the store, so that it needs a new one.
fn disconnect(server: &Server) {
    let _: u64 = server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
}

#[tokio::test]
async fn while_the_file_is_empty_torn_or_gone_the_last_address_stands_in() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let path = server.folder.path().join("address");
    std::fs::write(&path, server.url())?;
    let store = store_in(&path);
    assert!(store.put("name", "owner", b"value", std::time::Duration::from_secs(60)).await?);
    let whole = server.url();
    let torn = [
        String::new(),
        whole.split_once('@').unwrap().0.to_owned(),
        // Whole addresses, and not the right one.
        format!("redis://:{}@{}", &PASSWORD[..6], server.address),
        format!("redis://{}", free_address()),
    ];
    for content in &torn {
        std::fs::write(&path, content)?;
        disconnect(&server);
        assert_eq!(store.get("name").await?.unwrap().value(), b"value", "{content:?}");
    }
    std::fs::remove_file(&path)?;
    disconnect(&server);
    assert_eq!(store.get("name").await?.unwrap().value(), b"value");
    Ok(())
}

#[tokio::test]
async fn a_new_address_is_used_for_the_next_connection() -> Outcome {
    let (Some(old), Some(new)) = (Server::start(), Server::start()) else { return Ok(()) };
    let path = old.folder.path().join("address");
    std::fs::write(&path, old.url())?;
    let store = store_in(&path);
    assert!(store.try_lock("name", "owner", std::time::Duration::from_secs(60)).await?);
    std::fs::write(&path, new.url())?;
    disconnect(&old);
    assert!(store.try_lock("name", "another", std::time::Duration::from_secs(60)).await?);
    assert_eq!((old.keys().len(), new.keys().len()), (1, 1));
    Ok(())
}
