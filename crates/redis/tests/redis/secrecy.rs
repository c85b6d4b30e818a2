//! No password, key or token shows in a log at any level, whatever goes wrong.

#![allow(clippy::indexing_slicing)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{KEY, OTHER_KEY, Outcome, TestSource, instance, shared, shared_under, store_at, token};
use super::log::{Log, forms};
use super::server::{PASSWORD, Server};

/// A server that quotes what it gets, as Redis does with a command that it does not know.
async fn echo() -> std::io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 65_536];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    let received = String::from_utf8_lossy(&buffer[..length]).replace("\r\n", " ");
                    let response = format!("-ERR unknown command, with args beginning with: {received}\r\n");
                    // One for each command.
                    let response = response.repeat(received.matches('*').count());
                    if stream.write_all(response.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

#[tokio::test]
async fn whatever_goes_wrong_no_secret_is_logged() -> Outcome {
    let log = Log::start();
    let Some(server) = Server::start() else { return Ok(()) };
    let source = TestSource::new();
    let patient = |url: String| store_at(url).timeout(Duration::from_secs(2));
    let addresses = [
        server.url(),
        server.url().replace(PASSWORD, "marker-wrong-password"),
        format!("redis://user:{PASSWORD}@{}", echo().await?),
        format!("redis://{}", echo().await?),
        format!("rediss://user:{PASSWORD}@{}", server.address),
        format!("redis://user:{PASSWORD}@host.invalid"),
    ];
    for url in addresses {
        token(&instance(&source, patient(url))).await?;
    }
    token(&instance(&source, shared_under(&server, OTHER_KEY))).await?;
    let idaas = instance(&source, shared(&server));
    idaas.invalidate(&idaas.token().await?);
    token(&idaas).await?;

    let text = log.text();
    // What is logged, and what is not.
    for logged in
        ["refused user or password", "tower_idaas::store", "outcome=\"unusable\"", "refused with ERR"]
    {
        assert!(text.contains(logged), "{logged} is not logged");
    }
    for secret in [PASSWORD, "marker-wrong-password", KEY, OTHER_KEY, "marker-token-1"] {
        for form in forms(secret) {
            let line = text.lines().find(|line| line.contains(&form));
            assert!(line.is_none(), "{line:?}");
        }
    }
    Ok(())
}
