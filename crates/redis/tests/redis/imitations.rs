//! Never worse than without: a server that only imitates Redis is a miss.

#![allow(clippy::unwrap_used)]

use std::io::Result;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower_idaas::clock::ManualClock;

use super::client::{Outcome, TestSource, instance, instance_at, store_at, token};

/// A server with scripted responses, which counts.
struct Imitation {
    url: String,
    seen: watch::Receiver<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    commands: usize,
    /// Those that have ended: the bytes sent on each.
    sent: Vec<usize>,
}

impl Imitation {
    /// One that sends the same response to each command.
    async fn saying(response: impl Into<Vec<u8>>) -> Result<Self> {
        let response = response.into();
        Self::responding(move |_, _| response.clone()).await
    }

    /// One whose responses depend on its own address and the command.
    async fn responding(respond: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let url = format!("redis://{address}");
        let (count, seen) = watch::channel(Seen::default());
        let (count, respond) = (Arc::new(count), Arc::new(respond));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|seen| seen.connections += 1);
                let (count, respond, address) = (Arc::clone(&count), Arc::clone(&respond), address.clone());
                tokio::spawn(async move {
                    let (mut stream, mut sent) = (BufStream::new(stream), 0);
                    while let Ok(command) = command(&mut stream).await {
                        count.send_modify(|seen| seen.commands += 1);
                        let response = respond(&address, &command);
                        if send(&mut stream, &response, &mut sent).await.is_err() {
                            break;
                        }
                    }
                    count.send_modify(|seen| seen.sent.push(sent));
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

async fn send(stream: &mut BufStream<TcpStream>, response: &[u8], sent: &mut usize) -> Result<()> {
    for part in response.chunks(64 * 1024) {
        stream.write_all(part).await?;
        stream.flush().await?;
        *sent += part.len();
    }
    Ok(())
}

#[tokio::test]
async fn what_an_imitation_responds_is_a_miss() -> Outcome {
    let responses = [
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
    let each = responses.map(|response| async move {
        let shown = String::from_utf8_lossy(response);
        let imitation = Imitation::saying(response).await.unwrap();
        let store =
            store_at(imitation.url.clone()).timeout(Duration::from_secs(5)).wait(Duration::from_secs(1));
        assert_eq!(token(&instance(&TestSource::new(), store)).await.unwrap(), "marker-token-1", "{shown}");
        assert_ne!(imitation.commands(), 0, "{shown}");
    });
    for ended in each.map(tokio::spawn) {
        ended.await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_says_that_the_lock_is_held_is_believed_once_and_not_each_time() -> Outcome {
    // There is nothing, and the lock is held, for ever.
    let response = |_: &str, command: &str| if command.contains("GETRANGE") { "$-1\r\n" } else { ":0\r\n" };
    let imitation = Imitation::responding(move |address, command| response(address, command).into()).await?;
    let store = store_at(imitation.url.clone()).timeout(Duration::from_secs(20)).wait(Duration::from_secs(1));
    let idaas = instance(&TestSource::new(), store);
    assert_eq!(token(&idaas).await?, "marker-token-1");
    // Look, lock, look again and so on; then store the token.
    let before = imitation.commands();
    assert!(before >= 3, "{before}");
    idaas.invalidate(&idaas.token().await?);
    assert_eq!(token(&idaas).await?, "marker-token-2");
    assert_eq!(imitation.commands() - before, 3);
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_stop_sending_is_cut_off() -> Outcome {
    // In one value, in many, and in a line without end.
    for (beginning, part) in [("$999999999\r\n", "x"), ("*999999999\r\n", ":1\r\n"), ("+", "x")] {
        let endless = [beginning, &part.repeat((64 << 20) / part.len())].concat();
        let imitation = Imitation::saying(endless).await?;
        let idaas =
            instance(&TestSource::new(), store_at(imitation.url.clone()).timeout(Duration::from_secs(20)));
        assert_eq!(token(&idaas).await?, "marker-token-1");
        let mut seen = imitation.seen.clone();
        let closed = seen.wait_for(|seen| seen.connections > 0 && seen.sent.len() == seen.connections);
        let sent = tokio::time::timeout(Duration::from_secs(20), closed).await??.sent.clone();
        // What is on its way fits into the buffers of the sockets.
        assert!(sent.iter().all(|sent| *sent < 32 << 20), "{sent:?} bytes of {beginning:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_redirects_in_circles_is_left() -> Outcome {
    let imitation = Imitation::responding(|address, _| format!("-MOVED 1 {address}\r\n").into()).await?;
    let idaas = instance(&TestSource::new(), store_at(imitation.url.clone()).timeout(Duration::from_secs(5)));
    assert_eq!(token(&idaas).await?, "marker-token-1");
    // The first one, and three redirections; all to the same node.
    assert_eq!((imitation.commands(), imitation.connections()), (4, 2));
    Ok(())
}

#[tokio::test]
async fn a_failing_store_is_not_called_for_each_token() -> Outcome {
    let imitation = Imitation::saying("-ERR no\r\n").await?;
    let (source, clock) = (TestSource::new(), ManualClock::new());
    let idaas = instance_at(&clock, &source, store_at(imitation.url.clone()).timeout(Duration::from_secs(5)));
    for number in 0..30 {
        idaas.token_for(&format!("api://n{number}|read").parse()?).await?;
    }
    assert_eq!((imitation.commands(), imitation.connections()), (1, 1));
    clock.advance(Duration::from_secs(1));
    for number in 30..40 {
        idaas.token_for(&format!("api://n{number}|read").parse()?).await?;
    }
    assert_eq!((imitation.commands(), imitation.connections()), (2, 2));
    Ok(())
}
