//! A cluster: its nodes move names, lie idle, and fall silent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use tower_idaas::clock::ManualClock;

use super::client::{Outcome, TestSource, instance, instance_at, token};
use super::nodes::{at, launch, share, until};
use super::server::{DOCUMENTED_USER, PASSWORD, Server, free_address};

/// Nodes of one cluster. All is on the second one, and clients come to the first.
async fn cluster<const NODES: usize>() -> Option<[Server; NODES]> {
    let start = || {
        let address = free_address();
        let port = address.port().to_string();
        let bus = free_address().port().to_string();
        let options = ["--port", &port, "--cluster-enabled", "yes", "--cluster-port", &bus];
        let more =
            ["--cluster-require-full-coverage", "no", "--requirepass", PASSWORD, "--masterauth", PASSWORD];
        launch(address, &[&options[..], &more].concat()).map(|server| (server, bus))
    };
    let nodes: Vec<_> = (0..NODES).map(|_| start()).collect::<Option<_>>()?;
    for (node, bus) in &nodes[1..] {
        let (ip, port) = (node.address.ip().to_string(), node.address.port().to_string());
        let _: String = nodes[0].0.command(&["CLUSTER", "MEET", &ip, &port, bus]);
    }
    let _: String = nodes[1].0.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let is_up = |(server, _): &(Server, String)| {
        let info: String = server.command(&["CLUSTER", "INFO"]);
        let known = format!("cluster_known_nodes:{NODES}");
        let all = "cluster_slots_assigned:16384";
        ["cluster_state:ok", &known, all].iter().all(|line| info.contains(line))
    };
    until(|| nodes.iter().all(is_up)).await;
    nodes.into_iter().map(|(server, _)| server).collect::<Vec<_>>().try_into().ok()
}

fn id(server: &Server) -> String {
    server.command(&["CLUSTER", "MYID"])
}

fn slot_of(server: &Server, key: &str) -> String {
    server.command::<u64>(&["CLUSTER", "KEYSLOT", key]).to_string()
}

#[tokio::test]
async fn a_connection_to_a_node_that_was_closed_meanwhile_is_opened_once_and_kept() -> Outcome {
    let Some([one, two]) = cluster().await else { return Ok(()) };
    let idaas = instance(&TestSource::new(), share(at(&one.url()).build()?));
    token(&idaas).await?;
    let opened = || {
        let stats: String = two.command(&["INFO", "stats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = opened();
    let _: u64 = two.command(&["CLIENT", "KILL", "LADDR", &two.address.to_string()]);
    for _ in 0..3 {
        idaas.invalidate(&idaas.token().await?);
        token(&idaas).await?;
    }
    // Of a name next to it in the same node, too.
    for scope in ["api://b|read", "api://c|read"] {
        idaas.token_for(&scope.parse()?).await?;
    }
    // One, and those that have put this question and killed the others.
    assert_eq!(opened() - before, 1 + 2);
    assert_eq!(two.keys().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_name_is_found_again_when_the_node_that_had_it_has_fallen_silent() -> Outcome {
    let Some([one, two, three]) = cluster().await else { return Ok(()) };
    let (source, clock) = (TestSource::new(), ManualClock::new());
    let store = share(at(&one.url()).build()?).timeout(Duration::from_secs(2));
    let idaas = instance_at(&clock, &source, store);
    token(&idaas).await?;
    let key = two.keys().remove(0);
    let slot = slot_of(&two, &key);
    // Another one takes over.
    two.freeze();
    for server in [&three, &one] {
        let _: String = server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(&three)]);
    }
    // The first fetch finds out, and does not cost the next one its time.
    for _ in 0..2 {
        idaas.invalidate(&idaas.token().await?);
        token(&idaas).await?;
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(three.keys(), [key]);
    assert_eq!(source.fetches(), 3);
    Ok(())
}

#[tokio::test]
async fn a_cluster_is_followed_to_where_it_keeps_a_name_and_where_it_moves_it() -> Outcome {
    let Some([one, two]) = cluster().await else { return Ok(()) };
    let source = TestSource::new();
    for server in [&one, &two] {
        server.allow_documented_user();
        let _: String = server.command(&["ACL", "SETUSER", "idaas", "+asking"]);
    }
    let url = format!("redis://{DOCUMENTED_USER}@{}", one.address);
    let store = || share(at(&url).build().unwrap());
    let first = instance(&source, store());
    assert_eq!(token(&first).await?, "marker-token-1");
    assert_eq!(token(&instance(&source, store())).await?, "marker-token-1");
    assert_eq!((one.keys().len(), two.keys().len()), (0, 1));

    // The slot is on its way to the first node: what is not here is asked for over there, and found missing.
    let key = two.keys().remove(0);
    let slot = slot_of(&two, &key);
    let _: String = one.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(&two)]);
    let _: String = two.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(&one)]);
    let _: i64 = two.command(&["DEL", &key]);
    let short = || store().lease(Duration::from_millis(200));
    assert_eq!(token(&instance(&source, short())).await?, "marker-token-2");
    // With the lock it was over there; of two keys Redis wants both before they are written.
    assert_eq!((one.keys(), two.keys().len()), (vec![format!("{key}:lock")], 0));

    // And now it is there.
    for server in [&one, &two] {
        let _: String = server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(&one)]);
    }
    first.invalidate(&first.token().await?);
    assert_eq!(token(&first).await?, "marker-token-3");
    assert_eq!(token(&instance(&source, store())).await?, "marker-token-3");
    assert_eq!((one.keys(), two.keys().len()), (vec![key], 0));
    Ok(())
}
