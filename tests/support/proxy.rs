//! A small HTTP proxy that tunnels to one place, whatever host it is asked for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a client sent to open a tunnel: the target, and the value of `Proxy-Authorization`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tunnel {
    pub target: String,
    pub authorization: Option<String>,
}

#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    tunnels: Arc<Mutex<Vec<Tunnel>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Answers every `CONNECT` with this status line's end, `200 OK` or `407 …`; a tunnel leads to the port.
    pub async fn start(status: &'static str, port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tunnels = Arc::<Mutex<Vec<Tunnel>>>::default();
        let log = Arc::clone(&tunnels);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, status, port, Arc::clone(&log)));
            }
        });
        Self { address, tunnels, accepting }
    }

    /// `http://127.0.0.1:port`, for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same with a user and a password in it.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    pub fn tunnels(&self) -> Vec<Tunnel> {
        self.tunnels.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn tunnel(client: TcpStream, status: &str, port: u16, log: Arc<Mutex<Vec<Tunnel>>>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let request = lines.first().cloned().unwrap_or_default();
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    log.lock().unwrap().push(Tunnel {
        target: target.unwrap_or(&request).to_owned(),
        authorization: header("Proxy-Authorization"),
    });
    client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await?;
    if status.starts_with("200") {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}
