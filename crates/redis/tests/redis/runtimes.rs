//! One store in several runtimes.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tower_idaas_redis::TokenStore;

use super::client::{Outcome, redis};
use super::server::Server;

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[test]
fn a_runtime_that_stands_still_keeps_no_other_one_from_the_store() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let store = Arc::new(redis(&server));
    let (idle, driven) = (runtime()?, runtime()?);
    // It is about to open a connection, and stands still.
    server.freeze();
    idle.block_on(async {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.get("name").await.map(drop) });
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    server.wake();
    let found = async { tokio::time::timeout(Duration::from_secs(10), store.get("name")).await };
    assert!(driven.block_on(found)??.is_none());
    // And the first one goes on where it was.
    assert!(idle.block_on(store.get("name"))?.is_none());
    Ok(())
}

#[test]
fn a_connection_serves_in_its_own_runtime_alone() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    let store = redis(&server);
    for _ in 0..2 {
        let runtime = runtime()?;
        for _ in 0..3 {
            assert!(runtime.block_on(store.get("name"))?.is_none());
        }
    }
    let stats: String = server.command(&["INFO", "stats"]);
    // One for each runtime, one for this question, and one that waited for the server to start.
    assert!(stats.contains("total_connections_received:4\r"), "{stats}");
    Ok(())
}
