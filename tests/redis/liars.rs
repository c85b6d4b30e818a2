//! Never worse than without: what pretends to be a Redis is a miss.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_idaas::testing::ManualClock;

use super::client::{Mint, Outcome, instance, instance_at, store_at, token};

/// A server that answers everything with the same, and counts who comes.
async fn liar(answer: &'static [u8]) -> std::io::Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("redis://{}", listener.local_addr()?);
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok((url, came))
}

#[tokio::test]
async fn what_a_liar_answers_is_a_miss() -> Outcome {
    let mint = Mint::new();
    let answers = [
        &b"+OK\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$-1\r\n",
        b"*2\r\n$7\r\ngarbage\r\n:1000\r\n",
        b"*2\r\n:1\r\n:2\r\n",
        b"$9999999999\r\n",
        b"-ERR marker\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"-ASK 1 :\r\n",
        b":1\r\n",
        b"\0\0\0\0",
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        let (url, _) = liar(answer).await?;
        let idaas = instance(&mint, store_at(url).wait(Duration::from_millis(500)));
        assert_eq!(token(&idaas).await?, format!("marker-token-{}", index + 1));
    }
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_sends_us_in_circles_is_left() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answer = format!("-MOVED 1 {address}\r\n");
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let mint = Mint::new();
    let idaas = instance(&mint, store_at(format!("redis://{address}")).timeout(Duration::from_secs(5)));
    assert_eq!(token(&idaas).await?, "marker-token-1");
    assert!(came.load(Ordering::SeqCst) <= 4, "{came:?}");
    Ok(())
}

#[tokio::test]
async fn a_store_in_trouble_is_not_asked_for_each_token() -> Outcome {
    let (url, came) = liar(b"-ERR no\r\n").await?;
    let (mint, clock) = (Mint::new(), ManualClock::new());
    let idaas = instance_at(&clock, &mint, store_at(url).timeout(Duration::from_secs(5)));
    for number in 0..30 {
        idaas.token_for(&format!("api://n{number}|read").parse()?).await?;
    }
    assert_eq!(came.load(Ordering::SeqCst), 1);
    clock.advance(Duration::from_secs(1));
    for number in 30..40 {
        idaas.token_for(&format!("api://n{number}|read").parse()?).await?;
    }
    assert_eq!(came.load(Ordering::SeqCst), 2);
    Ok(())
}
