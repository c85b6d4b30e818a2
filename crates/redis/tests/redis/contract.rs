//! What [`TokenStore`] requires of a store, for each store of this crate.

use std::time::Duration;

use tower_idaas_redis::{MemoryStore, TokenStore};

use super::client::{Outcome, redis};
use super::server::Server;

const NAME: &str = "name";
const LONG: Duration = Duration::from_secs(600);
const LONGER: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() -> Outcome {
    keeps_the_contract(&MemoryStore::new()).await
}

#[tokio::test]
async fn redis_keeps_the_contract() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    keeps_the_contract(&redis(&server)).await
}

async fn keeps_the_contract(store: &dyn TokenStore) -> Outcome {
    a_lock_has_one_owner(store).await?;
    which_owner_may_put(store).await?;
    a_value_is_removed_byte_by_byte(store).await?;
    all_ends(store).await
}

async fn a_lock_has_one_owner(store: &dyn TokenStore) -> Outcome {
    assert!(store.try_lock(NAME, "one", SHORT).await?);
    assert!(!store.try_lock(NAME, "other", LONG).await?);
    // Its own owner takes it again, for so long from now.
    assert!(store.try_lock(NAME, "one", LONG).await?);
    tokio::time::sleep(SHORT * 2).await;
    assert!(!store.try_lock(NAME, "other", LONG).await?);
    store.unlock(NAME, "other").await?;
    assert!(!store.try_lock(NAME, "other", LONG).await?);
    // Of another name it is another one.
    assert!(store.try_lock("next", "other", LONG).await?);
    store.unlock(NAME, "one").await?;
    assert!(store.try_lock(NAME, "other", LONG).await?);
    store.unlock(NAME, "other").await?;
    Ok(())
}

async fn which_owner_may_put(store: &dyn TokenStore) -> Outcome {
    assert!(store.get(NAME).await?.is_none());
    assert!(store.try_lock(NAME, "one", LONG).await?);
    // Any owner while there is nothing; the lock stays with its own.
    assert!(store.put(NAME, "other", b"first", LONG).await?);
    assert!(!store.try_lock(NAME, "other", LONG).await?);
    // A value that ends earlier is stored by the owner of the lock alone.
    assert!(!store.put(NAME, "other", b"second", LONG / 2).await?);
    assert_eq!(value(store).await?.as_deref(), Some(&b"first"[..]));
    assert!(store.put(NAME, "one", b"third", LONG / 2).await?);
    assert_eq!(value(store).await?.as_deref(), Some(&b"third"[..]));
    // It has ended its lock with that.
    assert!(store.try_lock(NAME, "other", LONG).await?);
    assert!(store.put(NAME, "one", b"fourth", LONGER).await?);
    assert_eq!(value(store).await?.as_deref(), Some(&b"fourth"[..]));
    assert!(!store.try_lock(NAME, "one", LONG).await?);
    store.unlock(NAME, "other").await?;
    let left = store.get(NAME).await?.and_then(|stored| stored.remaining());
    assert!(left.is_some_and(|left| left <= LONGER && left > LONG), "{left:?}");
    Ok(())
}

async fn a_value_is_removed_byte_by_byte(store: &dyn TokenStore) -> Outcome {
    assert!(!store.remove(NAME, b"first").await?);
    assert!(!store.remove(NAME, b"").await?);
    assert_eq!(value(store).await?.as_deref(), Some(&b"fourth"[..]));
    assert!(store.remove(NAME, b"fourth").await?);
    assert!(!store.remove(NAME, b"fourth").await?);
    assert_eq!(value(store).await?, None);
    Ok(())
}

async fn all_ends(store: &dyn TokenStore) -> Outcome {
    assert!(store.put(NAME, "one", b"brief", SHORT).await?);
    assert!(store.try_lock(NAME, "one", SHORT).await?);
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(value(store).await?, None);
    assert!(store.try_lock(NAME, "other", SHORT).await?);
    Ok(())
}

async fn value(store: &dyn TokenStore) -> Result<Option<Vec<u8>>, tower_idaas::Error> {
    Ok(store.get(NAME).await?.map(|stored| stored.value().to_vec()))
}
