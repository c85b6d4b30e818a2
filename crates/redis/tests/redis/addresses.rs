//! A host with two addresses, the first of which drops packets.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::client::{Outcome, TestSource, instance, store_at, token};
use super::raw::Blackhole;
use super::server::{PASSWORD, Server};

#[tokio::test]
async fn an_address_of_the_store_that_drops_packets_does_not_take_the_time_of_the_other() -> Outcome {
    let Some(server) = Server::start() else { return Ok(()) };
    // The address of `localhost` that is tried first drops packets; behind the other one is the server.
    let hole = Blackhole::dig((Ipv4Addr::LOCALHOST, 0).into()).await;
    let port = hole.address().port();
    let other = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await?;
    let address = server.address;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = other.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(address).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let source = TestSource::new();
    // With the time-out by default.
    for _ in 0..2 {
        let store = store_at(format!("redis://:{PASSWORD}@localhost:{port}/"));
        assert_eq!(token(&instance(&source, store)).await?, "marker-token-1");
    }
    assert_eq!((source.fetches(), server.keys().len()), (1, 1));
    Ok(())
}
