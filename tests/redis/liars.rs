//! Never worse than without: what pretends to be a Redis is a miss.

#![allow(clippy::unwrap_used)]

use std::io::Result;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower_idaas::clock::ManualClock;

use super::client::{Mint, Outcome, instance, instance_at, store_at, token};

/// A server that answers as told, and counts.
struct Liar {
    url: String,
    seen: watch::Receiver<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    commands: usize,
    /// Those that have ended, and what was said there.
    said: Vec<usize>,
}

impl Liar {
    /// One that gives each command the same answer.
    async fn saying(answer: impl Into<Vec<u8>>) -> Result<Self> {
        let answer = answer.into();
        Self::answering(move |_, _| answer.clone()).await
    }

    /// One whose answers depend on its own address, and the command.
    async fn answering(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let url = format!("redis://{address}");
        let (tell, seen) = watch::channel(Seen::default());
        let (tell, answer) = (Arc::new(tell), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tell.send_modify(|seen| seen.connections += 1);
                let (tell, answer, address) = (Arc::clone(&tell), Arc::clone(&answer), address.clone());
                tokio::spawn(async move {
                    let (mut stream, mut said) = (BufStream::new(stream), 0);
                    while let Ok(command) = command(&mut stream).await {
                        tell.send_modify(|seen| seen.commands += 1);
                        let answer = answer(&address, &command);
                        if say(&mut stream, &answer, &mut said).await.is_err() {
                            break;
                        }
                    }
                    tell.send_modify(|seen| seen.said.push(said));
                });
            }
        });
        Ok(Self { url, seen })
    }

    fn connections(&self) -> usize {
        self.seen.borrow().connections
    }

    fn commands(&self) -> usize {
        self.seen.borrow().commands
    }
}

/// The next command: an array of strings.
async fn command(stream: &mut BufStream<TcpStream>) -> Result<String> {
    let mut words = String::new();
    for _ in 0..number(stream).await? {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await?;
        words += &String::from_utf8_lossy(&word);
    }
    Ok(words)
}

/// A line that is a number behind its kind.
async fn number(stream: &mut BufStream<TcpStream>) -> Result<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let number = line.get(1..).and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

async fn say(stream: &mut BufStream<TcpStream>, answer: &[u8], said: &mut usize) -> Result<()> {
    for part in answer.chunks(64 * 1024) {
        stream.write_all(part).await?;
        stream.flush().await?;
        *said += part.len();
    }
    Ok(())
}

#[tokio::test]
async fn what_a_liar_answers_is_a_miss() -> Outcome {
    let answers = [
        &b"+OK\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$-1\r\n",
        b"*2\r\n$7\r\ngarbage\r\n:1000\r\n",
        b"*2\r\n:1\r\n:2\r\n",
        b"$9999999999\r\n",
        b"*9999999999\r\n",
        b"%9223372036854775807\r\n",
        b"|9223372036854775807\r\n",
        b"$9223372036854775807\r\n",
        b"!-1\r\n",
        b"-ERR marker\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"-MOVED 1 :1\r\n",
        b"-ASK 1 :\r\n",
        b":1\r\n",
        b"\0\0\0\0",
    ];
    let each = answers.map(|answer| async move {
        let shown = String::from_utf8_lossy(answer);
        let liar = Liar::saying(answer).await.unwrap();
        let store = store_at(liar.url.clone()).timeout(Duration::from_secs(5)).wait(Duration::from_secs(1));
        assert_eq!(token(&instance(&Mint::new(), store)).await.unwrap(), "marker-token-1", "{shown}");
        assert_ne!(liar.commands(), 0, "{shown}");
    });
    for liar in each.map(tokio::spawn) {
        liar.await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_says_that_somebody_else_fetches_is_believed_once_and_not_each_time() -> Outcome {
    // There is nothing, and the lock is held, for ever.
    let answer = |_: &str, command: &str| if command.contains("GETRANGE") { "$-1\r\n" } else { ":0\r\n" };
    let liar = Liar::answering(move |address, command| answer(address, command).into()).await?;
    let store = store_at(liar.url.clone()).timeout(Duration::from_secs(20)).wait(Duration::from_secs(1));
    let idaas = instance(&Mint::new(), store);
    assert_eq!(token(&idaas).await?, "marker-token-1");
    // Look, lock, look again and so on; then leave what was fetched.
    let before = liar.commands();
    assert!(before >= 3, "{before}");
    idaas.invalidate(&idaas.token().await?);
    assert_eq!(token(&idaas).await?, "marker-token-2");
    assert_eq!(liar.commands() - before, 3);
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_stop_talking_is_not_listened_to() -> Outcome {
    // In one value, in many, and in a line without end.
    for (beginning, part) in [("$999999999\r\n", "x"), ("*999999999\r\n", ":1\r\n"), ("+", "x")] {
        let endless = [beginning, &part.repeat((64 << 20) / part.len())].concat();
        let liar = Liar::saying(endless).await?;
        let idaas = instance(&Mint::new(), store_at(liar.url.clone()).timeout(Duration::from_secs(20)));
        assert_eq!(token(&idaas).await?, "marker-token-1");
        let mut seen = liar.seen.clone();
        let closed = seen.wait_for(|seen| seen.connections > 0 && seen.said.len() == seen.connections);
        let said = tokio::time::timeout(Duration::from_secs(20), closed).await??.said.clone();
        // What is on its way fits into the buffers of the sockets.
        assert!(said.iter().all(|said| *said < 32 << 20), "{said:?} bytes of {beginning:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_sends_us_in_circles_is_left() -> Outcome {
    let liar = Liar::answering(|address, _| format!("-MOVED 1 {address}\r\n").into()).await?;
    let idaas = instance(&Mint::new(), store_at(liar.url.clone()).timeout(Duration::from_secs(5)));
    assert_eq!(token(&idaas).await?, "marker-token-1");
    // The first one, and three redirections; all to the same node.
    assert_eq!((liar.commands(), liar.connections()), (4, 2));
    Ok(())
}

#[tokio::test]
async fn a_store_in_trouble_is_not_asked_for_each_token() -> Outcome {
    let liar = Liar::saying("-ERR no\r\n").await?;
    let (mint, clock) = (Mint::new(), ManualClock::new());
    let idaas = instance_at(&clock, &mint, store_at(liar.url.clone()).timeout(Duration::from_secs(5)));
    for number in 0..30 {
        idaas.token_for(&format!("api://n{number}|read").parse()?).await?;
    }
    assert_eq!((liar.commands(), liar.connections()), (1, 1));
    clock.advance(Duration::from_secs(1));
    for number in 30..40 {
        idaas.token_for(&format!("api://n{number}|read").parse()?).await?;
    }
    assert_eq!((liar.commands(), liar.connections()), (2, 2));
    Ok(())
}
